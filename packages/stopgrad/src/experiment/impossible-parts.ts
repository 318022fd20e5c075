// How rule, loss, schedule and context go together, seen from the settings alone: nothing of this needs the data or the
// network itself.
import { type Mistake, mistakeAt } from "./check.js";
import { refusedSchedule } from "./rate-schedule.js";
import { missingWeights, publishedFor } from "./reconstruction.js";
import { optionsOf } from "./run-settings.js";
import type { LossTraits, SettingsRegistries } from "./settings-hooks.js";
import type { ValidParts } from "./valid-parts.js";

/** Every mistake of that kind. */
export function impossibleParts(parts: ValidParts, registries: SettingsRegistries): Mistake[] {
  const { loss, context } = parts;
  const entry = loss && registries.losses[loss.name];
  const views = (loss && entry?.views?.(optionsOf(entry, loss))) ?? 1;
  return [
    ...impossibleFormat(parts),
    ...impossibleViews(parts, views, registries),
    ...impossibleSchedule(parts, registries),
    ...(context ? impossibleContext(parts, views, entry) : []),
    ...unmatchableContext(parts),
    ...impossibleSegments(parts, entry),
    ...missingReconstruction(parts),
    ...impossibleRate(parts),
    ...impossibleNhsic(parts),
  ];
}

/** `format` without a classifier that learns when all else is done. */
function impossibleFormat({ format, classifier }: ValidParts): Mistake[] {
  if (!format || (format.epochs === null && format.learningRate === null) || classifier === "after") return [];
  return [mistakeAt(["format"], "it concerns a classifier that learns when all else is done; add classifier: after")];
}

/** Whether two views of an image differ. */
function isAugmented({ data }: ValidParts): boolean {
  if (!data) return false;
  const { augment } = data;
  const jitter = augment.jitter?.probability === 0 ? null : augment.jitter;
  return Object.values({ ...augment, views: null, jitter }).some(Boolean);
}

/** @param views - of each image that the loss compares */
function impossibleViews(parts: ValidParts, views: 1 | 2, registries: SettingsRegistries): Mistake[] {
  const { loss, data } = parts;
  if (!loss || !data) return [];
  const mistakes: Mistake[] = [];
  if (views === 2 && !isAugmented(parts)) {
    const way = registries.losses[loss.name]?.options.shape.views ? ", or views: 1" : "";
    const message = `${loss.name} compares two augmented views of each image: say in data.augment how they differ${way}`;
    mistakes.push(mistakeAt(["objective", "loss"], message));
  }
  const given = data.augment.views ?? views;
  if (given !== views) {
    const message = `${loss.name} takes ${views} of each image, got ${given}; leave it out`;
    mistakes.push(mistakeAt(["data", "augment", "views"], message));
  }
  return mistakes;
}

/** A schedule that the rule does not know, or outputs computed once where they change. */
function impossibleSchedule(parts: ValidParts, registries: SettingsRegistries): Mistake[] {
  const { rule, schedule, loss } = parts;
  const known = rule && registries.rules[rule.name]?.schedules;
  if (rule && schedule && known && !known.includes(schedule.name)) {
    const message = `${rule.name} knows no ${schedule.name} schedule; use ${known.join(" or ")}`;
    return [mistakeAt(["schedule"], message)];
  }
  if (schedule?.name !== "asynchronous") return [];
  const refuse = (problem: string) => [mistakeAt(["schedule"], `asynchronous ${problem}; use sequential`)];
  if (isAugmented(parts)) return refuse("computes outputs once, so that images cannot be augmented");
  if (loss && registries.losses[loss.name]?.propagatesLabels) {
    return refuse(`computes outputs once, and ${loss.name} sends labels along with every batch`);
  }
  return [];
}

/** @param views - of each image that the loss compares */
function impossibleContext(
  { context, loss, schedule, retrain, epochs, rule }: ValidParts,
  views: number,
  entry: LossTraits | undefined,
): Mistake[] {
  if (rule && rule.name !== "partitioned") return []; // said elsewhere
  if (entry?.propagatesLabels) {
    const message = `${loss?.name} sends labels through the modules, for which there is no context`;
    return [mistakeAt(["context"], message)];
  }
  if (schedule?.name === "asynchronous") {
    const message =
      "asynchronous keeps what the module before gives, and not what else a context needs; use sequential";
    return [mistakeAt(["schedule"], message)];
  }
  if (retrain) {
    const message = "weights of stages alone are taken over, not of contexts; leave out retrain";
    return [mistakeAt(["context"], message)];
  }
  const { selection } = context!;
  if (selection && views > 1) {
    const message = `it asks for the loss of plain images, and ${loss?.name} compares ${views} augmented views`;
    return [mistakeAt(["context", "selection"], message)];
  }
  if (selection && epochs !== undefined && selection.after > epochs) {
    const message = `expected at most the ${epochs} epochs of training, got ${selection.after}`;
    return [mistakeAt(["context", "selection", "after"], message)];
  }
  return [];
}

/** A cost that is to be matched is that of a whole context. */
function unmatchableContext({ match, rule, context }: ValidParts): Mistake[] {
  if (!match || rule?.name !== "partitioned") return [];
  if (context === null) {
    return [mistakeAt(["match"], "it widens the network to the cost of its context; say which context")];
  }
  if (!context?.selection) return [];
  const message =
    "it widens the network to the cost of the whole context, and a selection takes parts of it away; leave out context.selection";
  return [mistakeAt(["match"], message)];
}

/** Activations are computed again from images alone. */
function impossibleSegments(
  { gradientCheckpointing, loss, rule }: ValidParts,
  entry: LossTraits | undefined,
): Mistake[] {
  if (!entry?.propagatesLabels || !gradientCheckpointing || rule?.name !== "partitioned") return [];
  const message = `${loss?.name} sends labels through the modules beside the images, which are not computed again; leave it out`;
  return [mistakeAt(["gradientCheckpointing"], message)];
}

/** Weights that are to be published ones, where none are. */
function missingReconstruction({ reconstruction, model, data, partition }: ValidParts): Mistake[] {
  if (!reconstruction || !model || !data || partition === undefined) return [];
  const missing = missingWeights(reconstruction, publishedFor(model, data, partition));
  return missing === null ? [] : [mistakeAt(["objective", "reconstruction"], missing)];
}

/** A learning rate that cannot be scheduled so in one of the run's phases. */
function impossibleRate({ optimizer, epochs, format, classifier }: ValidParts): Mistake[] {
  if (!optimizer || epochs === undefined) return [];
  const { schedule, learningRate } = optimizer;
  const phases = [{ base: learningRate, epochs }];
  if (format && classifier === "after") {
    phases.push({ base: format.learningRate ?? learningRate, epochs: format.epochs ?? epochs });
  }
  const refused = phases.map((phase) => refusedSchedule(schedule, phase)).find((message) => message !== null) ?? null;
  return refused === null ? [] : [mistakeAt(["optimizer", "schedule"], refused)];
}

function impossibleNhsic({ nhsic, data }: ValidParts): Mistake[] {
  if (!nhsic || !data || data.batch >= 2) return [];
  return [mistakeAt(["objective", "nhsic"], `it needs batches of 2 images, got ${data.batch}`)];
}
