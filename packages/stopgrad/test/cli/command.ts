// The command line as its users meet it: the built program in a process of its own, its output, its exit code, and what
// it left on disk.
import { type ChildProcess, type SpawnOptions, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";
import { type MetricPoint, openStore, type RunRecord } from "../../src/store/index.js";

export const program = fileURLToPath(new URL("../../bin/stopgrad.js", import.meta.url));

if (!existsSync(fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url)))) {
  throw new Error('the program is not built: run "npm run build" first');
}

export interface Finished {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

export interface Running {
  readonly pid: number;
  readonly child: ChildProcess;
  readonly finished: Promise<Finished>;
}

/** No data set, run or thread count of the machine may decide a test. */
function environment(extra: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
  const { STOPGRAD_RUNS, STOPGRAD_DATA, STOPGRAD_MIRROR, STOPGRAD_CACHE, ...inherited } = process.env;
  return { ...inherited, XDG_CACHE_HOME: join(tmpdir(), "no-such-cache"), ...extra };
}

/** Starts `stopgrad` with these arguments. It ends with the test, whatever the test does. */
export function start(args: readonly string[], options: SpawnOptions = {}): Running {
  const child = spawn(process.execPath, [program, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
    ...options,
    env: environment(options.env),
  });
  const finished = new Promise<Finished>((resolve, reject) => {
    let stdout = "";
    let stderr = "";
    child.stdout?.on("data", (data) => (stdout += data));
    child.stderr?.on("data", (data) => (stderr += data));
    child.on("error", reject);
    child.on("close", (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
  onTestFinished(async () => {
    child.kill("SIGKILL");
    await finished.catch(() => {});
  });
  return { pid: child.pid!, child, finished };
}

/** Runs `stopgrad` to its end. */
export function stopgrad(args: readonly string[], options: SpawnOptions = {}): Promise<Finished> {
  return start(args, options).finished;
}

/** Standard output as the one JSON document it must be. */
// biome-ignore lint/suspicious/noExplicitAny: a test says what it expects of the document, not the types
export function json({ stdout, stderr }: Finished): any {
  try {
    return JSON.parse(stdout);
  } catch {
    throw new Error(`expected one JSON document, got ${JSON.stringify(stdout)} (standard error: ${stderr})`);
  }
}

/** A folder of this test's own, under a name that a careless program stumbles over. */
export function folder(): string {
  const path = mkdtempSync(join(tmpdir(), "stopgrad it's a "));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** Writes a file into a folder and returns its path. */
export function put(where: string, name: string, content: string | Uint8Array): string {
  const path = join(where, name);
  mkdirSync(join(path, ".."), { recursive: true });
  writeFileSync(path, content);
  return path;
}

/** Two variants of LeNet-5 on drawn symbols, a second of work. One thread: the same bits on every machine. */
export const tiny = `name: tiny
data: { name: glyphs, train: 256, test: 128, batch: 32 }
model: lenet5
epochs: 2
threads: 1
observe: { nhsic: { every: 1, batch: 32, batches: 2 } }
variants:
  e2e: { partition: 1 }
  layer-wise: { partition: stage, objective: { loss: cross-entropy, head: linear } }
`;

/** As small as a run can be. */
export const smallest = `name: smallest
data: { name: glyphs, train: 64, test: 32, batch: 32 }
model: { name: mlp, width: 16 }
epochs: 1
threads: 1
`;

/** Everything that draws numbers at once: crop, flip, dropout and batch norm's running statistics; 32 steps an epoch. */
export const everyGenerator = `name: generators
data: { name: glyphs, train: 512, test: 64, batch: 16, augment: { flip: true, crop: { padding: 2 } } }
model: { name: resnet18, width: 4, dropout: 0.2 }
partition: 2
epochs: 3
threads: 1
optimizer: { learningRate: 1e-3, schedule: { milestones: [2], gamma: 0.1 } }
observe: { nhsic: { every: 1, batch: 32, batches: 2, firstEpoch: true } }
`;

/** A probe that takes long after an epoch that is short: whoever ends it early has ended it while it was measuring. */
export const longMeasure = `name: measured
data: { name: glyphs, train: 4000, test: 200, batch: 400 }
model: { name: mlp, width: 600 }
epochs: 1
threads: 1
observe: { probe: { at: end, l2: 0 } }
`;

/** Environment of a command whose worker ends itself in the middle of writing checkpoints; see `die-at.mjs`. */
export function dyingAt(operation: string): NodeJS.ProcessEnv {
  return { STOPGRAD_TEST_DIE_AT: operation, NODE_OPTIONS: `--import ${new URL("./die-at.mjs", import.meta.url).href}` };
}

/** What the store holds of a run. */
export function stored(runs: string, id: string): { record: RunRecord; metrics: MetricPoint[] } {
  const store = openStore(runs, { readonly: true });
  try {
    return { record: store.getRun(id), metrics: store.metrics(id) };
  } finally {
    store.close();
  }
}

/** Ids of the runs there are; none where there is no store yet. */
export function runIds(runs: string): string[] {
  try {
    const store = openStore(runs, { readonly: true });
    try {
      return store.listRuns().map(({ id }) => id);
    } finally {
      store.close();
    }
  } catch {
    return [];
  }
}

/** Metrics without those that measure the machine. */
export function results(runs: string, id: string): MetricPoint[] {
  const machine = ["seconds", "imagesPerSecond", "peakBytes"];
  return stored(runs, id).metrics.filter(({ key }) => !machine.includes(key));
}

/** Names of a run's checkpoint files, oldest first. */
export function checkpoints(runs: string, id: string): string[] {
  const path = join(runs, id, "checkpoints");
  if (!existsSync(path)) return [];
  return readdirSync(path)
    .filter((name) => name.endsWith(".safetensors"))
    .sort();
}

/** A safetensors file read by hand: type, shape and bytes of each tensor, and the metadata. */
export function readTensors(file: string): { tensors: Record<string, string>; metadata: Record<string, string> } {
  const bytes = readFileSync(file);
  const start = 8 + Number(bytes.readBigUInt64LE());
  const { __metadata__: metadata, ...entries } = JSON.parse(bytes.subarray(8, start).toString());
  const tensors = Object.entries(entries).map(([name, entry]) => {
    const { dtype, shape, data_offsets: offsets } = entry as { dtype: string; shape: number[]; data_offsets: number[] };
    const data = bytes.subarray(start + offsets[0]!, start + offsets[1]!).toString("base64");
    return [name, `${dtype} [${shape}] ${data}`];
  });
  return { tensors: Object.fromEntries(tensors), metadata };
}

/** Tensors of a run's last checkpoint. */
export function finalTensors(runs: string, id: string): Record<string, string> {
  return readTensors(join(runs, id, "checkpoints", checkpoints(runs, id).at(-1)!)).tensors;
}

/** Process numbers of the workers of a running command (Linux). */
export function workersOf(pid: number): number[] {
  try {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8");
    return children.trim().split(" ").filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

/** Waits until something holds. */
export async function until(what: string, holds: () => boolean, seconds = 20): Promise<void> {
  const end = performance.now() + 1000 * seconds;
  while (!holds()) {
    if (performance.now() > end) throw new Error(`waited ${seconds} s for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Waits until a run has trained so many steps, as far as its stored metrics tell. */
export function untilStep(runs: string, id: string, step: number): Promise<void> {
  return until(`step ${step} of ${id}`, () => {
    try {
      return stored(runs, id).metrics.some((point) => point.step >= step);
    } catch {
      return false; // no store or no run yet
    }
  });
}
