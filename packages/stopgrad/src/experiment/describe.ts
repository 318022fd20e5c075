// What a zod schema accepts, in words, so that every mistake reads alike: `expected a positive integer, got "twenty"`.
// Works on zod's own JSON Schema output, so that a new registry entry needs no words of its own. An entry that wants
// better ones adds `.meta({ expected: "cpu, cuda or cuda:1" })` to an option.
import { z } from "zod";
import type { Path } from "./tree.js";
import { show } from "./tree.js";

/** The parts of JSON Schema that zod writes and that are read here. */
export interface Shape {
  readonly type?: string;
  readonly expected?: string;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly Shape[];
  readonly oneOf?: readonly Shape[];
  readonly properties?: { readonly [key: string]: Shape };
  readonly additionalProperties?: Shape | boolean;
  readonly items?: Shape;
  readonly prefixItems?: readonly Shape[];
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly exclusiveMaximum?: number;
  readonly multipleOf?: number;
  readonly minLength?: number;
  readonly pattern?: string;
}

/** What a schema reads (before its defaults and transforms). */
export function shapeOf(schema: z.ZodType): Shape {
  return z.toJSONSchema(schema, { io: "input", unrepresentable: "any" }) as Shape;
}

/** The shape of what stands at a path below; undefined where nothing is known of it. */
export function shapeAt(shape: Shape | undefined, path: Path): Shape | undefined {
  let current = shape;
  for (const part of path) {
    current = branchesOf(current)
      .map((branch) => {
        if (typeof part === "number") return branch.prefixItems?.[part] ?? branch.items;
        if (branch.properties && Object.hasOwn(branch.properties, part)) return branch.properties[part];
        return typeof branch.additionalProperties === "object" ? branch.additionalProperties : undefined;
      })
      .find((found) => found !== undefined);
  }
  return current;
}

/** The shapes a shape may be, choices within choices laid out flat. */
function branchesOf(shape: Shape | undefined): readonly Shape[] {
  if (shape === undefined) return [];
  return (shape.anyOf ?? shape.oneOf)?.flatMap(branchesOf) ?? [shape];
}

/** Keys a map may have, or null where it may have any. */
export function knownKeys(shape: Shape | undefined): string[] | null {
  const maps = branchesOf(shape).filter((branch) => branch.properties !== undefined);
  const open = (extra: Shape["additionalProperties"]) => extra !== undefined && extra !== false;
  if (maps.length === 0 || maps.some((map) => open(map.additionalProperties))) return null;
  return [...new Set(maps.flatMap((map) => Object.keys(map.properties ?? {})))];
}

/** `a positive integer`, `one of squared, plain`, `a non-empty list, each item an integer, 0 or more`. */
export function describe(shape: Shape): string {
  if (shape.expected !== undefined) return shape.expected;
  if ("const" in shape) return plain(shape.const);
  if (shape.enum) return shape.enum.length === 1 ? plain(shape.enum[0]) : `one of ${shape.enum.map(plain).join(", ")}`;
  const branches = shape.anyOf ?? shape.oneOf;
  if (branches) {
    // Null means "not set" everywhere, so it is never what somebody should have written.
    const told = branches.filter((branch) => branch.type !== "null");
    return told.map(describe).join(" or ");
  }
  switch (shape.type) {
    case "integer": {
      const { multipleOf } = shape;
      if (multipleOf === 2) return describeNumber(shape, "an even integer");
      return (
        describeNumber(shape, "an integer") + (multipleOf === undefined ? "" : ` that is a multiple of ${multipleOf}`)
      );
    }
    case "number":
      return describeNumber(shape, "a number");
    case "boolean":
      return "true or false";
    case "null":
      return "null";
    case "string":
      if (shape.pattern !== undefined) return `text that matches ${shape.pattern}`;
      return (shape.minLength ?? 0) > 0 ? "a non-empty text" : "text";
    case "array": {
      if (shape.prefixItems)
        return `a list of ${shape.prefixItems.length}: ${shape.prefixItems.map(describe).join(", ")}`;
      const length =
        shape.minItems !== undefined && shape.minItems === shape.maxItems
          ? `a list of ${shape.minItems}`
          : (shape.minItems ?? 0) > 0
            ? "a non-empty list"
            : "a list";
      return shape.items ? `${length}, each item ${describe(shape.items)}` : length;
    }
    case "object": {
      const keys = knownKeys(shape);
      return keys ? `a map with the keys ${keys.join(", ")}` : "a map";
    }
    default:
      return "another value";
  }
}

function plain(value: unknown): string {
  return typeof value === "string" ? value : show(value);
}

function describeNumber(shape: Shape, noun: string): string {
  // zod bounds every integer by what a double holds exactly; that is no news to anyone.
  const real = (bound: number | undefined) =>
    bound !== undefined && Math.abs(bound) < 2 ** 53 - 1 ? bound : undefined;
  const from = real(shape.minimum);
  const above = real(shape.exclusiveMinimum);
  const to = real(shape.maximum);
  const below = real(shape.exclusiveMaximum);
  const capped = to !== undefined || below !== undefined;
  if (noun === "an integer" && !capped && (above === 0 || from === 1)) return "a positive integer";
  if (from !== undefined && to !== undefined) return `${noun} from ${from} to ${to}`;
  if (from !== undefined && !capped) return `${noun}, ${from} or more`;
  const bounds = [
    from !== undefined ? `${from} or more` : above !== undefined ? `above ${above}` : "",
    to !== undefined ? `at most ${to}` : below !== undefined ? `below ${below}` : "",
  ].filter((bound) => bound !== "");
  return bounds.length === 0 ? noun : `${noun} ${bounds.join(" and ")}`;
}
