// The full-set estimates against the exact value: equal where nothing is left out, within a bound where something is.
import "../support/one-thread.js";
import { cat, Generator, memory, randn, resetPeakBytes, scope, type Tensor, tanh, tensor } from "@stopgrad/torch";
import { describe, expect, test } from "vitest";
import { measurePairs } from "../../src/measures/batches.js";
import { type FullSetMeasure, fullSet, fullSetMeasures, fullSetPartners } from "../../src/measures/full-set.js";

const int64 = (values: readonly number[]) => tensor(BigInt64Array.from(values, BigInt));
const normal = (seed: number, shape: readonly number[]) =>
  randn(shape, { generator: new Generator(seed), dtype: "float64" });
const names = Object.keys(fullSetMeasures) as FullSetMeasure[];

/** Images whose classes differ, and two representations: one that keeps most of them, one that keeps the class. */
function arraysOf(count: number, features = 48) {
  const labels = Array.from({ length: count }, (_, at) => (at * 7) % 5);
  const y = int64(labels);
  const x = normal(1, [count, features]).add(normal(2, [5, features]).indexSelect(0, y).mul(1.5));
  const kept = tanh(x.matmul(normal(3, [features, 12]).mul(0.2)));
  const sorted = normal(4, [5, 6])
    .indexSelect(0, y)
    .add(normal(5, [count, 6]).mul(0.1));
  return { x, y, z: [kept, sorted] };
}

const valuesOf = (results: readonly { value: number }[]) => results.map(({ value }) => value);

function expectClose(actual: readonly number[], expected: readonly number[], relative: number) {
  expect(actual).toHaveLength(expected.length);
  for (const [at, value] of expected.entries()) {
    expect(Math.abs(actual[at]! / value - 1), `${at}: ${actual[at]} for ${value}`).toBeLessThan(relative);
  }
}

const variants: [FullSetMeasure, Record<string, unknown>][] = [
  ["nhsic", {}],
  ["nhsic", { kernel: "laplacian", epsilon: 1e-3 }],
  ["nhsic", { width: "median", sigma: 1, epsilon: 1e-3 }],
  ["hsic", {}],
  ["hsic", { estimator: "unbiased", distance: "plain" }],
  ["hsic", { estimator: "v-statistic", kernel: "linear" }],
  ["cka", {}],
  ["cka", { estimator: "biased", kernel: "laplacian", width: "median", sigma: 1 }],
  ["cka", { kernel: "rbf", width: "fixed", sigma: 3 }],
];

describe.each(variants)("%s %j", (name, options) => {
  test("with every sample a landmark it is the value of one batch of all samples; so is `exact`", () => {
    scope(() => {
      const arrays = arraysOf(120);
      const whole = measurePairs(fullSetMeasures[name], options, arrays, 120);
      // Rows in uneven chunks.
      const full = fullSet(name, arrays, { ...options, rank: 120, chunk: 37 });
      expect(full.map(({ pair, index, standardError }) => [pair, index, standardError])).toEqual(
        whole.map(({ pair, index }) => [pair, index, null]),
      );
      expectClose(valuesOf(full), valuesOf(whole), name === "nhsic" ? 1e-5 : 1e-8);
      expect(fullSet(name, arrays, { ...options, approximation: "exact" })).toEqual(whole);
    });
  });
});

test.each([
  ["nystrom", 60],
  ["random-features", 60],
  ["exact", 1000],
] as const)(
  "input and labels are made ready once for representations one by one, and then no more looked at: %s",
  (approximation, rank) => {
    const { x, y, z } = scope(() => arraysOf(100));
    const options = { approximation, rank };
    const together = scope(() => fullSet("nhsic", { x, y, z }, options));
    const few = z[0]!.narrow(0, 0, 99);
    const { liveTensors } = memory();
    const partners = fullSetPartners("nhsic", { x, y, count: 100 }, options);
    x.mul_(0);
    y.mul_(0);
    const apart = z.map((one) => partners.measure(one));
    expect(apart.flatMap((found) => found["x,z"])).toEqual(together.slice(0, 2).map(({ value }) => value));
    expect(apart.flatMap((found) => found["y,z"])).toEqual(together.slice(2).map(({ value }) => value));
    expect(() => partners.measure(few)).toThrow(/100 samples and \[99, 12\]/);
    partners.dispose();
    expect(memory().liveTensors).toBe(liveTensors);
    for (const tensor of [x, y, few, ...z]) tensor.dispose();
  },
);

