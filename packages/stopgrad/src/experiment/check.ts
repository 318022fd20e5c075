// Checks one map of settings against a zod schema and words every mistake: unknown keys by name with the nearest known
// one, everything else as what was expected and what came. Null stands for "not set": the default holds.
import type { z } from "zod";
import { describe, knownKeys, type Shape, shapeAt, shapeOf } from "./describe.js";
import { didYouMean } from "./suggest.js";
import { isTree, type Path, show, type Tree, valueAt } from "./tree.js";

/** A mistake before its place in the file is known; `path` is relative to what was checked. */
export interface Mistake {
  readonly path: Path;
  readonly message: string;
  /** Whether the key or its value is wrong. */
  readonly part: "key" | "value";
}

export function mistakeAt(path: Path, message: string, part: Mistake["part"] = "value"): Mistake {
  return { path, message, part };
}

export type Checked<T> = { readonly value: T } | { readonly mistakes: readonly Mistake[] };

/** Finds settings of that name elsewhere, for a key that stands in the wrong section. */
export type Elsewhere = (key: string) => string | undefined;

/** Maps within a section that do not depend on what it names. */
const FIXED_PARTS = ["data.augment.", "optimizer.schedule.", "context.selection."];

/** The same without a section that is being checked: a key of another entry there is no place to move it to. */
export function outside(section: string, elsewhere: Elsewhere): Elsewhere {
  return (key) => {
    const place = elsewhere(key);
    const isHere = place?.startsWith(`${section}.`) && !FIXED_PARTS.some((part) => place.startsWith(part));
    return isHere ? undefined : place;
  };
}

const shapes = new WeakMap<z.ZodType, Shape>();

/** `shapeOf`, computed once a schema. */
export function cachedShape(schema: z.ZodType): Shape {
  let shape = shapes.get(schema);
  if (shape === undefined) {
    shape = shapeOf(schema);
    shapes.set(schema, shape);
  }
  return shape;
}

/**
 * @param schema - of the map; a plain `z.object` is read as strict
 * @param also - keys that are known here but checked by somebody else: left out of the check, named among the known
 */
export function checkMap<S extends z.ZodObject>(
  schema: S,
  settings: Tree,
  elsewhere: Elsewhere,
  also: readonly string[] = [],
): Checked<z.output<S>> {
  const shape = cachedShape(schema);
  const mine = Object.fromEntries(Object.entries(settings).filter(([key]) => !also.includes(key)));
  const mistakes: Mistake[] = unknownKeys(shape, mine, [], elsewhere, also);
  const known = prune(shape, mine) as Tree;
  const parsed = schema.safeParse(known);
  for (const issue of parsed.success ? [] : parsed.error.issues) {
    const path = issue.path.map((part) => (typeof part === "symbol" ? String(part) : part));
    if (issue.code === "unrecognized_keys") {
      // Reached only where the JSON Schema does not show the map, for example inside a transform.
      for (const key of issue.keys) mistakes.push({ path: [...path, key], message: "unknown key", part: "key" });
    } else {
      mistakes.push({ path, message: reword(issue, shapeAt(shape, path), valueAt(known, path)), part: "value" });
    }
  }
  return parsed.success && mistakes.length === 0 ? { value: parsed.data } : { mistakes };
}

/** The sentence for one issue. */
function reword(issue: z.core.$ZodIssue, shape: Shape | undefined, value: unknown): string {
  if (issue.code === "custom" || shape === undefined) return issue.message;
  const expected = describe(shape);
  if (value === undefined) return `missing; expected ${expected}`;
  const choices = (shape.enum ?? []).filter((choice) => typeof choice === "string");
  const hint = typeof value === "string" ? didYouMean(value, choices) : "";
  const listed =
    shape.type === "array" && !shape.prefixItems && !Array.isArray(value) && !isTree(value)
      ? `; write [${showItem(value)}]`
      : "";
  return `expected ${expected}, got ${show(value)}${hint}${listed}`;
}

function showItem(value: unknown): string {
  return typeof value === "string" ? value : show(value);
}

function unknownKeys(
  shape: Shape | undefined,
  value: unknown,
  path: Path,
  elsewhere: Elsewhere,
  also: readonly string[] = [],
): Mistake[] {
  if (Array.isArray(value)) {
    return value.flatMap((item, i) => unknownKeys(shapeAt(shape, [i]), item, [...path, i], elsewhere));
  }
  if (!isTree(value)) return [];
  const known = knownKeys(shape);
  return Object.entries(value).flatMap(([key, inner]) => {
    if (known === null || known.includes(key)) {
      return unknownKeys(shapeAt(shape, [key]), inner, [...path, key], elsewhere);
    }
    return [unknownKey([...path, key], [...known, ...also], elsewhere)];
  });
}

export function unknownKey(path: Path, known: readonly string[], elsewhere: Elsewhere): Mistake {
  const key = String(path.at(-1));
  const away = elsewhere(key);
  const isThere = away?.split(".").at(-1) === key; // the very word, in another place
  const near = isThere ? "" : didYouMean(key, known);
  const hint = near || (away === undefined ? ` (known: ${known.join(", ")})` : `; did you mean ${away}?`);
  return { path, message: `unknown key${hint}`, part: "key" };
}

/** Takes out unknown keys, which are reported already, and known keys that are null. */
function prune(shape: Shape | undefined, value: unknown): unknown {
  if (Array.isArray(value)) return value.map((item, i) => prune(shapeAt(shape, [i]), item));
  if (!isTree(value)) return value;
  const known = knownKeys(shape);
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key, inner]) => inner !== null && (known === null || known.includes(key)))
      .map(([key, inner]) => [key, prune(shapeAt(shape, [key]), inner)]),
  );
}
