// The process that trains one run. It lives on its parent: without one it checkpoints and ends.
import type { ParentMessage, TrainingEvent, WorkerMessage } from "./protocol.js";

let stopping = false;
let nextId = 0;
const waiting = new Map<number, () => void>();

// Ctrl-C reaches the whole process group; the parent decides what it means.
process.on("SIGINT", () => {});
process.on("SIGTERM", () => {
  stopping = true;
});
process.on("disconnect", () => {
  stopping = true;
  for (const resolve of waiting.values()) resolve();
  waiting.clear();
});

function emit(event: TrainingEvent): Promise<void> {
  const id = nextId++;
  if (!process.connected) return Promise.resolve();
  return new Promise((resolve) => {
    if (event.type !== "progress") waiting.set(id, resolve);
    const message: WorkerMessage = { id, event };
    process.send?.(message, (error) => {
      if (error || event.type === "progress") {
        waiting.delete(id);
        resolve();
      }
    });
  });
}

process.on("message", (message: ParentMessage) => {
  if (message.type === "stop") stopping = true;
  else if (message.type === "ack") {
    waiting.get(message.id)?.();
    waiting.delete(message.id);
  } else {
    void import("./trainer.js")
      .then(({ train }) => train(message.job, { emit, shouldStop: () => stopping }))
      .then(() => process.exit(0));
  }
});