describe("fewer features than samples", () => {
  const errors = (name: FullSetMeasure, options: Record<string, unknown>, exact: readonly number[], arrays: Arrays) =>
    scope(() => valuesOf(fullSet(name, arrays, options)).map((value, at) => value / exact[at]! - 1));
  type Arrays = ReturnType<typeof arraysOf>;

  test.each([
    ["hsic", { estimator: "unbiased" }, 0.02, 0.15],
    ["cka", { kernel: "rbf" }, 0.02, 0.2],
    ["cka", { kernel: "laplacian" }, 0.05, 0.3],
    ["hsic", { distance: "plain" }, 0.12, 0.3],
  ] as const)("%s %j at 600 samples", (name, options, nystrom, random) => {
    scope(() => {
      const arrays = arraysOf(600);
      const exact = valuesOf(fullSet(name, arrays, { ...options, approximation: "exact" }));
      const shared = { ...options, rank: 150 };
      for (const error of errors(name, shared, exact, arrays)) expect(Math.abs(error)).toBeLessThan(nystrom);
      const drawn = errors(name, { ...shared, rank: 1000, approximation: "random-features" }, exact, arrays);
      for (const error of drawn) expect(Math.abs(error)).toBeLessThan(random);
    });
  });

  test("nHSIC: Nyström is never larger, and nearer with more landmarks", () => {
    scope(() => {
      const arrays = arraysOf(600);
      const exact = valuesOf(fullSet("nhsic", arrays, { approximation: "exact" }));
      const [few, more, most] = [40, 150, 500].map((rank) => errors("nhsic", { rank }, exact, arrays));
      for (const at of exact.keys()) {
        expect(few![at]!).toBeLessThanOrEqual(1e-9);
        expect(Math.abs(more![at]!)).toBeLessThanOrEqual(Math.abs(few![at]!) + 1e-6);
        expect(Math.abs(most![at]!)).toBeLessThanOrEqual(Math.abs(more![at]!) + 1e-6);
        expect(Math.abs(most![at]!)).toBeLessThan(0.1);
      }
    });
  });

  test("random features: each kernel's entries have the right mean, whatever the frequencies", () => {
    scope(() => {
      // Two samples: HSIC of x with itself is a function of one kernel value k, (1 − k)².
      const pair = cat([normal(1, [1, 3]), normal(2, [1, 3])], 0);
      for (const options of [{}, { distance: "plain" }, { kernel: "laplacian" }]) {
        const shared = { ...options, width: "fixed", sigma: 1.5 };
        const [exact] = valuesOf(
          fullSet("hsic", { x: pair, y: null, z: [pair] }, { ...shared, approximation: "exact" }),
        );
        const found = Array.from({ length: 100 }, (_, seed) => {
          const given = { ...shared, approximation: "random-features", rank: 1000, seed };
          return fullSet("hsic", { x: pair, y: null, z: [pair] }, given)[0]!.value;
        });
        const mean = found.reduce((sum, value) => sum + value, 0) / found.length;
        expect(Math.abs(mean / exact! - 1), JSON.stringify(options)).toBeLessThan(0.05);
      }
    });
  });

  test("deterministic for a seed, another one differs", () => {
    scope(() => {
      const arrays = arraysOf(100);
      for (const approximation of ["nystrom", "random-features"]) {
        const take = (seed: number) => valuesOf(fullSet("hsic", arrays, { approximation, rank: 20, seed }));
        expect(take(1)).toEqual(take(1));
        expect(take(1)).not.toEqual(take(2));
      }
    });
  });
});

test("memory: rows in chunks, no float64 copy of the array, no N x N", () => {
  const [count, features, rank, chunk] = [2500, 4000, 20, 100];
  const values = randn([count, features], { generator: new Generator(1) });
  const y = int64(Array.from({ length: count }, (_, at) => at % 3));
  for (const options of [{}, { approximation: "random-features" }, { kernel: "linear" }, { kernel: "laplacian" }]) {
    for (const name of names) {
      // The 1-norm of all rows takes a while.
      if ("kernel" in options && name !== "hsic") continue;
      resetPeakBytes();
      const before = memory();
      const results = fullSet(name, { x: null, y, z: [values] }, { ...options, rank, chunk });
      expect(results).toHaveLength(1);
      const peak = memory().peakBytes - before.liveBytes;
      expect(peak, name).toBeLessThan(8 * (10 * count * (rank + 1) + 6 * 4000 * (rank + chunk)));
      expect(memory().liveTensors, name).toBe(before.liveTensors);
    }
  }
  values.dispose();
  y.dispose();
});

