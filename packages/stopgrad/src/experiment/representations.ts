// Representations of the same samples, wherever they come from: arrays in files, or the stages of a trained network. What
// measures are taken of by `stopgrad measure`, `probe` and `sensitivity`. Rows are read a batch at a time, so that neither
// a file nor a stage's output of all samples has to fit into memory.
import { keep, scope, type Tensor, zeros } from "@stopgrad/torch";
import { faultOf, type NamedArray, requireFinite } from "../data/arrays.js";
import { type Normalisation, slice, type TensorSet } from "../data/loader.js";

/** Given a batch's input and labels; what it returns is given each representation of the batch, first to last. */
export type BatchReader = (x: Tensor | null, labels: Tensor | null) => (z: Tensor, at: number) => void;

export interface Representations {
  /** Files or stages, first to last. */
  readonly names: readonly string[];
  /** Of each, without the samples. */
  readonly shapes: readonly (readonly number[])[];
  /** Samples, N. */
  readonly count: number;
  readonly hasInput: boolean;
  /** Classes, int64 `[N]`, on the device of the representations; null where none are known. */
  readonly labels: Tensor | null;
  /** K; 0 where no labels are known. */
  readonly classes: number;
  /**
   * Samples `start` to `start + count`. Input `[count, …]` and representations `[count, …]` are of any element type and
   * gone when `begin` and what it returned return; what those make lives on only if it is kept.
   */
  pass(start: number, count: number, begin: BatchReader): void;
  /**
   * All samples of one representation after the other, as `visit(z [N, …], at, x [N, …] or null)`. Files are visited as
   * they are mapped; a network's stages in as many passes as keep what is in memory below `LARGEST_GATHERED` bytes.
   */
  visit(visitor: (z: Tensor, at: number, x: Tensor | null) => void): void;
  /**
   * What is wrong with a representation itself, in words: a number that is not finite, in arrays that are handed on with
   * such numbers for a measure to refuse. Null where nothing is, absent where nothing can be.
   */
  faultOf?(at: number): string | null;
  /** Frees what belongs to it; a network stays. */
  dispose(): void;
}

/** Bytes of gathered outputs in one pass through a network, unless one stage alone has more. */
export const LARGEST_GATHERED = 2 ** 30;

/** Images of one forward pass where all samples of a stage are gathered. */
export const GATHERED_AT_ONCE = 500;

/**
 * Arrays with the same samples along their first dimension, usually mapped from files. What is read is looked at first:
 * reading throws ArrayError for a number that is not finite.
 * @param notFinite - of representations: `throw` as of the input, or `hand-on` to a measure, which refuses that one
 */
export function ofArrays(
  z: readonly NamedArray[],
  x: NamedArray | null,
  labels: { readonly labels: Tensor; readonly classes: number } | null,
  notFinite: "throw" | "hand-on" = "throw",
): Representations {
  const looked = notFinite === "throw" ? z : [];
  return {
    names: z.map(({ name }) => name),
    shapes: z.map(({ tensor }) => tensor.shape.slice(1)),
    count: z[0]!.tensor.size(0),
    hasInput: x !== null,
    labels: labels?.labels ?? null,
    classes: labels?.classes ?? 0,
    pass(start, count, begin) {
      scope(() => {
        const rows = ({ tensor }: NamedArray) => tensor.narrow(0, start, count);
        if (x) requireFinite(x, start, start + count);
        const read = begin(x && rows(x), labels?.labels.narrow(0, start, count) ?? null);
        for (const [at, array] of z.entries()) {
          if (looked.length > 0) requireFinite(array, start, start + count);
          scope(() => read(rows(array), at));
        }
      });
    },
    visit(visitor) {
      for (const array of x ? [x, ...looked] : looked) requireFinite(array);
      for (const [at, { tensor }] of z.entries()) scope(() => visitor(tensor, at, x?.tensor ?? null));
    },
    faultOf: (at) => faultOf(z[at]!),
    dispose() {
      labels?.labels.dispose();
      for (const { tensor } of x ? [x, ...z] : z) tensor.dispose();
    },
  };
}

/** Where the outputs of a network's stages come from. */
export interface StageSource {
  readonly set: TensorSet;
  readonly normalisation: Normalisation;
  /** Images, the first ones of the set. */
  readonly count: number;
  readonly classes: number;
  /** Of all stages, first to last. */
  readonly names: readonly string[];
  /** Places of those that are wanted, ascending. */
  readonly chosen: readonly number[];
  /** Runs the network in evaluation mode on normalised images; an output is gone when `read` returns. */
  readStages(images: Tensor, read: (output: Tensor, stage: number) => void): void;
}

