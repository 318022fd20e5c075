// The line between a worker and the process that started it: the worker's standard input. A thread of its own listens,
// because a worker that evaluates or measures computes for minutes without a turn for messages. A byte asks it to stop;
// the end of the line means that the other process is gone, and with it the right to write into the run's folder: the
// worker ends in that moment, whatever it is doing.
import { Worker } from "node:worker_threads";

export interface Lifeline {
  /** Whether the worker was asked to end with a checkpoint. At once, without a turn of the event loop. */
  shouldStop(): boolean;
  /** Asks from inside this process. */
  stop(): void;
}

/** Listens on standard input from now on. */
export function holdLifeline(): Lifeline {
  const asked = new Int32Array(new SharedArrayBuffer(4));
  const listener = new Worker(new URL("./lifeline-thread.js", import.meta.url), { workerData: asked, execArgv: [] });
  listener.unref();
  return {
    shouldStop: () => Atomics.load(asked, 0) !== 0,
    stop: () => {
      Atomics.store(asked, 0, 1);
    },
  };
}