describe("what cannot be measured is one clear error, or its limit", () => {
  const good = () => ({ ...arraysOf(20), z: [normal(1, [20, 3])] });
  const bad = (value: number): Tensor => cat([normal(1, [19, 3]), tensor([[1, value, 2]], { dtype: "float64" })], 0);

  test.each<[string, FullSetMeasure, () => Parameters<typeof fullSet>[1], Record<string, unknown>, RegExp]>([
    ["NaN", "nhsic", () => ({ ...good(), z: [bad(Number.NaN)] }), {}, /finite numbers/],
    [
      "infinity",
      "hsic",
      () => ({ ...good(), x: bad(Number.POSITIVE_INFINITY) }),
      { approximation: "random-features" },
      /finite/,
    ],
    ["NaN, linear", "cka", () => ({ ...good(), z: [bad(Number.NaN)] }), {}, /finite numbers/],
    ["NaN, laplacian", "cka", () => ({ ...good(), z: [bad(Number.NaN)] }), { kernel: "laplacian" }, /finite numbers/],
    ["lengths", "hsic", () => ({ ...good(), z: [normal(1, [19, 3])] }), {}, /same samples in every array/],
    ["one sample", "hsic", () => ({ x: normal(1, [1, 3]), y: null, z: [normal(1, [1, 3])] }), {}, /at least 2 samples/],
    ["three", "hsic", () => arraysOf(3), { estimator: "unbiased" }, /at least 4 samples, got 3/],
    ["fractions", "hsic", () => ({ ...good(), y: tensor(new Float32Array(20)) }), {}, /expected labels \[N\]/],
    [
      "too many classes",
      "hsic",
      () => ({ ...good(), y: int64([...new Array(20).keys()]) }),
      { rank: 10 },
      /at most rank = 10/,
    ],
    [
      "constant",
      "cka",
      () => ({ ...good(), z: [tensor(new Float64Array(60).fill(0.1), { shape: [20, 3] })] }),
      {},
      /constant repr/,
    ],
    ["one class", "cka", () => ({ ...good(), x: null, y: int64(new Array(20).fill(4)) }), {}, /constant first array/],
  ])("%s", (_, name, make, options, message) => {
    const run = () => scope(() => fullSet(name, make(), options));
    expect(run).toThrow(message);
    expect(run).toThrow(expect.objectContaining({ name: "MeasureError" }));
  });

  test("too many samples for the exact value, unknown options", () => {
    scope(() => {
      const many = normal(1, [4001, 1]);
      expect(() => fullSet("hsic", { x: many, y: null, z: [many] }, { approximation: "exact" })).toThrow(
        /at most 4000 samples for the exact value, got 4001/,
      );
      expect(() => fullSet("hsic", arraysOf(20), { rank: 3 })).toThrow(/^rank: .*multiple of 2, got 3$/);
      expect(() => fullSet("hsic", arraysOf(20), { epsilon: 1 })).toThrow(/^unrecognized key: "epsilon"$/);
    });
  });

  test.each(["nystrom", "random-features"])("a constant tells nothing: 0, %s", (approximation) => {
    scope(() => {
      const constant = tensor(new Float64Array(60).fill(0.1), { shape: [20, 3] });
      for (const kernel of ["rbf", "laplacian", "linear"]) {
        for (const width of kernel === "linear" ? ["scaled"] : ["scaled", "median"]) {
          const given = { approximation, kernel, width, rank: 2 };
          for (const name of ["nhsic", "hsic"] as const) {
            const values = valuesOf(fullSet(name, { ...good(), z: [constant] }, { ...given, rank: 10 }));
            expect(values).toEqual([0, 0]);
          }
          expect(() => fullSet("cka", { ...good(), z: [constant] }, { ...given, rank: 10 })).toThrow(/constant/);
        }
      }
    });
  });
});