/** Outputs of some of a network's stages, computed when they are read: one pass gives a batch of all of them. */
export function ofStages({
  set,
  normalisation,
  count,
  classes,
  names,
  chosen,
  readStages,
}: StageSource): Representations {
  const places = new Map(chosen.map((stage, place) => [stage, place]));
  const pass = (start: number, size: number, begin: BatchReader) => {
    scope(() => {
      const { images, labels } = slice(set, start, size, normalisation);
      const read = begin(images, labels);
      readStages(images, (output, stage) => {
        const place = places.get(stage);
        if (place !== undefined) read(output, place);
      });
    });
  };
  let known: (readonly number[])[] | undefined;
  /** Of each stage asked for, from the first image; only where somebody asks. */
  const shapes = () => {
    if (known) return known;
    const found: (readonly number[])[] = [];
    pass(0, 1, () => (output, place) => {
      found[place] = output.shape.slice(1);
    });
    known = found;
    return found;
  };
  const labels = scope(() => keep(set.labels.narrow(0, 0, count).clone()));
  return {
    names: chosen.map((stage) => names[stage]!),
    get shapes() {
      return shapes();
    },
    count,
    hasInput: true,
    labels,
    classes,
    pass,
    visit(visitor) {
      for (const group of gatheredGroups(shapes(), count)) {
        scope(() => {
          const { device } = labels;
          const gathered = new Map(group.map((place) => [place, roomFor(shapes()[place]!, count, device)]));
          const input = roomFor(set.images.shape.slice(1), count, device);
          for (let start = 0; start < count; start += GATHERED_AT_ONCE) {
            const size = Math.min(GATHERED_AT_ONCE, count - start);
            pass(start, size, (images) => {
              input.narrow(0, start, size).copy_(images!);
              return (output, place) => void gathered.get(place)?.narrow(0, start, size).copy_(output);
            });
          }
          for (const place of group) scope(() => visitor(gathered.get(place)!, place, input));
        });
      }
    },
    dispose: () => labels.dispose(),
  };
}

/** Some samples of a source, in the order of `rows`, ascending: a part of a split array. */
export function rowsOf(source: Representations, rows: Tensor): Representations {
  const labels = source.labels && keep(source.labels.indexSelect(0, rows));
  const positions = rows.toNumbers();
  return {
    ...source,
    count: positions.length,
    labels,
    pass(start, count, begin) {
      scope(() => {
        const first = positions[start]!;
        const last = positions[start + count - 1]!;
        const chosen = rows.narrow(0, start, count).sub(first);
        source.pass(first, last - first + 1, (x, y) => {
          const take = (tensor: Tensor) => tensor.indexSelect(0, chosen);
          const read = begin(x && take(x), y && take(y));
          return (z, at) => scope(() => read(take(z), at));
        });
      });
    },
    visit(visitor) {
      source.visit((z, at, x) => scope(() => visitor(z.indexSelect(0, rows), at, x?.indexSelect(0, rows) ?? null)));
    },
    dispose() {
      labels?.dispose();
      rows.dispose();
    },
  };
}

/**
 * What `reduce` leaves of all samples of each representation, `[N, …]` float32 each, from one reading of the source.
 *
 * Memory: what is returned, and what is left of a batch of 500 samples.
 * @param limit - only so many samples, the first ones
 * @param breathe - called before each batch with how many samples are done; what it throws ends the reading
 */
export function collect(
  source: Pick<Representations, "pass">,
  limit: number,
  reduce: (z: Tensor) => Tensor,
  breathe: (done: number) => void = () => {},
): Tensor[] {
  return scope(() => {
    const whole: Tensor[] = [];
    for (let start = 0; start < limit; start += GATHERED_AT_ONCE) {
      breathe(start);
      const size = Math.min(GATHERED_AT_ONCE, limit - start);
      for (const [at, reduced] of reducedBatch(source, start, size, reduce).entries()) {
        whole[at] ??= roomFor(reduced.shape.slice(1), limit, reduced.device);
        scope(() => whole[at]!.narrow(0, start, size).copy_(reduced));
        reduced.dispose();
      }
    }
    return whole;
  });
}

/** What `reduce` leaves of a batch of each representation; the caller frees it. */
function reducedBatch(
  source: Pick<Representations, "pass">,
  start: number,
  size: number,
  reduce: (z: Tensor) => Tensor,
): Tensor[] {
  const kept: Tensor[] = [];
  try {
    source.pass(start, size, () => (z, at) => {
      const reduced = reduce(z);
      kept[at] = keep(reduced === z ? z.clone() : reduced);
    });
    return kept;
  } catch (error) {
    for (const reduced of kept) reduced?.dispose();
    throw error;
  }
}

/** Stages in order, in groups whose outputs of `count` samples take at most `LARGEST_GATHERED` bytes together. */
export function gatheredGroups(shapes: readonly (readonly number[])[], count: number): number[][] {
  const groups: number[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const [at, shape] of shapes.entries()) {
    const own = 4 * count * shape.reduce((product, size) => product * size, 1);
    if (bytes + own > LARGEST_GATHERED) {
      groups.push([]);
      bytes = 0;
    }
    groups.at(-1)!.push(at);
    bytes += own;
  }
  return groups;
}

/** Room for `count` samples, float32 `[count, …shape]`, to be written batch by batch. */
export function roomFor(shape: readonly number[], count: number, device: string): Tensor {
  return zeros([count, ...shape], { device });
}
