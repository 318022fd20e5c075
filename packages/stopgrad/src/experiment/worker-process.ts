// Starting the process that trains a run. Half of the time to a run's first step is loading libtorch, so that a command
// that will train starts its first worker before it knows for what: the worker loads while this process reads the
// experiment file and opens the store. Nothing of stopgrad is imported here, so that this comes first.
import { type ChildProcess, fork } from "node:child_process";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";

/** For one thread, the default, and not in use yet. */
let ready: ChildProcess | null = null;

/** Starts a worker now for the first run that wants one thread. It does not keep this process alive. */
export function prepareWorker(): void {
  if (ready !== null) return;
  ready = begin(1);
  ready.on("error", () => {}); // told when a worker is needed and cannot be started
  for (const handle of handlesOf(ready)) handle.unref();
  process.on("exit", () => ready?.kill("SIGKILL"));
}

/** A worker that waits for its job. @param threads - of tensor operations */
export function startWorker(threads: number): ChildProcess {
  const worker = ready;
  if (threads !== 1 || worker === null) return begin(threads);
  ready = null;
  if (!worker.connected || worker.exitCode !== null || worker.signalCode !== null) return begin(threads);
  worker.removeAllListeners("error");
  for (const handle of handlesOf(worker)) handle.ref();
  return worker;
}

/**
 * glibc gives large blocks back to the system as soon as they are freed; what libtorch's kernels take for scratch at
 * every step then costs page faults, a tenth of LeNet5's time. A worker keeps what it has had. Other systems ignore this.
 */
const KEEP_FREED_MEMORY = { MALLOC_MMAP_MAX_: "0", MALLOC_TRIM_THRESHOLD_: String(2 ** 30) };

/** What a process that trains on so many threads has in its environment beside everything else. */
export function workerEnvironment(threads: number): Record<string, string> {
  const limit = String(threads);
  return { ...KEEP_FREED_MEMORY, OMP_NUM_THREADS: limit, OPENBLAS_NUM_THREADS: limit, MKL_NUM_THREADS: limit };
}

function begin(threads: number): ChildProcess {
  const worker = fork(fileURLToPath(new URL("./worker.js", import.meta.url)), [], {
    serialization: "advanced",
    stdio: ["pipe", "ignore", "pipe", "ipc"],
    env: { ...process.env, ...workerEnvironment(threads) },
  });
  worker.stdin?.on("error", () => {}); // one that ends meanwhile tells by its end
  return worker;
}

interface Handle {
  ref(): void;
  unref(): void;
}

/** What keeps the event loop going: the process, its pipes, its channel. Pipes are sockets, which the types do not say. */
function handlesOf(worker: ChildProcess): Handle[] {
  const pipes = [worker.stdin, worker.stderr].filter((pipe) => pipe !== null) as (Writable | Readable)[];
  return [worker, ...(pipes as unknown as Handle[]), ...(worker.channel ? [worker.channel] : [])];
}
