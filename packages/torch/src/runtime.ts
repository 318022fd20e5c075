// Facts and settings of the libtorch underneath: version, threads, memory.
import { readFileSync } from "node:fs";
import { native } from "./native.js";

/** Version of libtorch, for example `1.13.0`. */
export function version(): string {
  return native().version();
}

/** libtorch's own description of how it was built and what it runs on, several lines. */
export function configuration(): string {
  return native().configuration();
}

/** Threads an operator may use. */
export function getThreads(): number {
  return native().threads();
}

/** Sets the threads an operator may use. @param threads - 1 to 4096, for the whole process */
export function setThreads(threads: number): void {
  native().setThreads(threads);
}

/**
 * Runs `work` with one thread in OpenBLAS, for the whole process; other libraries take no notice. A factorization of a small
 * matrix is then quicker, much so on a busy machine, where its threads wait for each other at every step, and its
 * rounding does not depend on the number of threads. Afterwards OpenBLAS has as many as `getThreads()` says.
 * @returns what `work` returns, which must not be a promise: the threads are set again when `work` has returned
 */
export function withOneBlasThread<T>(work: () => T): T {
  const threads = getThreads();
  if (threads === 1) return work();
  native().setBlasThreads(1);
  try {
    return work();
  } finally {
    native().setBlasThreads(threads);
  }
}

/** Number of CUDA devices that libtorch can use; 0 where it was built without CUDA. */
export function cudaDevices(): number {
  return native().cudaDevices();
}

/** Devices that tensors can live on: `cpu`, then `cuda:0` and so on. */
export function devices(): string[] {
  return ["cpu", ...Array.from({ length: cudaDevices() }, (_, index) => `cuda:${index}`)];
}

/**
 * The library behind matrix products: `openblas`, `mkl`, `blis`, `atlas`, `accelerate`, or `reference` for the plain
 * BLAS, about 30 times slower. Read from the libraries this process has loaded, since Debian chooses one at run time.
 */
export function blasLibrary(): string {
  const built = /BLAS_INFO=(\w+)/.exec(configuration())?.[1]?.toLowerCase();
  let loaded: string;
  try {
    loaded = readFileSync("/proc/self/maps", "utf8");
  } catch {
    return built ?? "unknown";
  }
  for (const name of ["openblas", "mkl", "blis", "atlas"]) {
    if (new RegExp(`/lib${name}|/${name}[^\\n]*/libblas`).test(loaded)) return name;
  }
  if (built === "mkl") return "mkl"; // linked statically in PyTorch's own builds
  return /\/libblas\.so/.test(loaded) ? "reference" : (built ?? "unknown");
}

/** What `memory` counts, in bytes of the CPU and in tensors. */
export interface MemoryStatistics {
  /** Tensors that this JavaScript thread holds a handle to. */
  liveTensors: number;
  /** Bytes asked for by all tensors of the process, saved activations of autograd included. */
  liveBytes: number;
  /** The most `liveBytes` has been since `resetPeakBytes`. */
  peakBytes: number;
  /** Bytes of freed blocks kept for reuse. */
  cachedBytes: number;
}

/** Exact counts on the CPU; what a kernel allocates inside a library of its own (oneDNN's scratch) is not seen. */
export function memory(): MemoryStatistics {
  return { liveTensors: native().liveTensors(), ...native().memory() };
}

/** Starts a new peak at the bytes that are live now. */
export function resetPeakBytes(): void {
  native().resetPeakBytes();
}

/** Gives the freed blocks that were kept for reuse back to the system. */
export function emptyCache(): void {
  native().emptyCache();
}

/** Sets how much freed memory is kept for reuse. @param bytes - at most; default 2 GiB; 0 keeps none */
export function setCacheLimit(bytes: number): void {
  native().setCacheLimit(bytes);
}
