// Modules of one network learning side by side, in processes of their own (`parallel: modules`).
//
// Design. Gradient-isolated modules send nothing back: a module's step on batch t needs the output of the module before
// it on batch t, computed with that one's weights after t − 1 steps, and nothing else. So the K modules are dealt out to W
// workers, as consecutive groups of nearly equal cost, and worker w learns from batch t while worker w + 1 learns from
// batch t − 1:
//
//   training process    t + 2 | t + 3 | t + 4      draws, augments and normalises batches; evaluates; writes checkpoints
//   worker 1            t + 1 | t + 2 | t + 3      modules 1 … a: forward, loss, backward, optimizer step
//   worker 2            t     | t + 1 | t + 2      modules a + 1 … K
//
// The delay is one of time only: at any moment a later module is some batches behind an earlier one, but what it learns
// from batch t is what it would learn in the loop over modules in one process, so that all weights, running statistics and
// optimizer states are the same bits, whatever the number of workers. A run may be stopped with workers and go on without
// them; `parallel` is no part of what a run is called.
//
// Hand-over. In front of every worker stands a queue of QUEUE slots in one piece of shared memory (a file without a name,
// mapped by all). Who is before it copies into a free slot what the modules behind need: the batch, the features, and
// combined features of earlier modules that a context looks back at. Messages over the processes' channels say which slot
// is full and which is free again; all of them go through the training process, which has little else to do. A worker
// whose next queue is full waits: at most QUEUE · W batches are on their way, which bounds the memory.
//
// Whoever looks at weights (evaluation, measures, checkpoints) waits until no batch is on its way and takes the workers'
// states over into the rule of the training process, which is whole and otherwise stands still. `peakBytes` of such a run
// is that of the process that needs most, its queue included; each worker's stands among the metrics (`workerPeakBytes`).
//
// Ends. A worker whose training process is gone dies in that moment (lifeline.ts). A worker that dies ends the run: the
// others are ended, and the error names it, its modules and how it ended. The last checkpoint is whole, as after any end.
//
// Each worker computes with the run's `threads`. Refused where modules cannot learn apart (rules/parallel/share.ts), and
// on a GPU, which runs one piece of work after the other anyway.
import { type ChildProcess, fork } from "node:child_process";
import { closeSync } from "node:fs";
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { keep, scope, type Tensor } from "@stopgrad/torch";
import type { Normalisation } from "../data/loader.js";
import type { Batch, StepResult } from "../rules/index.js";
import {
  boundaryBytes,
  type ModuleRange,
  mapSlots,
  moduleCosts,
  pack,
  refusalOf,
  type SlotRegion,
} from "../rules/parallel/index.js";
import { PartitionedRule } from "../rules/partitioned.js";
import { balancedSizes } from "./balance.js";
import type { ImageKind } from "./create-rule.js";
import { reserveMemory } from "./parallel-memory.js";
import {
  type FromWorker,
  receivedState,
  type SentState,
  sent,
  sentState,
  type ToWorker,
  type WorkerReport,
  type WorkerStep,
} from "./parallel-protocol.js";
import type { RunSettings } from "./run-settings.js";
import { workerEnvironment } from "./worker-process.js";

/** Slots in front of each worker: one that is read while the other is written. */
const QUEUE = 2;

export interface PipelineOptions {
  /** As the network is trained, with `parallel`. */
  readonly settings: RunSettings;
  readonly images: ImageKind;
  /** `[C, H, W]` of the images that are trained on. */
  readonly trainedShape: readonly number[];
  readonly normalisation: Normalisation;
  /** The whole network; its weights are what the workers begin with. */
  readonly rule: unknown;
  /** Of a batch, at most. */
  readonly batch: number;
}

/** One step of all modules. */
export interface PipelineStep extends StepResult {
  readonly multiplyAdds: number | null;
  readonly memory: NonNullable<WorkerStep["memory"]> | null;
}

/** A worker's report, and which it is. */
export interface NamedReport extends WorkerReport {
  /** `worker 1`. */
  readonly worker: string;
  /** Of the shared memory in front of it. */
  readonly queueBytes: number;
}

interface Worker {
  readonly process: ChildProcess;
  /** `worker 1 of 2 (modules stem-layer1.2, layer2.0-layer4.1)`. */
  readonly name: string;
  readonly slots: readonly { readonly slot: number; readonly region: SlotRegion }[];
  /** Steps that are not told whole yet, by number. */
  readonly steps: Map<number, WorkerStep>;
  isReady: boolean;
  gathered: { readonly state: SentState; readonly report: WorkerReport } | null;
}

export class ModulePipeline {
  readonly #rule: PartitionedRule;
  readonly #memory: Tensor;
  readonly #workers: readonly Worker[];
  /** Free slots in front of the first worker. */
  readonly #free: number[];
  /** Batches handed over, and steps whose every part is told. */
  #fed = 0;
  #finished = 0;
  readonly #results: PipelineStep[] = [];
  #failure: Error | null = null;
  #isClosed = false;
  #wake: () => void = () => {};

