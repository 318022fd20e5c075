// Settings that were given and mean nothing to the rule: refused, so that nobody reads a result as if they had been used.
import { type Mistake, mistakeAt } from "./check.js";
import type { NamedSettings } from "./run-settings.js";
import type { SettingsRegistries } from "./settings-hooks.js";
import { isTree, type Path } from "./tree.js";

/** What stands in settings that are written out in full where nothing was given. */
const unset: Readonly<Record<string, { readonly path: Path; readonly value: unknown }>> = {
  partition: { path: ["partition"], value: 1 },
  classifier: { path: ["classifier"], value: "attached" },
  schedule: { path: ["schedule"], value: "simultaneous" },
  loss: { path: ["objective", "loss"], value: "cross-entropy" },
  head: { path: ["objective", "head"], value: "linear" },
  nhsic: { path: ["objective", "nhsic"], value: null },
  reconstruction: { path: ["objective", "reconstruction"], value: null },
  context: { path: ["context"], value: null },
  match: { path: ["match"], value: null },
  gradientCheckpointing: { path: ["gradientCheckpointing"], value: false },
  parallel: { path: ["parallel"], value: false },
};

/** Settings that were given and mean nothing to the rule. @param given - what stands at a path, null for nothing */
export function meaninglessForRule(
  rule: NamedSettings | undefined,
  registries: SettingsRegistries,
  given: (path: Path) => unknown,
): Mistake[] {
  const ignored = (rule && registries.rules[rule.name]?.ignores) ?? [];
  return ignored
    .map((key) => unset[key]!)
    .filter(({ path, value }) => {
      const found = given(path);
      return found !== null && (isTree(found) ? found.name : found) !== value;
    })
    .map(({ path }) => mistakeAt(path, `${rule?.name} does not use it; leave it out, or set it to null`, "key"));
}
