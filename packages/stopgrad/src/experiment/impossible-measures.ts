// What measures cannot be taken of: more images than there are, fewer than they are defined for, stages that the model
// lacks, and what a measure itself refuses of so many images of such a size.
import type { z } from "zod";
import { type Mistake, mistakeAt } from "./check.js";
import type { MeasureEntry } from "./entries.js";
import {
  type DataSettings,
  DEFAULT_IMAGES,
  type ImagesSettings,
  type ObserveSettings,
  optionsOf,
  type SampleSettings,
} from "./run-settings.js";
import type { MeasureTraits } from "./settings-hooks.js";
import type { Path } from "./tree.js";
import type { Known, ValidParts } from "./valid-parts.js";

type Measure = MeasureEntry & MeasureTraits;

/** A mistake in a measure's settings. */
interface Problem {
  readonly path: Path;
  readonly message: string;
}

/** Measures that cannot be taken of the images there are. */
export function impossibleMeasures({ observe, data }: ValidParts, { registries, imageShape }: Known): Mistake[] {
  return Object.entries(observe ?? {}).flatMap(([measure, settings]) => {
    const entry = registries.measures[measure];
    const problem = entry && impossibleMeasure(entry, settings, data, imageShape);
    return problem ? [mistakeAt(["observe", measure, ...problem.path], problem.message)] : [];
  });
}

/**
 * Measures that ask for more training images, or stages, than there are.
 * @param stages - of the model; null where they are not known
 */
export function measuresBeyond({ observe, model }: ValidParts, stages: number | null, known: Known): Mistake[] {
  return Object.entries(observe ?? {}).flatMap(([measure, settings]) => {
    const options = known.registries.measures[measure]?.options.shape;
    const mistakes = imagesBeyond(["observe", measure, "train"], settings.train, options?.train, known);
    if (typeof settings.stages === "number" && stages !== null && settings.stages > stages) {
      const message = `expected at most the ${stages} stages of ${model?.name}, got ${settings.stages}`;
      mistakes.push(mistakeAt(["observe", measure, "stages"], message));
    }
    return mistakes;
  });
}

/**
 * More training images asked for than there are. The default is for data sets of any size, and is cut.
 * @param option - that asks for them
 */
export function imagesBeyond(
  path: Path,
  asked: unknown,
  option: z.ZodType | undefined,
  { trainingImages }: Known,
): Mistake[] {
  if (typeof asked !== "number" || trainingImages === null || asked <= trainingImages) return [];
  if (option?.safeParse(undefined).data === asked) return [];
  return [mistakeAt(path, `expected at most the ${trainingImages} training images there are, got ${asked}`)];
}

/** @param shape - `[C, H, W]` of the images; null where it is not known */
function impossibleMeasure(
  entry: Measure,
  settings: ObserveSettings,
  data: DataSettings | undefined,
  shape: readonly number[] | null,
): Problem | null {
  const { images, problem } = measuredImages(entry, settings, data);
  if (problem) return problem;
  const refused = entry.refused?.(optionsOf(entry, settings), { images, dimensions: dimensionsOf(shape) });
  return refused ? { path: [refused.option], message: refused.message } : null;
}

/** Numbers of an image `[C, H, W]`; null where its shape is not known. */
export function dimensionsOf(shape: readonly number[] | null): number | null {
  return shape?.reduce((product, size) => product * size, 1) ?? null;
}

/** What a measure is taken of. */
interface Measured {
  /** As its `refused` is told: of the set, or of a batch; null where that is not known. */
  readonly images: number | null;
  /** Why it cannot be taken of so many. */
  readonly problem?: Problem;
}

function measuredImages(entry: Measure, settings: ObserveSettings, data: DataSettings | undefined): Measured {
  if (entry.kind === "sample") return ofSet(entry, settings as unknown as ImagesSettings, data);
  if (entry.kind === "probe") return ofTrainingImages(settings, data);
  if (entry.sampled === false) return { images: null };
  return ofBatches(entry, settings as unknown as SampleSettings, data);
}

/** A measure of a set of images at once. */
function ofSet(entry: Measure, { images: asked, split }: ImagesSettings, data: DataSettings | undefined): Measured {
  const least = entry.smallestSample ?? 2;
  const held = data?.[split] ?? null;
  const images = asked ?? (held === null ? null : Math.min(DEFAULT_IMAGES, held));
  const refuse = (message: string) => ({ images, problem: { path: ["images"], message } });
  if (held !== null && (images ?? 0) > held) return refuse(`${images} images are asked for, data.${split} is ${held}`);
  if (images !== null && images < least) return refuse(`expected at least ${least} images, got ${images}`);
  return { images };
}

/** A measure that is fitted on training images. */
function ofTrainingImages(settings: ObserveSettings, data: DataSettings | undefined): Measured {
  const asked = typeof settings.train === "number" ? settings.train : Number.POSITIVE_INFINITY;
  const images = Math.min(asked, data?.train ?? Number.POSITIVE_INFINITY);
  if (images >= 2) return { images: Number.isFinite(images) ? images : null };
  const message = `expected at least 2 training images, of two classes, got ${images}`;
  return { images, problem: { path: ["train"], message } };
}

/** A measure that is a mean over mini-batches. */
function ofBatches(
  entry: Measure,
  { batch, batches, split }: SampleSettings,
  data: DataSettings | undefined,
): Measured {
  const least = entry.smallestBatch ?? 2;
  if (batch < least) {
    const message = `expected at least ${least} images a batch, got ${batch}`;
    return { images: batch, problem: { path: ["batch"], message } };
  }
  const held = data?.[split] ?? null;
  const needed = batch * (batches ?? 1);
  if (held === null || needed <= held) return { images: batch };
  const need =
    batches === null
      ? `a batch of ${batch} needs ${batch} images`
      : `${batches} batches of ${batch} need ${needed} images`;
  const key = batch > held ? "batch" : "batches";
  return { images: batch, problem: { path: [key], message: `${need}, data.${split} is ${held}` } };
}