  private constructor(rule: PartitionedRule, memory: Tensor, workers: readonly Worker[]) {
    this.#rule = rule;
    this.#memory = memory;
    this.#workers = workers;
    this.#free = workers[0]!.slots.map(({ slot }) => slot);
  }

  /**
   * Starts the workers and gives them the rule's weights.
   * @throws Error where modules cannot learn beside each other, or a worker cannot be started
   */
  static async start(options: PipelineOptions): Promise<ModulePipeline> {
    const { settings, rule, trainedShape } = options;
    if (!(rule instanceof PartitionedRule))
      throw new Error(`parallel: ${settings.rule.name} has no modules to share out`);
    const refused = refusalOf(rule);
    if (refused !== null) throw new Error(`parallel: ${refused}`);
    const ranges = dealOut(moduleCosts(rule, trainedShape), workersOf(settings, rule.moduleNames.length));
    const queues = layOut(ranges.map(({ from }) => boundaryBytes(rule, from, trainedShape, options.batch)));
    const memoryBytes = queues.flat().reduce((sum, { region }) => sum + region.bytes, 0);
    const descriptor = reserveMemory(memoryBytes);
    let pipeline: ModulePipeline;
    try {
      const memory = keep(mapSlots(descriptor, memoryBytes));
      const workers = ranges.map((range, at) => ({
        process: begin(settings.threads, descriptor),
        name: nameOf(at, ranges.length, rule.moduleNames.slice(range.from, range.end)),
        slots: queues[at]!,
        steps: new Map(),
        isReady: false,
        gathered: null,
      }));
      pipeline = new ModulePipeline(rule, memory, workers);
    } finally {
      closeSync(descriptor);
    }
    const normalisation = { scale: sent(options.normalisation.scale), shift: sent(options.normalisation.shift) };
    const common = { settings, images: options.images, normalisation, memoryBytes };
    try {
      const state = scope(() => sentState(rule.stateDict()));
      for (const [at, worker] of pipeline.#workers.entries()) {
        pipeline.#listen(at);
        const setup = { ...common, range: ranges[at]!, outputs: queues[at + 1] ?? [] };
        send(worker, { type: "setup", setup });
        send(worker, { type: "load", state });
      }
      await pipeline.#until(() => pipeline.#workers.every(({ isReady }) => isReady));
    } catch (error) {
      pipeline.close();
      throw error;
    }
    return pipeline;
  }

  /** Resolves when there is room for a batch. @throws Error when a worker has ended */
  async room(): Promise<void> {
    await this.#until(() => this.#free.length > 0);
  }

