// `stopgrad doctor`: what computes here, how fast, and what to do where it is slow or missing.
import { readFileSync } from "node:fs";
import { availableParallelism, cpus, totalmem } from "node:os";
import { join } from "node:path";
import {
  blasLibrary,
  buildFolder,
  cuda,
  devices,
  getThreads,
  matmul,
  randn,
  scope,
  setThreads,
  version,
} from "@stopgrad/torch";
import { listDatasets } from "../data/commands.js";
import { stopgradVersion } from "../version.js";
import { type CommonOptions, dataFolders, exitCodes, print, printJson } from "./context.js";

/** Below this a processor core is not running an optimised BLAS: a reference one gives 1 to 3. */
const SLOW_GFLOPS_PER_THREAD = 10;

interface Diagnosis {
  stopgrad: string;
  node: string;
  libtorch: { version: string; source: string; prefix: string | null } | null;
  blas: string | null;
  devices: string[];
  /** What the GPUs among the devices are. */
  gpus: { device: string; name: string; capability: string; memoryBytes: number }[];
  cpu: string;
  processors: number;
  threads: number | null;
  memoryBytes: number;
  /** float32 matrix product of 1024 x 1024, median of five, by number of threads. */
  matrixProduct: { threads: number; gflops: number }[];
  datasets: { name: string; found: string | null }[];
  /** What is wrong, and what would help. */
  advice: string[];
}

export function doctor(options: CommonOptions): void {
  const diagnosis = diagnose(options);
  if (options.json) printJson(diagnosis);
  else print(describe(diagnosis).join("\n"));
  if (diagnosis.libtorch === null) process.exitCode = exitCodes.failure;
}

function diagnose(options: CommonOptions): Diagnosis {
  const processors = availableParallelism();
  const found: Diagnosis = {
    stopgrad: stopgradVersion(),
    node: process.versions.node,
    libtorch: null,
    blas: null,
    devices: [],
    gpus: [],
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    processors,
    threads: null,
    memoryBytes: totalmem(),
    matrixProduct: [],
    datasets: listDatasets(dataFolders(options)).data.datasets.map(({ name, found }) => ({ name, found })),
    advice: [],
  };
  try {
    found.libtorch = { version: version(), ...origin() };
    found.devices = devices();
    // libtorch may see GPUs that the addon, built without CUDA's headers, knows nothing of.
    if (cuda.isAvailable()) found.gpus = found.devices.filter((device) => device !== "cpu").map(describeGpu);
    found.threads = getThreads();
    const counts = processors > 1 ? [1, processors] : [1];
    found.matrixProduct = counts.map((threads) => ({ threads, gflops: matrixProductRate(threads) }));
    setThreads(found.threads);
    found.blas = blasLibrary();
  } catch (error) {
    found.advice.push((error as Error).message);
    return found;
  }
  // A libtorch with CUDA on a machine without a GPU, or without CUDA's headers: said, because it was meant otherwise.
  const reason = cuda.whyUnavailable();
  if (reason !== null && / has CUDA, but /.test(reason)) found.advice.push(reason);
  const perThread = found.matrixProduct[0]!.gflops;
  if (found.blas === "reference" || perThread < SLOW_GFLOPS_PER_THREAD) {
    found.advice.push(
      `matrix products are slow (${perThread.toFixed(1)} GFLOP/s on one thread, BLAS ${found.blas}): ` +
        "install an optimised BLAS: sudo apt-get install libopenblas0-pthread",
    );
  }
  const [one, all] = found.matrixProduct;
  if (one && all && all.gflops < 1.3 * one.gflops) {
    found.advice.push(
      `${all.threads} threads are hardly faster than one: other programs may be using the processors, or they are shared`,
    );
  }
  for (const { name, found: place } of found.datasets) {
    if (place === null) found.advice.push(`${name} was not found: stopgrad data fetch ${name}, or set STOPGRAD_DATA`);
  }
  return found;
}

function describeGpu(device: string): Diagnosis["gpus"][number] {
  const { name, capability, totalBytes } = cuda.deviceProperties(device);
  return { device, name, capability: capability.join("."), memoryBytes: totalBytes };
}

/** Where set-up found libtorch. */
function origin(): { source: string; prefix: string | null } {
  try {
    const record = JSON.parse(readFileSync(join(buildFolder(), "libtorch.json"), "utf8")) as Record<string, unknown>;
    return { source: String(record.source ?? "unknown"), prefix: (record.prefix as string | undefined) ?? null };
  } catch {
    return { source: "unknown", prefix: null };
  }
}

/** Billions of floating-point operations a second of a 1024 x 1024 float32 matrix product, median of five after one. */
function matrixProductRate(threads: number): number {
  const size = 1024;
  setThreads(threads);
  return scope(() => {
    const a = randn([size, size]);
    const b = randn([size, size]);
    const seconds: number[] = [];
    for (let i = 0; i < 6; i++) {
      const start = performance.now();
      matmul(a, b).dispose();
      if (i > 0) seconds.push((performance.now() - start) / 1000);
    }
    return (2 * size ** 3) / seconds.sort((x, y) => x - y)[2]! / 1e9;
  });
}

function describe(found: Diagnosis): string[] {
  const { libtorch } = found;
  const places: Record<string, string> = {
    system: "the system's package",
    python: "Python's torch",
    archive: "PyTorch's archive",
  };
  const where =
    libtorch && `${places[libtorch.source] ?? libtorch.source}${libtorch.prefix ? `, ${libtorch.prefix}` : ""}`;
  const sets = found.datasets.map(({ name, found: place }) => `${name}: ${place ?? "not found"}`);
  return [
    `stopgrad    ${found.stopgrad}, Node ${found.node}`,
    `libtorch    ${libtorch ? `${libtorch.version} (${where})` : "cannot be used"}`,
    ...(libtorch
      ? [
          `devices     ${found.devices.join(", ")}`,
          ...found.gpus.map(
            ({ device, name, capability, memoryBytes }) =>
              `            ${device}: ${name}, ${gibibytes(memoryBytes)}, compute capability ${capability}`,
          ),
          `BLAS        ${found.blas}`,
          `threads     ${found.threads} of ${found.processors} processors (${found.cpu})`,
          ...found.matrixProduct.map(
            ({ threads, gflops }) =>
              `speed       ${gflops.toFixed(0)} GFLOP/s, float32 matrix product, ${threads} thread${threads === 1 ? "" : "s"}`,
          ),
        ]
      : []),
    `memory      ${gibibytes(found.memoryBytes)}`,
    ...sets.map((text, at) => `${at === 0 ? "data        " : "            "}${text}`),
    ...(found.advice.length === 0 ? ["everything is in place"] : found.advice.map((text) => `! ${text}`)),
  ];
}

function gibibytes(bytes: number): string {
  return `${(bytes / 2 ** 30).toFixed(1)} GiB`;
}
