// What keeps modules from learning beside each other (`parallel`): something that ties them together, or nothing beside
// which one could learn.
import { type Mistake, mistakeAt } from "./check.js";
import type { SettingsRegistries } from "./settings-hooks.js";
import type { ValidParts } from "./valid-parts.js";

/** @param modules - how many there are; null where that is not known before the work */
export function impossibleParallel(
  parts: ValidParts,
  modules: number | null,
  registries: SettingsRegistries,
): Mistake[] {
  const { parallel, rule } = parts;
  if (!parallel) return [];
  if (rule && rule.name !== "partitioned") return []; // said elsewhere
  const reason = whyNotBeside(parts, modules, registries);
  if (reason !== null) return [mistakeAt(["parallel"], reason)];
  const { workers } = parallel;
  if (workers === null || modules === null || workers <= modules) return [];
  const message = `expected at most one for each of the ${modules} modules, got ${workers}`;
  return [mistakeAt(["parallel", "workers"], message)];
}

/** One sentence; null where nothing keeps them from it. */
function whyNotBeside(
  { schedule, classifier, loss, context, model, device }: ValidParts,
  modules: number | null,
  registries: SettingsRegistries,
): string | null {
  if (modules === 1) return "there is one module, and nothing that could learn beside it; cut the network";
  if (schedule && schedule.name !== "simultaneous") {
    return `a ${schedule.name} schedule trains one module at a time; use simultaneous`;
  }
  if (loss && registries.losses[loss.name]?.propagatesLabels) {
    return `${loss.name} sends labels through the modules, which ties them together`;
  }
  if (classifier === "after") {
    return "a classifier that learns after all else has nothing beside it; use attached or detached";
  }
  if (context?.selection) return "a selection takes context paths out of use for all modules at once";
  if (typeof model?.dropout === "number" && model.dropout > 0) {
    return "masks of dropout are drawn for one module after the other; use dropout: 0";
  }
  if (device?.startsWith("cuda")) return `modules on ${device} would wait for each other; use cpu`;
  return null;
}
