// An experiment file as layers: the settings at the top level, and the variants that are merged over them.
//
// Maps merge key by key; lists and single values replace; null takes a setting away, so that its default holds again.
// Where a section names a registry entry (a model, a loss, ...) and the layer above names another one, the options of
// the first are dropped, because they mean nothing to the second; what belongs to every entry is kept.
import { UNNAMED_SCHEDULE } from "./rate-schedule.js";
import { contextWrittenOut, headWrittenOut, reconstructionWrittenOut } from "./short-forms.js";
import { isTree, type Tree, withKey } from "./tree.js";

/** A setting that names a registry entry: `model: lenet5` or `model: { name: lenet5, ...options }`. */
export interface NamedSetting {
  readonly path: readonly string[];
  /** Keys that belong to every entry of the registry and outlive a change of name. */
  readonly common: readonly string[];
  /** What a map without a name is, where it is always the same entry. */
  readonly unnamed?: string;
}

export const NAMED_SETTINGS: readonly NamedSetting[] = [
  { path: ["data"], common: ["train", "test", "batch", "evaluationBatch", "augment"] },
  { path: ["model"], common: [] },
  { path: ["rule"], common: [] },
  { path: ["schedule"], common: [] },
  { path: ["optimizer"], common: ["schedule"] },
  { path: ["optimizer", "schedule"], common: [], unnamed: UNNAMED_SCHEDULE },
  { path: ["objective", "loss"], common: [] },
  { path: ["objective", "head"], common: [] },
  { path: ["context", "fusion"], common: [] },
];

/** `{ cuts: [3] }` and `{ modules: 4, balance: memory }` are two ways to say one thing: each replaces the other. */
function replaces(value: Tree, below: Tree, path: readonly string[]): boolean {
  return path.join(".") === "partition" && "cuts" in value !== "cuts" in below;
}

function namedAt(path: readonly string[]): NamedSetting | undefined {
  return NAMED_SETTINGS.find((named) => named.path.join(".") === path.join("."));
}

/**
 * Short forms written out: `model: lenet5` → `model: { name: lenet5 }`, `observe: { nhsic: true }` → `{ nhsic: {} }`,
 * `nhsic: false` → `nhsic: null`, and those of short-forms.ts. Everything else is returned as it is, right or wrong.
 */
export function writeOut(layer: Tree): Tree {
  let tree = mapAt(layer, ["objective", "head"], headWrittenOut);
  tree = mapAt(tree, ["objective", "reconstruction"], reconstructionWrittenOut);
  tree = mapAt(tree, ["context"], contextWrittenOut);
  for (const { path } of NAMED_SETTINGS) {
    tree = mapAt(tree, path, (value) => (typeof value === "string" ? { name: value } : value));
  }
  return mapAt(tree, ["observe"], (observe) =>
    isTree(observe)
      ? Object.fromEntries(
          Object.entries(observe).map(([key, value]) => [key, value === true ? {} : value === false ? null : value]),
        )
      : observe,
  );
}

function mapAt(tree: Tree, path: readonly string[], change: (value: unknown) => unknown): Tree {
  const [key, ...rest] = path;
  if (key === undefined || !Object.hasOwn(tree, key)) return tree;
  const value = tree[key];
  if (rest.length === 0) return withKey(tree, key, change(value));
  return isTree(value) ? withKey(tree, key, mapAt(value, rest, change)) : tree;
}

/** `over` laid over `base`, both written out. Neither is changed. */
export function mergeLayers(base: Tree, over: Tree, path: readonly string[] = []): Tree {
  let merged = base;
  for (const [key, value] of Object.entries(over)) {
    const at = [...path, key];
    const below = Object.hasOwn(base, key) ? base[key] : undefined;
    const joins = isTree(below) && isTree(value) && !replaces(value, below, at);
    merged = withKey(merged, key, joins ? mergeLayers(keepFor(value, below, namedAt(at)), value, at) : value);
  }
  return merged;
}

/** What remains of `below` when `value` is laid over it: the common keys alone, if it names another entry. */
function keepFor(value: Tree, below: Tree, named: NamedSetting | undefined): Tree {
  if (named === undefined) return below;
  const before = below.name ?? named.unnamed;
  const renames = typeof value.name === "string" && typeof before === "string" && value.name !== before;
  if (!renames) return below;
  return Object.fromEntries(Object.entries(below).filter(([key]) => named.common.includes(key)));
}