  /** Hands a batch to the first worker; there has to be room. */
  feed(batch: Batch, how: { learningRate: number; isCounted?: boolean; isWatched?: boolean }): void {
    const first = this.#workers[0]!;
    const slot = this.#free.shift()!;
    const { region } = first.slots.find((one) => one.slot === slot)!;
    const tensors = pack(this.#memory, region, new Map(Object.entries(batch)));
    const { learningRate, isCounted = false, isWatched = false } = how;
    send(first, { type: "batch", batch: { at: this.#fed++, slot, tensors, learningRate, isCounted, isWatched } });
  }

  /** Steps that are done in every worker, each once, in order. */
  results(): PipelineStep[] {
    return this.#results.splice(0);
  }

  /** Resolves when no batch is on its way. @throws Error when a worker has ended */
  async drain(): Promise<void> {
    await this.#until(() => this.#finished === this.#fed);
  }

  /**
   * Waits for all batches and takes the workers' weights and optimizer states over into the rule, whose learning rate has
   * to be theirs.
   * @throws Error when a worker has ended
   */
  async gather(): Promise<NamedReport[]> {
    await this.drain();
    for (const worker of this.#workers) {
      worker.gathered = null;
      send(worker, { type: "gather" });
    }
    await this.#until(() => this.#workers.every(({ gathered }) => gathered !== null));
    scope(() => {
      const states = this.#workers.flatMap(({ gathered }) => [...receivedState(gathered!.state)]);
      const settings = [...this.#rule.stateDict()].filter(([name]) => name.startsWith("optimizer.param_groups."));
      this.#rule.loadStateDict(new Map([...settings, ...states]));
    });
    return this.#workers.map(({ gathered, slots }, at) => ({
      ...gathered!.report,
      worker: `worker ${at + 1}`,
      queueBytes: slots.reduce((sum, { region }) => sum + region.bytes, 0),
    }));
  }

  /** Ends the workers, whatever they are doing. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const { process } of this.#workers) process.kill("SIGKILL");
    this.#memory.dispose();
  }

  #listen(at: number): void {
    const worker = this.#workers[at]!;
    const fail = (message: string) => {
      if (this.#isClosed) return;
      this.#failure ??= new Error(message);
      this.#wake();
    };
    worker.process.stdin?.on("error", () => {}); // one that ends tells by its end
    worker.process.on("error", (error) => fail(`${worker.name} could not be started: ${error.message}`));
    worker.process.on("exit", (code, signal) => fail(`${worker.name} ${describeEnd(code, signal)}`));
    worker.process.on("message", (message: FromWorker) => {
      if (this.#isClosed) return;
      if (message.type === "failed") fail(`${worker.name}: ${message.message}`);
      else this.#hear(at, message);
      this.#wake();
    });
  }

  #hear(at: number, message: Exclude<FromWorker, { type: "failed" }>): void {
    const worker = this.#workers[at]!;
    switch (message.type) {
      case "ready":
        worker.isReady = true;
        break;
      case "passed":
        send(this.#workers[at + 1]!, { type: "batch", batch: message.batch });
        break;
      case "done":
        if (at === 0) this.#free.push(message.slot);
        else send(this.#workers[at - 1]!, { type: "free", slot: message.slot });
        worker.steps.set(message.at, message.step);
        this.#putTogether();
        break;
      case "gathered":
        worker.gathered = message;
        break;
    }
  }

  /** Steps of which every worker has told its part. */
  #putTogether(): void {
    for (let at = this.#finished; ; at = this.#finished) {
      const parts = this.#workers.map(({ steps }) => steps.get(at));
      if (!parts.every((part) => part !== undefined)) return;
      for (const { steps } of this.#workers) steps.delete(at);
      this.#finished += 1;
      this.#results.push(together(parts));
    }
  }

  /** Waits for something that messages bring about. @throws Error when a worker has ended */
  async #until(holds: () => boolean): Promise<void> {
    while (true) {
      if (this.#failure) throw this.#failure;
      if (holds()) return;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}

/** What all workers found in one step. @param parts - first to last */
function together(parts: readonly WorkerStep[]): PipelineStep {
  const losses = parts.flatMap((part) => part.losses);
  const isCounted = parts[0]!.multiplyAdds !== null;
  return {
    losses,
    loss: losses.at(-1)!.loss,
    correct: parts.at(-1)!.correct,
    multiplyAdds: isCounted ? parts.reduce((sum, { multiplyAdds }) => sum + multiplyAdds!, 0) : null,
    memory: parts[0]!.memory && parts.flatMap(({ memory }) => memory ?? []),
  };
}

/** How many workers: as asked, or one for as many processors as a worker has threads; at most one for each module. */
function workersOf({ parallel, threads }: RunSettings, modules: number): number {
  const asked = parallel?.workers ?? null;
  if (asked !== null && asked > modules) {
    throw new Error(`parallel: expected at most a worker for each of the ${modules} modules, got ${asked}`);
  }
  return asked ?? Math.max(1, Math.min(modules, Math.floor(availableParallelism() / threads)));
}

/** Consecutive modules for each worker, so that the one with most to do has as little as can be. */
export function dealOut(costs: readonly number[], workers: number): ModuleRange[] {
  const cost = (from: number, end: number) => costs.slice(from, end).reduce((sum, one) => sum + one, 0);
  let end = 0;
  return balancedSizes(costs.length, workers, cost).map((size) => {
    end += size;
    return { from: end - size, end };
  });
}

/** A queue of slots for each worker, one after the other. */
function layOut(bytes: readonly number[]): { slot: number; region: SlotRegion }[][] {
  let start = 0;
  let slot = 0;
  return bytes.map((size) =>
    Array.from({ length: QUEUE }, () => {
      start += size;
      return { slot: slot++, region: { start: start - size, bytes: size } };
    }),
  );
}

function begin(threads: number, descriptor: number): ChildProcess {
  return fork(fileURLToPath(new URL("./parallel-worker.js", import.meta.url)), [], {
    serialization: "advanced",
    stdio: [...(["pipe", "ignore", "inherit", "ipc"] as const), descriptor], // its number is MEMORY_DESCRIPTOR
    execArgv: [],
    detached: true, // a process group of its own: Ctrl-C is for the parent of this process to hear
    env: { ...process.env, ...workerEnvironment(threads) },
  });
}

function nameOf(at: number, workers: number, modules: readonly string[]): string {
  return `worker ${at + 1} of ${workers} (module${modules.length > 1 ? "s" : ""} ${modules.join(", ")})`;
}

function describeEnd(code: number | null, signal: NodeJS.Signals | null): string {
  if (!signal) return `ended with exit code ${code}`;
  return `was ended by ${signal}${signal === "SIGKILL" ? " (the system does this when memory runs out)" : ""}`;
}

function send({ process }: Worker, message: ToWorker): void {
  if (process.connected) process.send(message, () => {}); // one that ends meanwhile tells by its end
}
