// Plain nested data, as YAML gives it: what a path is, and how to walk one. Everything in this folder that handles an
// experiment file before it is validated works on these few functions.

/** A YAML map. */
export type Tree = { readonly [key: string]: unknown };

/** Keys and list positions from the top, for example `["optimizer", "schedule", "milestones", 0]`. */
export type Path = readonly (string | number)[];

export function isTree(value: unknown): value is Tree {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** `["seeds", 0]` → `seeds[0]`. */
export function formatPath(path: Path): string {
  return path.map((part, i) => (typeof part === "number" ? `[${part}]` : i === 0 ? part : `.${part}`)).join("");
}

/** The value at a path, or undefined. Only own keys count: `constructor` is not found in an empty map. */
export function valueAt(value: unknown, path: Path): unknown {
  let current = value;
  for (const part of path) {
    if (typeof current !== "object" || current === null || !Object.hasOwn(current, part)) return undefined;
    current = (current as Record<string | number, unknown>)[part];
  }
  return current;
}

/** How many leading parts of a path exist in a value: `path.length` when all of it does. */
export function depthReached(value: unknown, path: Path): number {
  let current = value;
  for (const [depth, part] of path.entries()) {
    if (typeof current !== "object" || current === null || !Object.hasOwn(current, part)) return depth;
    current = (current as Record<string | number, unknown>)[part];
  }
  return path.length;
}

/** `nest(["a", "b"], 1)` → `{ a: { b: 1 } }`. */
export function nest(path: readonly string[], value: unknown): unknown {
  return path.reduceRight<unknown>((inner, key) => Object.fromEntries([[key, inner]]), value);
}

/**
 * A copy of a map with one key set, in the place it had, else last; `fromEntries` defines keys, so that even
 * `__proto__` is only a key.
 */
export function withKey(tree: Tree, key: string, value: unknown): Tree {
  const entries = Object.entries(tree);
  const isThere = Object.hasOwn(tree, key);
  return Object.fromEntries(
    isThere ? entries.map(([k, old]) => [k, k === key ? value : old]) : [...entries, [key, value]],
  );
}

export function withoutKey(tree: Tree, key: string): Tree {
  return Object.fromEntries(Object.entries(tree).filter(([k]) => k !== key));
}

/** Equality of plain data; the order of keys does not matter, NaN equals NaN. */
export function sameValue(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (Array.isArray(a) && Array.isArray(b)) {
    return a.length === b.length && a.every((item, i) => sameValue(item, b[i]));
  }
  if (!isTree(a) || !isTree(b)) return false;
  const keys = Object.keys(a);
  return (
    keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && sameValue(a[key], b[key]))
  );
}

/** A value as an error message shows it: JSON, but with NaN and infinities by name, cut after 60 characters. */
export function show(value: unknown): string {
  if (value === undefined) return "nothing";
  const text = typeof value === "number" ? String(value) : (JSON.stringify(value) ?? String(value));
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

/** Whether a parsed value holds itself, as an anchor inside its own map does. */
export function containsItself(value: unknown, above: readonly unknown[] = []): boolean {
  if (typeof value !== "object" || value === null) return false;
  if (above.includes(value)) return true;
  return Object.values(value).some((inner) => containsItself(inner, [...above, value]));
}
