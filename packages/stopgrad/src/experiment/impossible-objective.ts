// What the objective asks of modules that they do not give: a loss that the only module would not learn from, and heads
// that do not go with the loss.
import { type Mistake, mistakeAt } from "./check.js";
import type { SettingsRegistries } from "./settings-hooks.js";
import type { ValidParts } from "./valid-parts.js";

/** @param modules - K, as the partition says; null where that is not known */
export function impossibleObjective(
  parts: ValidParts,
  modules: number | null,
  registries: SettingsRegistries,
): Mistake[] {
  return [...unusedLoss(parts, modules, registries), ...impossibleHead(parts, modules, registries)];
}

/** The only module is trained through the classifier, with a loss that takes no class scores. */
function unusedLoss(
  { loss, classifier }: ValidParts,
  modules: number | null,
  { losses }: SettingsRegistries,
): Mistake[] {
  if (!loss || classifier !== "attached" || modules !== 1 || losses[loss.name]?.classifies !== false) return [];
  const message = `the only module would learn from the classifier alone and not from ${loss.name}; use detached or after`;
  return [mistakeAt(["classifier"], message)];
}

/** A head that the loss cannot use, where heads are used at all. */
function impossibleHead(
  { loss, head, classifier, partition }: ValidParts,
  modules: number | null,
  { losses }: SettingsRegistries,
): Mistake[] {
  const usesHeads = classifier !== "attached" || (partition !== undefined && modules !== 1);
  const entry = loss && losses[loss.name];
  if (!usesHeads || !loss || !head || !entry?.heads || entry.heads.includes(head.name)) return [];
  const scores = entry.classifies && head.name === "none";
  const why = scores
    ? " needs class scores from every module, and head none gives none"
    : ` takes no head ${head.name}`;
  return [mistakeAt(["objective", "head"], `${loss.name}${why}; use head: ${entry.heads.join(" or ")}`)];
}
