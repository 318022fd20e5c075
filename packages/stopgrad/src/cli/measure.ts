// `stopgrad measure`: a measure on arrays from anywhere.
import { all, isfinite, readNpy, type Tensor, tensor as tensorOf } from "@stopgrad/torch";
import { parse } from "yaml";
import type { z } from "zod";
import { describe, shapeAt, shapeOf } from "../experiment/describe.js";
import { didYouMean } from "../experiment/suggest.js";
import { show } from "../experiment/tree.js";
import { measurePairs, type PairMeasure, pairMeasures } from "../measures/index.js";
import { type CommonOptions, note, print, printJson, UsageError, WorkError } from "./context.js";

interface MeasureOptions extends CommonOptions {
  list?: boolean;
  x?: string;
  y?: string;
  z?: string[];
  batch: number;
  set?: string[];
}

export function measure(name: string | undefined, options: MeasureOptions): void {
  if (options.list) {
    list(options);
    return;
  }
  const entry = find(name);
  const files = options.z ?? [];
  if (files.length === 0) throw new UsageError("measure: expected representations, as in --z Z1.npy Z2.npy");
  if (!options.x && !options.y)
    throw new UsageError("measure: expected an input (--x X.npy), labels (--y Y.npy) or both");
  const settings = parseSettings(name!, entry, options.set ?? []);

  const x = options.x === undefined ? null : numbers(options.x);
  const y = options.y === undefined ? null : labels(options.y);
  const z = files.map(numbers);
  const first = options.x ?? options.y!;
  const count = (x ?? y)!.size(0);
  for (const [file, tensor] of [
    ...(options.y && y ? [[options.y, y] as const] : []),
    ...z.map((t, i) => [files[i]!, t] as const),
  ]) {
    if (tensor.size(0) !== count) {
      throw new WorkError(
        `${file} holds ${tensor.size(0)} samples, ${first} holds ${count}; they must be the same samples`,
      );
    }
  }
  let results: ReturnType<typeof measurePairs>;
  try {
    results = measurePairs(entry, settings, { x, y, z }, options.batch);
  } catch (error) {
    throw new WorkError(`measure ${name}: ${(error as Error).message}`);
  }
  const batches = Math.floor(count / options.batch);
  const left = count - batches * options.batch;
  if (left > 0) note(`${left} of ${count} samples make no whole batch of ${options.batch} and were left out`);

  if (options.json) {
    printJson({
      measure: name,
      batch: options.batch,
      batches,
      options: settings,
      results: results.map(({ pair, index, value, standardError }) => ({
        pair,
        file: files[index],
        value,
        standardError,
      })),
    });
  } else {
    const width = Math.max(...files.map((file) => file.length));
    print(`${name}, mean over ${batches} batches of ${options.batch}`);
    for (const { pair, index, value, standardError } of results) {
      const spread = standardError === null ? "" : ` ± ${standardError.toPrecision(2)} (standard error)`;
      print(`  ${pair}  ${files[index]!.padEnd(width)}  ${value.toPrecision(8)}${spread}`);
    }
  }
}

function list(options: CommonOptions): void {
  const entries = Object.entries(pairMeasures).map(([name, { summary, source, options: schema }]) => ({
    name,
    summary,
    source,
    options: schema.parse({}),
  }));
  if (options.json) {
    printJson({ measures: entries });
    return;
  }
  for (const { name, summary, source, options: defaults } of entries) {
    print(`${name}: ${summary}`);
    print(`  source: ${source}`);
    for (const [key, value] of Object.entries(defaults)) print(`  --set ${key}=${value} (default)`);
  }
}

function find(name: string | undefined): PairMeasure {
  const known = Object.keys(pairMeasures);
  if (name === undefined) throw new UsageError(`measure: expected the name of a measure (known: ${known.join(", ")})`);
  if (!Object.hasOwn(pairMeasures, name)) {
    throw new UsageError(`unknown measure: ${name} (known: ${known.join(", ")})${didYouMean(name, known)}`);
  }
  return pairMeasures[name as keyof typeof pairMeasures];
}

/** `distance=plain sigma=5` against the measure's own options. */
function parseSettings(name: string, entry: PairMeasure, given: readonly string[]): Record<string, unknown> {
  const settings: Record<string, unknown> = {};
  const known = Object.keys(entry.options.shape);
  for (const text of given) {
    const at = text.indexOf("=");
    if (at < 1) throw new UsageError(`measure ${name}: expected option=value, got ${text}`);
    const key = text.slice(0, at);
    if (!known.includes(key)) {
      throw new UsageError(
        `measure ${name}: unknown option ${key} (known: ${known.join(", ")})${didYouMean(key, known)}`,
      );
    }
    try {
      settings[key] = parse(text.slice(at + 1));
    } catch {
      throw new UsageError(`measure ${name}: ${key}: expected ${expected(entry, key)}, got ${text.slice(at + 1)}`);
    }
  }
  const checked = entry.options.safeParse(settings);
  if (checked.success) return checked.data;
  const issue = (checked.error as z.ZodError).issues[0]!;
  const key = String(issue.path[0]);
  throw new UsageError(`measure ${name}: ${key}: expected ${expected(entry, key)}, got ${show(settings[key])}`);
}

/** What an option may be, in words. */
function expected(entry: PairMeasure, option: string): string {
  return describe(shapeAt(shapeOf(entry.options), [option]) ?? {});
}

/** An array of finite numbers as float64, samples first. */
function numbers(file: string): Tensor {
  const tensor = readNpy(file);
  if (tensor.dim === 0)
    throw new WorkError(`${file} holds a single number; expected samples along the first dimension`);
  const values = tensor.to("float64");
  if (all(isfinite(values)).item() === 0) {
    const flat = values.reshape([-1]).toNumbers();
    const at = flat.findIndex((value) => !Number.isFinite(value));
    const place = position(at, values.shape).join(", ");
    throw new WorkError(`${file} holds ${flat[at]} at [${place}]; expected finite numbers`);
  }
  return values;
}

/** Where the element number `at` of an array of this shape is. */
function position(at: number, shape: readonly number[]): number[] {
  return shape.map((size, dimension) => {
    const stride = shape.slice(dimension + 1).reduce((product, below) => product * below, 1);
    return Math.floor(at / stride) % size;
  });
}

/** Classes `[N]`, numbered without gaps: from whole numbers from 0, or one-hot rows `[N, K]`. */
function labels(file: string): Tensor {
  const tensor = readNpy(file);
  if (tensor.dim === 2 && tensor.size(1) > 1) {
    const hot = tensor.to("float64");
    const isOneHot = hot.mul(hot).sub(hot).abs().sum().item() === 0 && hot.sum([1]).sub(1).abs().sum().item() === 0;
    if (!isOneHot)
      throw new WorkError(`${file} is [${tensor.shape.join(", ")}]; expected labels [N], or one-hot rows [N, K]`);
    return hot.argmax(1);
  }
  if (tensor.dim > 2 || tensor.dim === 0) {
    throw new WorkError(`${file} is [${tensor.shape.join(", ")}]; expected labels [N], or one-hot rows [N, K]`);
  }
  const flat = tensor.reshape([-1]);
  const values = flat.toNumbers();
  const wrong = values.find((value) => !Number.isInteger(value) || value < 0);
  if (wrong !== undefined) {
    throw new WorkError(`${file} holds the label ${wrong}; expected whole numbers from 0 (classes)`);
  }
  const classes = new Map([...new Set(values)].map((value, number) => [value, number]));
  return tensorOf(BigInt64Array.from(values, (value) => BigInt(classes.get(value)!)));
}
