// Measures nHSIC under many settings at once: another kernel, width, ridge, batch, split, distance. What is concluded from
// it is in `statistics/conclusions.ts`.
//
// Every setting sees the same samples in the same order, cut into its own mini-batches, so that settings differ by
// nothing else. A forward pass serves all settings of its split: samples are read in pieces of the largest batch.
import { scope, type Tensor } from "@stopgrad/torch";
import { nhsic } from "../measures/nhsic.js";
import type { BatchValues, PathValues } from "../statistics/index.js";
import { attempt } from "./observation.js";
import type { Representations } from "./representations.js";
import { type TrainedNetwork, TrainedNetworkError } from "./trained-network.js";

export type Split = "test" | "train";

/** One way to measure nHSIC. */
export interface SensitivitySetting {
  /** What is not as in the default, `sigma 1` or `sigma 1, batch 64`; or `default`. */
  readonly label: string;
  /** How many things are not as in the default. */
  readonly changes: number;
  /** Options of `nhsic`, complete. */
  readonly options: Readonly<Record<string, unknown>>;
  /** Samples a mini-batch. */
  readonly batch: number;
  readonly split: Split;
}

export interface SweepOptions {
  /** The default's mini-batch, an even number; half, twice and four times as many are tried. Default 128. */
  readonly batch?: number;
  /** The first is the default's. Default: test and train. */
  readonly splits?: readonly Split[];
  /** All combinations instead of one change at a time. */
  readonly grid?: boolean;
}

type Change = Partial<Pick<SensitivitySetting, "options" | "batch" | "split">> & { readonly label: string };

/** Fewest epochs that show a path: one before, at and after a peak. */
const FEWEST_EPOCHS = 3;

/**
 * The default, and what is tried beside it: kernels (linear, Laplacian), widths (sigma 1, 2, 10; median distance), plain
 * distance, ridges, batches, the other split. One change at a time: up to 15; with `grid` all combinations, hundreds.
 *
 * @throws RangeError for a batch that is not even or below 8
 */
export function sensitivitySettings(options: SweepOptions = {}): SensitivitySetting[] {
  const { batch = 128, splits = ["test", "train"], grid = false } = options;
  if (!Number.isInteger(batch / 2) || batch < 8) {
    throw new RangeError(`expected an even number of samples a batch, at least 8, got ${batch}`);
  }
  const others: Change[][] = [
    [1e-6, 1e-4, 1e-3].map((epsilon) => ({ label: `epsilon ${epsilon.toExponential()}`, options: { epsilon } })),
    [batch / 2, 2 * batch, 4 * batch].map((size) => ({ label: `batch ${size}`, batch: size })),
    splits.slice(1).map((split) => ({ label: `${split} split`, split })),
  ];
  const whole = (changes: readonly Change[]): SensitivitySetting => ({
    label: changes.map(({ label }) => label).join(", ") || "default",
    changes: changes.length,
    options: nhsic.options.parse(Object.assign({}, ...changes.map((change) => change.options ?? {}))),
    batch: changes.findLast((change) => change.batch !== undefined)?.batch ?? batch,
    split: changes.findLast((change) => change.split !== undefined)?.split ?? splits[0]!,
  });
  if (!grid) return [[], ...[...kernels, ...others.flat().map((change) => [change])]].map(whole);
  let combined: Change[][] = [[], ...kernels, ...combinedKernels];
  for (const choices of others) {
    combined = combined.flatMap((changes) => [changes, ...choices.map((choice) => [...changes, choice])]);
  }
  return combined.map(whole);
}

const widths: Change[] = [
  ...[1, 2, 10].map((sigma) => ({ label: `sigma ${sigma}`, options: { sigma } })),
  { label: "median width", options: { width: "median", sigma: 1 } },
];
const plain: Change = { label: "plain distance", options: { distance: "plain" } };
const laplacian: Change = { label: "laplacian kernel", options: { kernel: "laplacian" } };
const linear: Change = { label: "linear kernel", options: { kernel: "linear" } };

/** One change of the kernel each. */
const kernels: Change[][] = [laplacian, linear, plain, ...widths].map((change) => [change]);

/** Two: another width of another kernel. The linear one has none. */
const combinedKernels: Change[][] = [laplacian, plain].flatMap((kernel) => widths.map((width) => [kernel, width]));

/** Values of one setting: `[representation][batch]`, null without input or labels. */
export interface SettingValues {
  readonly x: number[][] | null;
  readonly y: number[][] | null;
  /** Why some of them are NaN: the first reason; null where none is. */
  problem: string | null;
}

/**
 * nHSIC of every representation with input and label, in every mini-batch of every setting.
 *
 * @param settings - of one split; none with larger batches than there are samples
 * @param samples - the first ones of the source
 * @param breathe - called after each representation of each piece; what it throws ends the work
 * @returns a value for each setting; NaN where the measure refuses a batch
 */
