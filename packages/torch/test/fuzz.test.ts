// Thousands of calls with nonsense, the same ones each time: every one ends in a result or an error, none in a crash,
// and afterwards nothing is left behind.
import { expect, it } from "vitest";
import * as torch from "../src/index.js";
import { Generator, memory, scope, Tensor, TorchError } from "../src/index.js";
import { native } from "../src/native.js";
import * as arithmetic from "../src/ops/arithmetic.js";
import * as comparison from "../src/ops/comparison.js";
import * as creation from "../src/ops/creation.js";
import * as functional from "../src/ops/functional.js";
import * as inPlace from "../src/ops/in-place.js";
import * as indexing from "../src/ops/indexing.js";
import * as linalg from "../src/ops/linalg.js";
import * as reduction from "../src/ops/reduction.js";
import * as shape from "../src/ops/shape.js";
import * as sorting from "../src/ops/sorting.js";
import { decode, readOperatorCases } from "./support/fixtures.js";
import { campaign } from "./support/fuzz/campaign.mjs";

/** mulberry32: uniform in [0, 1). */
function source(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Another number here tries other nonsense. */
const seed = Number(process.env.STOPGRAD_FUZZ_SEED ?? 1);

type Anything = (...args: unknown[]) => unknown;

const areas = [arithmetic, comparison, creation, functional, inPlace, indexing, linalg, reduction, shape, sorting];
const internal = ["detachHandle", "binary"];
const functions = areas.flatMap((area) =>
  Object.entries(area).filter(([name, value]) => typeof value === "function" && !internal.includes(name)),
) as [string, Anything][];

class Garbage {
  readonly #random: () => number;

  constructor(seed: number) {
    this.#random = source(seed);
  }

  pick<T>(items: readonly T[]): T {
    return items[Math.floor(this.#random() * items.length)]!;
  }

  chance(probability: number): boolean {
    return this.#random() < probability;
  }

  /** Sizes are small, or so large that no machine has the memory. */
  number(): number {
    return this.pick([
      0, 1, 2, 3, 4, 5, -1, -2, -5, 0.5, -0, 1e-300, 1e300, 2 ** 47, 2 ** 50, 2 ** 53 - 1, -(2 ** 53) + 1, 2 ** 63,
      Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY,
    ]); // biome-ignore format: a list
  }

  tensor(): unknown {
    const sizes = this.pick([[], [0], [1], [3], [2, 2], [3, 3], [0, 3], [2, 3, 2], [1, 2, 4, 4], [2, 0, 4, 4], [1, 1, 1, 1, 1]]); // biome-ignore format: a list
    const dtype = this.pick([
      "float32", "float32", "float64", "float16", "bfloat16", "int64", "int64", "int32", "int8", "uint8", "bool",
    ] as const); // biome-ignore format: a list
    const made = torch.randint(0, 4, sizes, { dtype: "int64" }).to(dtype);
    if (dtype.startsWith("float") && this.chance(0.2)) made.requiresGrad_();
    if (sizes.length >= 2 && this.chance(0.2)) return made.transpose(0, 1);
    if (sizes.length > 0 && this.chance(0.1)) return made.narrow(0, 0, 0);
    if (this.chance(0.05)) made.dispose();
    if (this.chance(0.02)) return made.toDevice("meta");
    return made;
  }

  value(depth = 0): unknown {
    const kind = this.#random();
    if (kind < 0.35) return this.tensor();
    if (kind < 0.6) return this.number();
    if (kind < 0.75 && depth < 3)
      return Array.from({ length: this.pick([0, 1, 2, 2, 3, 4, 7]) }, () => this.value(depth + 1));
    if (kind < 0.82 && depth < 2) return this.options(depth);
    const cycle: unknown[] = [];
    cycle.push(cycle);
    return this.pick<unknown>([
      undefined, null, true, false, "", "float32", "int64", "bool", "cpu", "cuda:0", "meta", "mean", "x".repeat(1000), {}, [],
      [1, 1], [2, 2], [0], new Array(3), cycle, 10n, Symbol("s"), () => 1, new Date(0), new Float32Array(2), new DataView(new ArrayBuffer(8)),
      new Generator(1), Object.create(null), 4503599627370496, 5629499534213120,
    ]); // biome-ignore format: a list
  }

  options(depth: number): Record<string, unknown> {
    const keys = ["dtype", "device", "requiresGrad", "generator", "step", "shape", "stride", "padding", "dilation", "groups",
      "bias", "keepDim", "unbiased", "reduction", "runningMean", "runningVar", "weight", "training", "momentum", "eps",
      "alpha", "beta", "countIncludePad"]; // biome-ignore format: a list
    return Object.fromEntries(
      Array.from({ length: this.pick([0, 1, 2, 5]) }, () => [this.pick(keys), this.value(depth + 1)]),
    );
  }
}

interface Count {
  results: number;
  errors: number;
}

/** One call in a scope. Errors of this package's own, or of JavaScript's for what TypeScript would refuse, are fine. */
function attempt(call: () => unknown, count: Count): void {
  try {
    scope(() => {
      const result = call();
      if (result instanceof Tensor && result.requiresGrad && result.numel === 1) result.backward();
    });
    count.results++;
  } catch (error) {
    if (!(error instanceof TorchError || error instanceof TypeError || error instanceof RangeError)) throw error;
    expect(error.message).not.toContain("Exception raised from");
    count.errors++;
  }
}

it("survives random arguments to every operator", () => {
  const garbage = new Garbage(seed);
  const before = memory();
  const count = { results: 0, errors: 0 };
  for (let round = 0; round < 100; round++) {
    for (const [, call] of functions) {
      attempt(
        () => call(...Array.from({ length: garbage.pick([0, 1, 1, 2, 2, 3, 4, 6]) }, () => garbage.value())),
        count,
      );
    }
  }
  expect(count.results).toBeGreaterThan(300);
  expect(count.errors).toBeGreaterThan(3000);
  expect(memory()).toMatchObject({ liveTensors: before.liveTensors, liveBytes: before.liveBytes });
});

it("survives one wrong argument among right ones", () => {
  const operators = readOperatorCases();
  const byName = new Map(functions);
  const garbage = new Garbage(seed + 1000);
  const before = memory();
  const count = { results: 0, errors: 0 };
  for (let round = 0; round < 15; round++) {
    for (const [name, cases] of Object.entries(operators)) {
      for (const { args } of cases) {
        attempt(() => {
          const given = decode(args) as unknown[];
          const at = Math.floor(given.length * 0.999 * (round / 15));
          const chosen = given[at];
          const optional = typeof chosen === "object" && chosen?.constructor === Object;
          given[at] = optional ? { ...chosen, ...garbage.options(0) } : garbage.value();
          return byName.get(name)!(...given);
        }, count);
      }
    }
  }
  expect(count.results).toBeGreaterThan(300);
  expect(count.errors).toBeGreaterThan(1000);
  expect(memory()).toMatchObject({ liveTensors: before.liveTensors, liveBytes: before.liveBytes });
});

it("survives nonsense given to the addon itself", () => {
  const addon = native() as unknown as Record<string, Anything>;
  // Left alone: what changes the process for the tests after this one.
  const names = Object.keys(addon).filter(
    (name) => !["setErrorClass", "setThreads", "setBlasThreads", "setCacheLimit", "call"].includes(name),
  );
  const indices = ["relu", "add.Tensor", "stack", "zeros", "conv2d", "index.Tensor", "clamp", "uniform_", "topk"].map(
    (name) => native().findOperator(`aten::${name.split(".")[0]}`, name.split(".")[1] ?? "").index,
  );
  const garbage = new Garbage(seed + 2000);
  const before = memory();
  const count = { results: 0, errors: 0 };
  const handleOf = (value: unknown): unknown =>
    value instanceof Tensor || value instanceof Generator
      ? value.handle
      : Array.isArray(value) && value[0] !== value
        ? value.map(handleOf)
        : value;
  const own = (result: unknown): unknown => {
    if (typeof result === "number" && native().isLive(result)) return Tensor.fromHandle(result);
    return Array.isArray(result) ? result.map(own) : result;
  };
  for (let round = 0; round < 4000; round++) {
    const name = round % 3 === 0 ? "call" : garbage.pick(names);
    attempt(() => {
      const args = Array.from({ length: garbage.pick([0, 1, 2, 3, 5, 10]) }, () => handleOf(garbage.value()));
      if (name === "call") args.unshift(garbage.chance(0.9) ? garbage.pick(indices) : garbage.value());
      const result = addon[name]!(...args);
      native().setGradEnabled(true);
      if (name === "generator" || name === "defaultGenerator") native().releaseGenerator(result as number);
      else own(result);
    }, count);
  }
  native().setGradEnabled(true);
  expect(count.results).toBeGreaterThan(300);
  expect(count.errors).toBeGreaterThan(1000);
  expect(memory()).toMatchObject({ liveTensors: before.liveTensors, liveBytes: before.liveBytes });
});

/** Calls of the long fuzzing, in child processes: `STOPGRAD_FUZZ=100000 npx vitest run packages/torch/test/fuzz.test.ts`. */
const calls = Number(process.env.STOPGRAD_FUZZ ?? 1500);

it(`survives ${calls} calls of everything there is, in processes that would show a crash`, async () => {
  const { faults, ...found } = await campaign({ seed, calls });
  if (process.env.STOPGRAD_FUZZ) console.log(JSON.stringify(found));
  expect(faults).toEqual([]);
  expect(found.calls).toBe(calls);
  expect(found.answers).toBeGreaterThan(calls / 10);
  expect(found.errors).toBeGreaterThan(calls / 10);
}, 3_600_000);
