// `stopgrad measure --list`: the measures there are, with their options, their defaults and what they may be.
import type { z } from "zod";
import { describe, type Shape, shapeAt, shapeOf } from "../experiment/describe.js";
import { didYouMean } from "../experiment/suggest.js";
import { fullSetMeasures, fullSetOptions, type Measure, measures } from "../measures/index.js";
import { type CommonOptions, print, printJson, UsageError } from "./context.js";

const registry: Readonly<Record<string, Measure>> = measures;

/** Options as they are by default, and what each may be, in words. */
interface ListedOptions {
  readonly options: Readonly<Record<string, unknown>>;
  readonly allowed: Readonly<Record<string, string>>;
}

/** Says when it is taken while a run trains, and nothing of a measure that is taken now. */
const WHEN = "at";

/** Every measure, or the one that is named. @throws UsageError for a name that no measure has */
export function list(name: string | undefined, options: CommonOptions): void {
  const names = name === undefined ? Object.keys(registry) : [name];
  const entries = names.map((one) => {
    const { kind, summary, source, options: schema } = find(one);
    const full = Object.hasOwn(fullSetMeasures, one) ? { full: listedOptions(fullSetOptions) } : {};
    return { name: one, kind, summary, source, ...listedOptions(schema), ...full };
  });
  if (options.json) {
    printJson({ measures: entries });
    return;
  }
  for (const { name, summary, source, full, ...own } of entries) {
    print(`${name}: ${summary}`);
    print(`  source: ${source}`);
    printOptions("--set", own);
    if (full) printOptions("--full --set", full);
  }
}

function listedOptions(schema: z.ZodObject): ListedOptions {
  const shape = shapeOf(schema);
  const keys = Object.keys(schema.shape).filter((key) => key !== WHEN);
  const options: Record<string, unknown> = schema.parse({});
  return {
    options: Object.fromEntries(keys.map((key) => [key, options[key]])),
    allowed: Object.fromEntries(keys.map((key) => [key, allowedOf(shapeAt(shape, [key]) ?? {})])),
  };
}

/** `rbf | laplacian | linear`, `a number above 0`, `a positive integer | null`. */
function allowedOf(shape: Shape): string {
  if (shape.expected !== undefined) return shape.expected;
  if (shape.enum) return shape.enum.join(" | ");
  const branches = shape.anyOf ?? shape.oneOf;
  return branches ? branches.map(allowedOf).join(" | ") : describe(shape);
}

function printOptions(flag: string, { options, allowed }: ListedOptions): void {
  for (const [key, value] of Object.entries(options)) {
    const standard = typeof value === "object" ? JSON.stringify(value) : value;
    print(`  ${flag} ${key}=${standard} (default): ${allowed[key]}`);
  }
}

/** @throws UsageError for a name that no measure has */
export function find(name: string | undefined): Measure {
  const known = Object.keys(registry);
  if (name === undefined) throw new UsageError(`measure: expected the name of a measure (known: ${known.join(", ")})`);
  if (!Object.hasOwn(registry, name)) {
    throw new UsageError(`unknown measure: ${name} (known: ${known.join(", ")})${didYouMean(name, known)}`);
  }
  return registry[name]!;
}
