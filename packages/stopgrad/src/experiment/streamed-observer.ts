// Trains a measure's small networks on the stages of a network, all of them at once while batches of images pass through
// it: the network is computed once a batch and no representation is kept. The images, their order and the networks' initial
// values are the same for every stage, epoch, variant and seed.
import { Generator, randperm, scope } from "@stopgrad/torch";
import { EpochOrder, slice, type TensorSet } from "../data/loader.js";
import { lastMapOf } from "../heads/head.js";
import type { StreamedBatch, StreamedFit, StreamedMeasure } from "../measures/index.js";
import { deviceOf } from "../models/index.js";
import { toPixels } from "../reconstruction/index.js";
import type { LearningRule } from "../rules/index.js";
import {
  attempt,
  checked,
  evaluating,
  nothing,
  type ObservedData,
  type Observer,
  type StageMeasurement,
} from "./observation.js";
import { moduleSizes } from "./partition.js";

/** Of the images that are taken, and of their order. */
const SEED = 0;

/** No augmentation. */
const AS_THEY_ARE = { crop: null, flip: false };

/** A stage that is measured. */
interface Measured {
  readonly name: string;
  readonly fit: StreamedFit;
  /** Why it cannot be measured; null as long as it can. */
  problem: string | null;
}

export class StreamedObserver implements Observer {
  constructor(
    private readonly measure: StreamedMeasure,
    private readonly options: Readonly<Record<string, unknown>>,
    private readonly data: ObservedData,
  ) {}

  observe(rule: LearningRule, breathe = nothing): StageMeasurement[] {
    return scope(() => {
      const measured = this.#begin(rule);
      try {
        evaluating(rule, () => {
          this.#learn(rule, measured, breathe);
          this.#score(rule, measured, breathe);
        });
        return [...measured.values()].flatMap((stage) => this.#found(stage));
      } finally {
        for (const { fit } of measured.values()) fit.dispose();
      }
    });
  }

  /** Place among the backbone's stages → what is measured there. */
  #begin(rule: LearningRule): Map<number, Measured> {
    const { backbone } = rule;
    const { train, classes } = this.data;
    const image = train.images.shape.slice(1);
    const shapes = shapesOf(rule, this.data);
    const places = measuredStages(this.measure.plan(this.options).stages, backbone.stages.length, rule.moduleEnds);
    const device = deviceOf(backbone);
    return new Map(
      places.map((at) => {
        const stage = { shape: shapes[at]!, final: lastMapOf(shapes), image, classes, device };
        return [at, { name: backbone.stages[at]!.name, fit: this.measure.begin(stage, this.options), problem: null }];
      }),
    );
  }

  #learn(rule: LearningRule, measured: Map<number, Measured>, breathe: () => void): void {
    const { epochs, train, batch } = this.measure.plan(this.options);
    const { normalisation } = this.data;
    const set = someOf(this.data.train, train);
    const generator = new Generator(SEED);
    for (let epoch = 0; epoch < epochs; epoch++) {
      const order = new EpochOrder(set, batch, generator);
      try {
        for (let at = 0; at < order.batches; at++) {
          scope(() => {
            const { images, labels } = order.get(at, normalisation, AS_THEY_ARE, generator, 1);
            const done = (epoch + at / order.batches) / epochs;
            this.#pass(rule, measured, { images, labels }, breathe, (fit, given) => fit.learn(given, done));
          });
        }
      } finally {
        order.dispose();
      }
    }
  }

  #score(rule: LearningRule, measured: Map<number, Measured>, breathe: () => void): void {
    const { test, batch } = this.measure.plan(this.options);
    const set = someOf(this.data.test, test);
    for (let start = 0; start < set.count; start += batch) {
      scope(() => {
        const given = slice(set, start, Math.min(batch, set.count - start), this.data.normalisation);
        this.#pass(rule, measured, given, breathe, (fit, seen) => fit.score(seen));
      });
    }
  }

  /** One batch through the network, shown to every stage's networks. */
  #pass(
    rule: LearningRule,
    measured: Map<number, Measured>,
    { images, labels }: Pick<StreamedBatch, "labels"> & { images: StreamedBatch["pixels"] },
    breathe: () => void,
    show: (fit: StreamedFit, batch: StreamedBatch) => void,
  ): void {
    const pixels = toPixels(images, this.data.normalisation);
    rule.readStages(images, (output, at) => {
      const stage = measured.get(at);
      if (!stage || stage.problem !== null) return;
      breathe();
      const seen = output.detach().to("float32");
      stage.problem = attempt(() => show(stage.fit, { output: seen, pixels, labels })).problem;
    });
  }

  #found({ name: stage, fit, problem }: Measured): StageMeasurement[] {
    const result = problem === null ? fit.result() : null;
    return this.measure.keys.map((key) => ({
      stage,
      key,
      standardError: null,
      ...(result ? checked(result[key]!) : { value: Number.NaN, problem }),
    }));
  }

  dispose(): void {}
}

/**
 * Places of the stages that are measured, ascending.
 * @param ends - where modules end; undefined: the rule's modules are not made of stages, and all are measured
 */
export function measuredStages(
  wanted: "all" | "ends" | number,
  stages: number,
  ends: readonly number[] | undefined,
): readonly number[] {
  const all = Array.from({ length: stages }, (_, at) => at);
  if (wanted === "all") return all;
  if (wanted === "ends") return ends ?? all;
  let end = -1;
  return moduleSizes(Math.min(wanted, stages), stages).map((size) => {
    end += size;
    return end;
  });
}

/** Shapes of what the stages give for the data's images, read from one. */
function shapesOf(rule: LearningRule, { test, normalisation }: ObservedData): number[][] {
  return evaluating(rule, () =>
    scope(() => rule.readStages(slice(test, 0, 1, normalisation).images, ({ shape }) => shape.slice(1))),
  );
}

/** Images drawn from a split, or all of them where there are no more; what is drawn belongs to the scope. */
function someOf(set: TensorSet, count: number | null): TensorSet {
  if (count === null || count >= set.count) return set;
  const chosen = randperm(set.count, { generator: new Generator(SEED) }).narrow(0, 0, count);
  const taken = (values: TensorSet["images"]) =>
    values.indexSelect(0, values.device === "cpu" ? chosen : chosen.toDevice(values.device));
  return { ...set, images: taken(set.images), labels: taken(set.labels), count };
}
