// `optimizer.schedule` of an experiment file: which schedule of the learning rate, and its options. A map without a name
// is `step`, the only one there was before schedules had names; its settings are kept without one, so that a run is the
// same run whether the name is written or not.
import { z } from "zod";
import {
  type LearningRateSchedule,
  learningRateSchedules,
  type ScheduledPhase,
} from "../optimizers/learning-rate-schedules.js";
import { entryOf, type Registry } from "../registry.js";
import { didYouMean } from "./suggest.js";
import { isTree, show } from "./tree.js";

/** A schedule's options beside its name; without one: `step`. */
export interface RateSchedule {
  readonly name?: string;
  readonly [option: string]: unknown;
}

/** What a schedule without a name is. */
export const UNNAMED_SCHEDULE = "step";

const registry: Registry = learningRateSchedules;
const names = Object.keys(registry);

const NAMED = `the name of a schedule (known: ${names.join(", ")})`;
const EXPECTED = `${NAMED}, or a map such as { milestones: [80, 120] } or { name: cosine, warmup: 10 }`;

const [first, ...others] = Object.entries(registry).map(([name, { options }]) =>
  z.strictObject({ name: z.literal(name), ...options.shape }),
);

/** Reads `optimizer.schedule`, short forms written out. */
export const rateScheduleSchema = z
  .preprocess(readName, z.discriminatedUnion("name", [first!, ...others]))
  .transform(({ name, ...options }): RateSchedule => (name === UNNAMED_SCHEDULE ? options : { name, ...options }))
  .meta({ expected: EXPECTED });

/** A map with the name of a schedule and options of its own only; everything else is refused in words. */
function readName(given: unknown, context: z.RefinementCtx): unknown {
  const refuse = (path: string[], message: string) => context.addIssue({ code: "custom", path, message });
  if (!isTree(given)) return refuse([], `expected ${EXPECTED}, got ${show(given)}`);
  const { name = UNNAMED_SCHEDULE, ...options } = given;
  if (typeof name !== "string") return refuse(["name"], `expected ${NAMED}, got ${show(name)}`);
  if (!Object.hasOwn(registry, name)) {
    return refuse(["name"], `unknown schedule: ${name} (known: ${names.join(", ")})${didYouMean(name, names)}`);
  }
  const known = Object.keys(registry[name]!.options.shape);
  for (const key of Object.keys(options).filter((key) => !known.includes(key))) {
    const owner = names.find((other) => Object.hasOwn(registry[other]!.options.shape, key));
    const hint = owner === undefined ? "" : `; it belongs to { name: ${owner} }`;
    refuse([key], `${name} takes no ${key} (known: ${known.join(", ")})${hint}`);
  }
  return { name, ...options };
}

/** The rate of an epoch. @param at.epoch - from 0, within its phase; `at.epochs` are the phase's */
export function scheduledRate(schedule: RateSchedule | null, at: ScheduledPhase & { readonly epoch: number }): number {
  if (schedule === null) return at.base;
  const { entry, options } = chosen(schedule);
  return entry.rate(options, at);
}

/** Why a phase cannot be scheduled so, one sentence without a full stop; null when it can. */
export function refusedSchedule(schedule: RateSchedule | null, phase: ScheduledPhase): string | null {
  if (schedule === null) return null;
  const { entry, options } = chosen(schedule);
  return entry.refuses?.(options, phase) ?? null;
}

function chosen({ name = UNNAMED_SCHEDULE, ...options }: RateSchedule) {
  const entry: LearningRateSchedule = entryOf(learningRateSchedules, name);
  return { entry, options };
}
