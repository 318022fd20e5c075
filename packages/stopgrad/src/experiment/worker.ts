// The process that trains one run. It lives on its parent: without one it checkpoints and ends.
import type { ParentMessage, TrainingEvent, TrainingJob, WorkerMessage } from "./protocol.js";

let stopping = false;
let nextId = 0;
/** Events that the parent has not stored yet. */
const waiting = new Map<number, { resolve(): void; reject(error: Error): void }>();

// Ctrl-C and the end of a terminal reach the whole process group; the parent decides what they mean.
process.on("SIGINT", () => {});
process.on("SIGHUP", () => {});
process.on("SIGTERM", () => {
  stopping = true;
});
process.on("disconnect", () => {
  const reason = parentGone();
  for (const { reject } of waiting.values()) reject(reason);
  waiting.clear();
});

/** Without a parent there is nobody to train for. */
function parentGone(): Error {
  stopping = true;
  return new Error("the process that stores the results is gone");
}

/** Resolves once the parent has stored it. Rejects when it never will; progress is not worth that. */
function emit(event: TrainingEvent): Promise<void> {
  const isProgress = event.type === "progress";
  if (!process.connected) return isProgress ? Promise.resolve() : Promise.reject(parentGone());
  const message: WorkerMessage = { id: nextId++, event };
  return new Promise((resolve, reject) => {
    if (!isProgress) waiting.set(message.id, { resolve, reject });
    process.send?.(message, (error) => {
      if (isProgress) resolve();
      else if (error && waiting.delete(message.id)) reject(parentGone());
    });
  });
}

/** Trains and ends this process. */
async function work(job: TrainingJob): Promise<void> {
  try {
    const { train } = await import("./trainer.js");
    await train(job, { emit, shouldStop: () => stopping });
  } catch (error) {
    await emit({ type: "failed", message: (error as Error).message }).catch(() => {}); // nobody is left to be told
  }
  process.exit(0);
}

process.on("message", (message: ParentMessage) => {
  if (message.type === "stop") {
    stopping = true;
  } else if (message.type === "ack") {
    waiting.get(message.id)?.resolve();
    waiting.delete(message.id);
  } else {
    void work(message.job);
  }
});
