// Where along a network classes become separable, from the probe accuracies of its stages in order: the stage at which
// they saturate, and how gradually they rise to it.
// Definitions: the saturation layer as in the project's specification (9); early and late parts of the rise are ours.
import { type Summary, summarise, summariseKnown } from "./summary.js";

/** Accuracies are counts over a number of images: differences below this are rounding. */
const ROUNDING = 1e-9;

/**
 * The saturation layer: the first stage whose test accuracy is within one point of the highest of all stages.
 *
 *   min { l : a_l ≥ max a − within }
 *
 * @param testAccuracies - of the stages in network order, in [0, 1]; at least one
 * @param within - a difference of accuracies, default 0.01; 0 gives the first stage with the highest accuracy
 * @returns the stage's index, from 0
 * It looks for a maximum of noisy numbers: with few test images a later stage may be the highest by chance.
 * @throws RangeError for no stages, or what is no accuracy
 */
export function saturation(testAccuracies: readonly number[], within = 0.01): number {
  requireAccuracies("saturation", testAccuracies);
  if (!(within >= 0)) throw new RangeError(`saturation: expected a difference of at least 0, got ${within}`);
  const enough = Math.max(...testAccuracies) - within - ROUNDING;
  return testAccuracies.findIndex((accuracy) => accuracy >= enough);
}

/**
 * The saturation layer's index over seeds: its mean, spread and t-interval.
 *
 * @param runs - test accuracies of the stages, a list a seed, all as long
 * @param level - confidence, 0 < level < 1, default 0.95
 * The index is a whole number, so that few seeds often agree and their interval has no width.
 */
export function saturationOverSeeds(runs: readonly (readonly number[])[], within = 0.01, level = 0.95): Summary {
  requireSameStages("saturationOverSeeds", runs);
  return summarise(
    runs.map((accuracies) => saturation(accuracies, within)),
    level,
  );
}

/** How the accuracy above chance is spread over the stages, as parts of what the last stage has. */
export interface Rise {
  /** What the first quarter of the stages has reached: near 1 where accuracy jumps early, near 1/4 where it rises evenly. */
  early: number;
  /** What the last quarter adds: near 0 where accuracy stays, near 1/4 where it rises evenly, below 0 where it falls. */
  late: number;
}

/**
 * Whether accuracy rises gradually or jumps early and stays: with a_l the accuracy after l of L stages,
 *
 *   early = (a_⌈L/4⌉ − chance) / (a_L − chance)     late = (a_L − a_⌈3L/4⌉) / (a_L − chance)
 *
 * @param testAccuracies - of the stages in network order, in [0, 1]; at least one
 * @param chance - accuracy of guessing, 1 / classes where classes are balanced
 * @returns null where the last stage is not above chance, or there are fewer than four stages
 * Probes of few training images overfit wide stages, which looks like a fall. Both may lie outside [0, 1].
 * @throws RangeError for no stages, or what is no accuracy
 */
export function rise(testAccuracies: readonly number[], chance: number): Rise | null {
  requireAccuracies("rise", testAccuracies);
  if (!(chance >= 0 && chance < 1)) throw new RangeError(`rise: expected chance in [0, 1), got ${chance}`);
  const stages = testAccuracies.length;
  const after = (count: number) => testAccuracies[count - 1]!;
  const reached = after(stages) - chance;
  if (stages < 4 || reached <= ROUNDING) return null;
  return {
    early: (after(Math.ceil(stages / 4)) - chance) / reached,
    late: (after(stages) - after(Math.ceil((3 * stages) / 4))) / reached,
  };
}

/** Both parts of the rise over seeds; null where no run has them. */
export interface RiseOverSeeds {
  early: Summary | null;
  late: Summary | null;
}

/** @param runs - test accuracies of the stages, a list a seed, all as long */
export function riseOverSeeds(runs: readonly (readonly number[])[], chance: number, level = 0.95): RiseOverSeeds {
  requireSameStages("riseOverSeeds", runs);
  const rises = runs.map((accuracies) => rise(accuracies, chance));
  return {
    early: summariseKnown(
      rises.map((one) => one?.early),
      level,
    ),
    late: summariseKnown(
      rises.map((one) => one?.late),
      level,
    ),
  };
}

function requireAccuracies(where: string, accuracies: readonly number[]): void {
  if (accuracies.length === 0) throw new RangeError(`${where}: expected accuracies of at least one stage, got none`);
  const wrong = accuracies.find((accuracy) => !(accuracy >= 0 && accuracy <= 1));
  if (wrong !== undefined) throw new RangeError(`${where}: expected accuracies in [0, 1], got ${wrong}`);
}

function requireSameStages(where: string, runs: readonly (readonly number[])[]): void {
  if (runs.length === 0) throw new RangeError(`${where}: expected at least one run, got none`);
  const other = runs.find((run) => run.length !== runs[0]!.length);
  if (other === undefined) return;
  throw new RangeError(`${where}: expected ${runs[0]!.length} stages in every run, got ${other.length}`);
}
