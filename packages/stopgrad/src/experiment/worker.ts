// The process that trains one run. It lives on its parent: without one it ends at once and writes nothing more, since
// another process may take the run over.
import { holdLifeline } from "./lifeline.js";
import type { ParentMessage, TrainingEvent, TrainingJob, WorkerMessage } from "./protocol.js";

const lifeline = holdLifeline();
/** Loaded before there is a job, since loading takes longest; what goes wrong is told by the job. */
const loading = import("./trainer.js").then(async (trainer) => {
  (await import("./environment.js")).prepareEnvironment();
  (await import("@stopgrad/torch")).version(); // the first call loads libtorch
  return trainer;
});
loading.catch(() => {});
let nextId = 0;
/** What waits for events to be stored. */
const waiting = new Map<number, () => void>();

// Ctrl-C and the end of a terminal reach the whole process group; the parent decides what they mean.
process.on("SIGINT", () => {});
process.on("SIGHUP", () => {});
process.on("SIGTERM", () => lifeline.stop());
process.on("disconnect", () => process.exit(1));

/** Resolves once the parent has stored it; progress is not stored. Without a parent it never does: this process ends. */
function emit(event: TrainingEvent): Promise<void> {
  const message: WorkerMessage = { id: nextId++, event };
  return new Promise((resolve) => {
    if (event.type !== "progress") waiting.set(message.id, resolve);
    process.send?.(message, (error) => {
      if (error) process.exit(1);
      if (event.type === "progress") resolve();
    });
  });
}

/** Trains and ends this process. */
async function work(job: TrainingJob): Promise<void> {
  try {
    const { train } = await loading;
    await train(job, { emit, shouldStop: lifeline.shouldStop });
  } catch (error) {
    await emit({ type: "failed", message: (error as Error).message });
  }
  process.exit(0);
}

process.on("message", (message: ParentMessage) => {
  if (message.type === "ack") {
    waiting.get(message.id)?.();
    waiting.delete(message.id);
  } else {
    void work(message.job);
  }
});
