// The process of one worker: some modules of a network, learning from one batch after the other (parallel.ts). It lives on
// the training process and ends in the moment in which that one is gone.
import {
  countMultiplyAdds,
  elementSize,
  Generator,
  keep,
  scope,
  setThreads,
  type Tensor,
  zeros,
} from "@stopgrad/torch";
import { bytesOn } from "../device-memory.js";
import { ModuleShare, mapSlots, pack, unpack } from "../rules/parallel/index.js";
import { PartitionedRule } from "../rules/partitioned.js";
import { StepMemory } from "../rules/step-memory.js";
import { createRule } from "./create-rule.js";
import { holdLifeline } from "./lifeline.js";
import {
  type FromWorker,
  MEMORY_DESCRIPTOR,
  received,
  receivedState,
  type SentBatch,
  sentState,
  type ToWorker,
  type WorkerReport,
  type WorkerSetup,
  type WorkerStep,
} from "./parallel-protocol.js";

class ModuleWorker {
  readonly #share: ModuleShare;
  readonly #memory: Tensor;
  readonly #outputs: Map<number, WorkerSetup["outputs"][number]["region"]>;
  /** Slots that can be written, and batches that wait. */
  readonly #free: number[];
  readonly #waiting: SentBatch[] = [];
  #peakBytes = 0;
  #busySeconds = 0;
  readonly #processor = process.cpuUsage();

  constructor(setup: WorkerSetup) {
    setThreads(setup.settings.threads);
    this.#share = scope(() => shareOf(setup));
    this.#memory = keep(mapSlots(MEMORY_DESCRIPTOR, setup.memoryBytes));
    this.#outputs = new Map(setup.outputs.map(({ slot, region }) => [slot, region]));
    this.#free = [...this.#outputs.keys()];
  }

  hear(message: Exclude<ToWorker, { type: "setup" }>): void {
    switch (message.type) {
      case "load":
        scope(() => this.#share.loadStateDict(receivedState(message.state)));
        tell({ type: "ready" });
        break;
      case "batch":
        this.#waiting.push(message.batch);
        this.#go();
        break;
      case "free":
        this.#free.push(message.slot);
        this.#go();
        break;
      case "gather":
        tell({ type: "gathered", state: scope(() => sentState(this.#share.stateDict())), report: this.#report() });
        break;
    }
  }

  /** One step, where there is a batch and room for what comes of it. */
  #go(): void {
    const isLast = this.#outputs.size === 0;
    if (this.#waiting.length === 0 || !(isLast || this.#free.length > 0)) return;
    const batch = this.#waiting.shift()!;
    const start = performance.now();
    const step = scope(() => this.#step(batch));
    this.#busySeconds += (performance.now() - start) / 1000;
    tell({ type: "done", at: batch.at, slot: batch.slot, step });
    setImmediate(() => attempt(() => this.#go())); // messages first: they may free a slot
  }

  #step(batch: SentBatch): WorkerStep {
    this.#peakBytes = Math.max(this.#peakBytes, bytesOn("cpu").peak);
    this.#share.learningRate = batch.learningRate;
    const memory = batch.isWatched ? new StepMemory("cpu") : null;
    const arrived = unpack(this.#memory, batch.tensors);
    const depart = (tensors: ReadonlyMap<string, Tensor>) => {
      const slot = this.#free.shift()!;
      const packed = pack(this.#memory, this.#outputs.get(slot)!, tensors);
      tell({ type: "passed", batch: { ...batch, slot, tensors: packed } });
    };
    const step = () => this.#share.step(arrived, depart, memory);
    const counted = batch.isCounted ? countMultiplyAdds(step) : null;
    const { losses, correct } = counted ? counted.result : step();
    this.#peakBytes = Math.max(this.#peakBytes, memory?.peak ?? 0);
    return {
      losses,
      correct,
      multiplyAdds: counted && counted.forward + counted.backward,
      memory: memory?.modules ?? null,
    };
  }

  #report(): WorkerReport {
    const { user, system } = process.cpuUsage(this.#processor);
    return {
      peakBytes: Math.max(this.#peakBytes, bytesOn("cpu").peak),
      gradientBytes: scope(() => bytesOfGradients(this.#share)),
      busySeconds: this.#busySeconds,
      processorSeconds: (user + system) / 1e6,
    };
  }
}

/** The modules of the run's network that are this worker's; it is initialised whole first, as everywhere. */
function shareOf({ settings, images, normalisation, range }: WorkerSetup): ModuleShare {
  const generators = { dropout: new Generator(0), rule: new Generator(0) };
  const training = {
    // Simultaneous schedules look at batches only.
    set: {
      images: keep(zeros([0, ...images.shape], { dtype: "uint8" })),
      labels: keep(zeros([0], { dtype: "int64" })),
      count: 0,
    },
    normalisation: { scale: keep(received(normalisation.scale)), shift: keep(received(normalisation.shift)) },
    batch: 1,
    scratch: "",
  };
  const rule = createRule(settings, images, generators, training);
  if (!(rule instanceof PartitionedRule)) throw new Error(`${settings.rule.name} has no modules to share out`);
  return new ModuleShare(rule, range);
}

function bytesOfGradients({ parameters }: ModuleShare): number {
  return parameters.reduce((sum, { grad }) => sum + (grad ? grad.numel * elementSize(grad.dtype) : 0), 0);
}

function tell(message: FromWorker): void {
  process.send?.(message, (error: Error | null) => {
    if (error) process.exit(1);
  });
}

/** What goes wrong ends the run, which the training process says. */
function attempt(action: () => void): void {
  try {
    action();
  } catch (error) {
    tell({ type: "failed", message: (error as Error).message });
  }
}

holdLifeline();
process.on("disconnect", () => process.exit(1));

let worker: ModuleWorker | null = null;
process.on("message", (message: ToWorker) =>
  attempt(() => {
    if (message.type === "setup") worker = new ModuleWorker(message.setup);
    else worker!.hear(message);
  }),
);
