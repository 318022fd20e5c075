// What a network's stages keep in memory between their forward and their backward pass, measured on the network itself:
// bytes that are alive once a stage has run in training and all but its output has been let go. That is what autograd
// saved of it, and its output, which the next stage saves or reads.
//
// Bytes of activations grow with the batch, by the same for every image; beside them there are constants (statistics of
// batch norm, weights cast to 16 bits). So two small batches tell what any batch stores. A stage at which a module begins
// stores something else than within one: no gradient is wanted of its input, which itself is kept until the module is
// done.
//
// What is measured runs and leaves no trace: no running statistic, generator, gradient or mode is another afterwards.
import { elementSize, enableGrad, type Generator, scope, type Tensor, zeros } from "@stopgrad/torch";
import { bytesOn } from "../device-memory.js";
import { type Backbone, deviceOf } from "../models/index.js";
import { withoutMovingStatistics } from "../models/running-statistics.js";

/** Bytes that each stage stores, in the network's order. */
export interface StoredBytes {
  /** Within a module; its input is counted with the stage before. */
  readonly stages: readonly number[];
  /** At the beginning of a module, its input with it, but for the images, which are there in any case. */
  readonly first: readonly number[];
}

/** Batch norm of vectors needs two images. */
const SMALL_BATCHES = [2, 4] as const;

/**
 * What the stages store of a batch, in bytes of the device the network is on: on the CPU exact, on a GPU of the caching
 * allocator, which rounds up to 512 bytes. Four forward passes of a few images. Nothing else may run in this process
 * meanwhile.
 *
 * @param inputShape - `[C, H, W]` of the images the network is trained on
 * @param batch - images
 * @param generators - what dropout in the network draws from: their states are put back
 */
export function storedBytes(
  backbone: Backbone,
  inputShape: readonly number[],
  batch: number,
  generators: readonly Generator[],
): StoredBytes {
  return undisturbed(backbone, generators, () => {
    if (deviceOf(backbone) !== "cpu") measure(backbone, inputShape, SMALL_BATCHES[0]); // see `storedBytesOf`
    const [small, large] = SMALL_BATCHES.map((images) => measure(backbone, inputShape, images));
    const scaled = (key: keyof StoredBytes) => small![key].map((bytes, at) => atBatch(bytes, large![key][at]!, batch));
    return { stages: scaled("stages"), first: scaled("first") };
  });
}

/** Through the bytes of both small batches. */
function atBatch(small: number, large: number, batch: number): number {
  const [from, to] = SMALL_BATCHES;
  return small + ((large - small) / (to - from)) * (batch - from);
}

/**
 * Bytes at `batch` images of what is measured at two small batches and grows by the same for every image.
 * @param measure - bytes at so many images
 */
export function perBatch(batch: number, measure: (images: number) => number): number {
  const [small, large] = SMALL_BATCHES.map(measure);
  return atBatch(small!, large!, batch);
}

/** What a module of the stages `from` to before `end` stores, its input with it. */
export function storedInModule({ stages, first }: StoredBytes, from: number, end: number): number {
  return stages.slice(from + 1, end).reduce((sum, bytes) => sum + bytes, first[from]!);
}

/**
 * Bytes that `body` leaves alive with its result: the result, what autograd saved of it, and tensors on the way that no
 * scope of its own frees. What it is given from outside is not counted; as in a step, it should want a gradient
 * (`requiresGrad_`), because other things are saved where it does not. On a GPU `body` runs twice, because libraries set
 * up memory of their own at their first use. Running statistics and generators move as `body` moves them.
 * @param device - where it computes, default `cpu`
 */
export function storedBytesOf(body: () => Tensor, device = "cpu"): number {
  if (device !== "cpu") scope(() => void body());
  return scope(() => alive(body, device).bytes);
}

function alive(body: () => Tensor, device: string): { output: Tensor; bytes: number } {
  const before = bytesOn(device).live;
  const output = enableGrad(body);
  return { output, bytes: bytesOn(device).live - before };
}

/** The stages one after the other, each alone: what is kept of one is let go before the next. */
function measure(backbone: Backbone, inputShape: readonly number[], images: number): StoredBytes {
  const device = deviceOf(backbone);
  return scope(() => {
    let input = zeros([images, ...inputShape], { device });
    const bytes = backbone.stages.map((stage, at) => {
      const first = scope(() => alive(() => stage.forward(input), device).bytes);
      const { output, within } = scope(() => {
        // What needs no gradient of its input is not saved where none is wanted.
        const given = at === 0 ? input : input.detach().requiresGrad_();
        const { output, bytes } = alive(() => stage.forward(given), device);
        return { output: output.detach(), within: bytes };
      });
      const ofInput = at === 0 ? 0 : input.numel * elementSize(input.dtype);
      input.dispose();
      input = output;
      return { first: first + ofInput, within };
    });
    return { stages: bytes.map(({ within }) => within), first: bytes.map(({ first }) => first) };
  });
}

/** Runs `body` with the network in training, and puts back all that training moves. */
function undisturbed<R>(backbone: Backbone, generators: readonly Generator[], body: () => R): R {
  return scope(() => {
    const modes = backbone.modules().map((module) => ({ module, training: module.training }));
    const states = generators.map((generator) => ({ generator, state: generator.getState() }));
    backbone.train();
    try {
      return withoutMovingStatistics([backbone], body);
    } finally {
      for (const { module, training } of modes) module.training = training;
      for (const { generator, state } of states) generator.setState(state);
    }
  });
}
