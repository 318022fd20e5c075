// The figures that record.py wrote, and turning them into arguments.
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { type DType, Generator, type Tensor, tensor } from "../../src/index.js";

/** A tensor in a fixture: element type, shape, row-major values; numbers that JSON lacks are strings. */
export interface Encoded {
  t: DType;
  s: number[];
  d: (number | boolean | "nan" | "inf" | "-inf")[];
}

export function fixturePath(name: string): string {
  return fileURLToPath(new URL(`../fixtures/${name}`, import.meta.url));
}

/** The content of a fixture, of the form that record.py gave it. */
export function readFixture<T>(name: string): T & { recorded: { torch: string; seed: number } } {
  return JSON.parse(readFileSync(fixturePath(name), "utf8"));
}

/** A recorded call of an operator. */
export interface OperatorCase {
  args: unknown[];
  /** A tensor; or a list of them, a number or a boolean. */
  result: Encoded | Encoded[] | number | boolean;
  differentiable: boolean;
}

/** The cases of every `operators*.json`, by the operator's name. */
export function readOperatorCases(): Record<string, OperatorCase[]> {
  const cases: Record<string, OperatorCase[]> = {};
  const files = readdirSync(fixturePath(".")).filter((name) => /^operators.*\.json$/.test(name));
  for (const file of files.sort()) {
    const { operators } = readFixture<{ operators: Record<string, OperatorCase[]> }>(file);
    for (const [name, more] of Object.entries(operators)) cases[name] = [...(cases[name] ?? []), ...more];
  }
  return cases;
}

const special = { nan: Number.NaN, inf: Number.POSITIVE_INFINITY, "-inf": Number.NEGATIVE_INFINITY };

/** As a tensor gives them back: nine digits name one float32. */
export function valuesOf(encoded: Pick<Encoded, "t" | "d">): number[] {
  const values = encoded.d.map((value) => (typeof value === "string" ? special[value] : Number(value)));
  return encoded.t === "float32" ? values.map(Math.fround) : values;
}

export function decodeTensor(encoded: Encoded): Tensor {
  const wide = tensor(Float64Array.from(valuesOf(encoded)), { shape: encoded.s });
  return encoded.t === "float64" ? wide : wide.to(encoded.t);
}

/** Arguments as an operator takes them: tensors, generators, and lists, options and plain values holding them. */
export function decode(value: unknown): unknown {
  if (typeof value === "string" && value in special) return special[value as keyof typeof special];
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(decode);
  if ("t" in value && "d" in value) return decodeTensor(value as Encoded);
  if ("g" in value) return new Generator((value as { g: number }).g);
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, decode(item)]));
}
