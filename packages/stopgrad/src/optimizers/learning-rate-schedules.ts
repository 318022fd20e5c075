// How a learning rate changes over the epochs: the schedules `optimizer.schedule` of an experiment file can name. Plain
// functions of the epoch, with nothing to save; a phase of a run begins its schedule anew. Without libtorch, because
// settings are checked without it.
//
// Adding one: an entry here.
import { z } from "zod";
import type { RegistryEntry } from "../registry.js";

type Options = Readonly<Record<string, unknown>>;

/** A phase of a run, as its schedule sees it. */
export interface ScheduledPhase {
  /** The rate that is scheduled, above 0. */
  readonly base: number;
  /** Epochs of the phase. */
  readonly epochs: number;
}

/** A named schedule. `options` are what stands beside `optimizer.schedule.name`. */
export interface LearningRateSchedule extends RegistryEntry {
  /**
   * The rate of an epoch, 0 or more.
   * @param at.epoch - from 0, within the phase
   */
  rate(options: Options, at: ScheduledPhase & { readonly epoch: number }): number;
  /** Why a phase cannot be scheduled so, one sentence without a full stop; null when it can. */
  refuses?(options: Options, phase: ScheduledPhase): string | null;
}

const epochNumber = z.int().positive();
const ascending = (list: readonly number[]) => list.every((item, i) => i === 0 || item > (list[i - 1] ?? 0));

const stepOptions = z.strictObject({
  /** Epochs after which the rate is multiplied once more. */
  milestones: z.array(epochNumber).min(1).refine(ascending, { error: "expected ascending epochs, each once" }),
  /** Factor at each; PyTorch's default. */
  gamma: z.number().positive().default(0.1),
});

/** base · gamma^(milestones passed). */
const step: LearningRateSchedule = {
  summary: "times gamma after each of the epochs in milestones",
  source: "PyTorch's MultiStepLR",
  options: stepOptions,
  rate(given, { base, epoch }) {
    const { milestones, gamma } = stepOptions.parse(given);
    return base * gamma ** milestones.filter((milestone) => epoch >= milestone).length;
  },
};

const cosineOptions = z.strictObject({
  /** Epochs in which the rate rises. */
  warmup: z.int().nonnegative().default(0),
  /** The rate of the first of them. */
  warmupStart: z.number().nonnegative().default(0.01),
});

/**
 * Half a cosine down to exactly 0 in the last epoch, which moves no weights. With W epochs of warm-up, of T, the first W
 * go over from the start's rate to the cosine. With e counted from 1:
 *
 *   cosine(e) = base · (1 + cos(π e / T)) / 2
 *   rate(e)   = cosine(e) · (e − 1) / W + warmupStart · (W + 1 − e) / W    for e <= W, else cosine(e)
 *
 * The cosine runs under the warm-up, so that the rate never reaches its base.
 */
const cosine: LearningRateSchedule = {
  summary: "half a cosine down to 0 in the last epoch, after warmup epochs that rise from the rate warmupStart",
  source: "released code of arXiv 2101.10832 and 2312.07636; cosine: Loshchilov & Hutter, arXiv 1608.03983",
  options: cosineOptions,
  rate(given, { base, epoch, epochs }) {
    const { warmup, warmupStart } = cosineOptions.parse(given);
    const falling = 0.5 * base * (1 + Math.cos((Math.PI * (epoch + 1)) / epochs));
    if (epoch >= warmup) return falling;
    return (falling * epoch) / warmup + (warmupStart * (warmup - epoch)) / warmup;
  },
  refuses(given, { base, epochs }) {
    const { warmup, warmupStart } = cosineOptions.parse(given);
    if (warmup > epochs) {
      return `expected a warm-up within the ${count(epochs)} of training, got ${count(warmup)}; use warmup: 0, or train longer`;
    }
    if (warmup > 0 && warmupStart > base) {
      return `expected a warm-up that starts at or below the learning rate ${base}, got warmupStart: ${warmupStart}; set one of them`;
    }
    if (warmup === 0 && epochs === 1) {
      return "a cosine ends with the rate 0, so that its only epoch would train nothing; train longer, or use no schedule";
    }
    return null;
  },
};

function count(epochs: number): string {
  return epochs === 1 ? "1 epoch" : `${epochs} epochs`;
}

export const learningRateSchedules = { step, cosine } satisfies Record<string, LearningRateSchedule>;