export function measureSettings(
  source: Representations,
  settings: readonly SensitivitySetting[],
  samples: number,
  breathe: () => void = () => {},
): SettingValues[] {
  const empty = () => source.names.map((): number[] => []);
  const found = settings.map(
    (): SettingValues => ({ x: source.hasInput ? empty() : null, y: source.labels ? empty() : null, problem: null }),
  );
  const piece = pieceOf(settings);
  for (let start = 0; start < samples; start += piece) {
    const size = Math.min(piece, samples - start);
    source.pass(start, size, (x, labels) => {
      const fixed = settings.map(({ options, batch }) => ({
        x: x && batches(size, batch).map((at) => attempt(() => nhsic.factor(x.narrow(0, at, batch), options))),
        y:
          labels &&
          batches(size, batch).map((at) => attempt(() => nhsic.labelFactor(labels.narrow(0, at, batch), options))),
      }));
      return (z, place) => {
        for (const [index, { options, batch }] of settings.entries()) {
          const mine = found[index]!;
          for (const [number, at] of batches(size, batch).entries()) {
            scope(() => {
              const factor = attempt(() => nhsic.factor(z.narrow(0, at, batch), options));
              for (const pair of ["x", "y"] as const) {
                const other = fixed[index]![pair]?.[number];
                if (!other) continue;
                mine.problem ??= factor.problem ?? other.problem;
                mine[pair]![place]!.push(combined(factor.result, other.result));
              }
            });
          }
        }
        breathe();
      };
    });
  }
  return found;
}

/** How often `breathe` is called in one reading of a source. */
export function piecesOf(settings: readonly SensitivitySetting[], samples: number, representations: number): number {
  return settings.length === 0 ? 0 : Math.ceil(samples / pieceOf(settings)) * representations;
}

/** Samples of a split that a sweep may look at, and the settings that can be taken on them. */
export interface SplitPlan {
  readonly split: Split;
  readonly samples: number;
  readonly settings: readonly SensitivitySetting[];
}

/** Paths of one run under each setting of the plans, and why some values are missing. */
export interface RunPaths {
  readonly paths: ReadonlyMap<SensitivitySetting, PathValues>;
  readonly problems: ReadonlyMap<SensitivitySetting, string>;
}

/**
 * A run's path through the plane under every setting, from the weights it kept.
 *
 * @param epochs - as `network.epochs` gives them
 * @param stages - names, in the network's order
 * @throws TrainedNetworkError for fewer than three epochs, or a stage that is not there
 */
export function pathsOfRun(
  network: TrainedNetwork,
  epochs: readonly number[],
  plans: readonly SplitPlan[],
  stages: readonly string[] = network.stages,
  breathe: () => void = () => {},
): RunPaths {
  requirePath(network, epochs);
  const values = new Map<SensitivitySetting, { x: number[][][]; y: number[][][] }>();
  const problems = new Map<SensitivitySetting, string>();
  for (const { settings } of plans) {
    for (const setting of settings) {
      const empty = () => stages.map((): number[][] => []);
      values.set(setting, { x: empty(), y: empty() });
    }
  }
  for (const epoch of epochs) {
    network.load(epoch);
    for (const { split, samples, settings } of plans) {
      if (settings.length === 0) continue;
      const source = network.representations({ split, samples, stages });
      try {
        for (const [at, { x, y, problem }] of measureSettings(source, settings, samples, breathe).entries()) {
          const setting = settings[at]!;
          if (problem !== null && !problems.has(setting)) problems.set(setting, `epoch ${epoch}: ${problem}`);
          for (const stage of stages.keys()) {
            values.get(setting)!.x[stage]!.push(x![stage]!);
            values.get(setting)!.y[stage]!.push(y![stage]!);
          }
        }
      } finally {
        source.dispose();
      }
    }
  }
  return { paths: new Map(Array.from(values, ([setting, { x, y }]) => [setting, { epochs, x, y }])), problems };
}

/** Arrays as a path of one epoch. */
export function pathOfArrays({ x, y }: SettingValues): PathValues {
  const once = (values: number[][] | null): BatchValues | null => values?.map((batches) => [batches]) ?? null;
  return { epochs: [0], x: once(x), y: once(y) };
}

/** @throws TrainedNetworkError for fewer than three epochs, saying how to keep more */
export function requirePath({ id, saved }: TrainedNetwork, epochs: readonly number[]): void {
  if (epochs.length >= FEWEST_EPOCHS) return;
  const few = (count: number) => `${count} epoch${count === 1 ? "" : "s"}`;
  const needs = `a path through the plane needs ${FEWEST_EPOCHS} or more`;
  throw new TrainedNetworkError(
    saved.length < FEWEST_EPOCHS
      ? `run ${id} has kept the weights of ${few(saved.length)}, and ${needs}: train it with checkpoint.keep=all`
      : `run ${id}: expected ${FEWEST_EPOCHS} epochs or more, got ${few(epochs.length)}; ${needs}`,
  );
}

/** Samples read at a time: every batch divides it, as batches are halves and doubles of each other. */
function pieceOf(settings: readonly SensitivitySetting[]): number {
  return Math.max(...settings.map(({ batch }) => batch));
}

/** Where whole batches begin; the incomplete last one is dropped. */
function batches(size: number, batch: number): number[] {
  return Array.from({ length: Math.floor(size / batch) }, (_, at) => at * batch);
}

function combined(a: Tensor | null, b: Tensor | null): number {
  if (a === null || b === null) return Number.NaN;
  const value = nhsic.combine(a, b, {});
  return Math.abs(value) < ROUNDING ? 0 : value;
}

/** nHSIC of a constant, or of a batch of one class, is 0 but for rounding, in which there is no order. */
const ROUNDING = 1e-12;
