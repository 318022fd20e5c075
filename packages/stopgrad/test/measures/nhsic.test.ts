// nHSIC against published test vectors and a direct transcription of its formula, and its properties.
import "../support/one-thread.js";
import {
  cat,
  Generator,
  memory,
  randint,
  randn,
  relu,
  resetPeakBytes,
  scope,
  type Tensor,
  tensor,
} from "@stopgrad/torch";
import { describe, expect, test } from "vitest";
import { squaredDistances } from "../../src/measures/kernels.js";
import { nhsic } from "../../src/measures/nhsic.js";
import { type Matrix, nhsicOf, rbf, sameLabel } from "./reference.js";

const defaults = nhsic.options.parse({});

function between(x: Tensor, z: Tensor, options: Record<string, unknown> = defaults): number {
  return scope(() => nhsic.combine(nhsic.factor(x, options), nhsic.factor(z, options), options));
}

function withLabels(y: readonly number[], z: Tensor, options: Record<string, unknown> = defaults): number {
  return scope(() => nhsic.combine(nhsic.labelFactor(int64(y), options), nhsic.factor(z, options), options));
}

const int64 = (values: readonly number[]) => tensor(BigInt64Array.from(values, BigInt));
const float64 = (values: Matrix) => tensor(values, { dtype: "float64" });
const normal = (seed: number, shape: readonly number[]) =>
  randn(shape, { generator: new Generator(seed), dtype: "float64" });
const rowsOf = (values: Tensor) => scope(() => values.reshape([values.size(0), -1]).toNested()) as Matrix;

describe("test vectors: m = 4, epsilon 1e-5, s = 5", () => {
  const x = () =>
    float64([
      [0, 0],
      [1, 0],
      [0, 1],
      [1, 1],
    ]);
  const z = () => float64([[0], [1], [2], [3]]);
  const y = [0, 0, 1, 1];
  const plain = { ...defaults, distance: "plain" };

  test("squared distances", () => {
    expect(between(x(), z())).toBeCloseTo(2.0231725165769, 11);
    expect(withLabels(y, z())).toBeCloseTo(0.8702368787649, 11);
    expect(between(x(), x())).toBeCloseTo(2.4992331606032, 11);
    const labels = scope(() => nhsic.labelFactor(int64(y), defaults).toNumbers());
    expect(labels.reduce((sum, value) => sum + value * value, 0)).toBeCloseTo(0.9999600011995, 11);
  });

  test("plain distances, as the released code", () => {
    expect(between(x(), z(), plain)).toBeCloseTo(2.9815568980868, 11);
    expect(withLabels(y, z(), plain)).toBeCloseTo(0.998971782033, 11);
  });

  test("single precision input gives them to 1e-6", () => {
    expect(between(x().to("float32"), z().to("float32"))).toBeCloseTo(2.0231725165769, 6);
  });
});

describe("a direct transcription (all differences, one-sided centring, explicit inverse) agrees to 1e-9", () => {
  const cases: [string, number[], number[]][] = [
    ["vectors", [20, 3], [20, 7]],
    ["images and maps", [24, 3, 6, 6], [24, 5, 4, 3]],
    ["many more features than samples", [10, 4000], [10, 2500]],
    ["one feature", [30, 1], [30, 1]],
    ["m = 128", [128, 40], [128, 12]],
    ["two samples", [2, 5], [2, 3]],
  ];
  const close = (actual: number, expected: number) =>
    expect(Math.abs(actual - expected)).toBeLessThan(1e-9 * Math.max(1, Math.abs(expected)));

  describe.each(cases)("%s", (_, xShape, zShape) => {
    test.each([{}, { distance: "plain" as const }, { sigma: 1.5, epsilon: 1e-3 }])("%j", (changes) => {
      scope(() => {
        const options = { ...defaults, ...changes };
        const x = normal(1, xShape);
        // A representation that depends on the input, in part.
        const z = normal(2, zShape).add(
          x
            .reshape([xShape[0]!, -1])
            .mean([1])
            .mul(3)
            .reshape([-1, ...zShape.slice(1).map(() => 1)]),
        );
        const y = randint(0, 3, [xShape[0]!], { generator: new Generator(3) }).toNumbers();
        const [k, l] = [rbf(rowsOf(x), changes), rbf(rowsOf(z), changes)];
        close(between(x, z, options), nhsicOf(k, l, changes.epsilon));
        close(withLabels(y, z, options), nhsicOf(sameLabel(y), l, changes.epsilon));
      });
    });
  });
});

describe("properties", () => {
  const m = 64;
  const x = () => normal(1, [m, 10]);
  const z = () => normal(2, [m, 4]);
  const y = Array.from({ length: m }, (_, i) => i % 4);
  const order = Array.from({ length: m }, (_, i) => (i * 37 + 5) % m);
  const shuffled = (values: Tensor) => values.indexSelect(0, int64(order));

  test("symmetric, to the last bit", () => {
    expect(between(x(), z())).toBe(between(z(), x()));
  });

  test("does not see the order of samples, how classes are numbered, shifts, or a rotation of the features", () => {
    const value = between(x(), z());
    expect(between(shuffled(x()), shuffled(z()))).toBeCloseTo(value, 9);
    expect(between(x(), shuffled(z()))).not.toBeCloseTo(value, 3);
    expect(between(x().add(1000), z().sub(50))).toBeCloseTo(value, 7);
    const [cos, sin] = [Math.cos(0.7), Math.sin(0.7)];
    const turn = float64([
      [cos, -sin, 0, 0],
      [sin, cos, 0, 0],
      [0, 0, 0, 1],
      [0, 0, 1, 0],
    ]);
    expect(between(x(), z().matmul(turn))).toBeCloseTo(value, 9);
    const renamed = y.map((label) => [7, 0, 3, 40][label]!);
    expect(withLabels(renamed, z())).toBeCloseTo(withLabels(y, z()), 12);
  });

  test("is not invariant to scale: the width is s √D, whatever the data's own spread", () => {
    expect(Math.abs(between(x().mul(2), z()) - between(x(), z()))).toBeGreaterThan(0.01);
    const doubled = { ...defaults, sigma: 10 };
    expect(between(x().mul(2), z().mul(2), doubled)).toBeCloseTo(between(x(), z()), 9);
  });

  test("lies between 0 and m − 1; against labels, at most classes − 1", () => {
    for (const [scale, seed] of [
      [0.01, 1],
      [1, 2],
      [30, 3],
      [1e4, 4],
    ] as const) {
      const value = between(normal(seed, [m, 5]).mul(scale), z());
      expect(value).toBeGreaterThan(0);
      expect(value).toBeLessThanOrEqual(m - 1);
      const ofLabels = withLabels(y, normal(seed, [m, 5]).mul(scale));
      expect(ofLabels).toBeGreaterThan(0);
      expect(ofLabels).toBeLessThanOrEqual(3);
    }
    // Samples far apart: the Gram matrix is the identity, and the most is reached.
    const far = normal(5, [m, 5]).mul(1e4);
    expect(between(far, far)).toBeCloseTo((m - 1) * (1 / (1 + 1e-5 * m)) ** 2, 9);
    const oneHot = Array.from({ length: m }, (_, i) => Array.from({ length: 4 }, (_, c) => (y[i] === c ? 1e3 : 0)));
    expect(withLabels(y, float64(oneHot))).toBeGreaterThan(2.999);
  });

  test("averaged over all orders of Z it is tr(R_X) tr(R_Z) / (m − 1): what independent samples give", () => {
    scope(() => {
      const few = 5;
      const [a, b] = [nhsic.factor(normal(1, [few, 3]), defaults), nhsic.factor(normal(2, [few, 2]), defaults)];
      const [ra, rb] = [a.toNested() as Matrix, b.toNested() as Matrix];
      const trace = (r: Matrix) => r.reduce((sum, row, i) => sum + row[i]!, 0);
      let total = 0;
      const orders = permutations([0, 1, 2, 3, 4]);
      for (const p of orders) {
        total += scope(() => nhsic.combine(a, float64(p.map((i) => p.map((j) => rb[i]![j]!))), defaults));
      }
      expect(orders).toHaveLength(120);
      expect(total / 120).toBeCloseTo((trace(ra) * trace(rb)) / (few - 1), 11);
    });

    function permutations(items: number[]): number[][] {
      if (items.length < 2) return [items];
      return items.flatMap((item) =>
        permutations(items.filter((other) => other !== item)).map((rest) => [item, ...rest]),
      );
    }
  });

  test("independent data stays near that baseline, dependent data far above it", () => {
    scope(() => {
      const [x, independent] = [normal(1, [128, 2]), normal(2, [128, 2])];
      const noisy = x.add(normal(3, [128, 2]).mul(0.05));
      const baseline = (z: Tensor) => {
        const [a, b] = [x, z].map((t) => nhsic.factor(t, defaults).toNested() as Matrix);
        const trace = (r: Matrix) => r.reduce((sum, row, i) => sum + row[i]!, 0);
        return (trace(a!) * trace(b!)) / 127;
      };
      expect(Math.abs(between(x, independent) - baseline(independent))).toBeLessThan(0.8);
      expect(between(x, noisy) - baseline(noisy)).toBeGreaterThan(2);
    });
  });

  test("a constant tells nothing: 0 for a constant representation, input or label", () => {
    const constant = tensor(new Float64Array(m * 3).fill(2.5), { shape: [m, 3] });
    expect(Math.abs(between(x(), constant))).toBeLessThan(1e-9);
    expect(Math.abs(between(constant, z()))).toBeLessThan(1e-9);
    expect(Math.abs(between(constant, constant))).toBeLessThan(1e-9);
    expect(Math.abs(withLabels(new Array(m).fill(3), z()))).toBeLessThan(1e-9);
  });
});

test("samples that coincide are at distance 0, never at the root of a negative rounding error", () => {
  scope(() => {
    const plain = { ...defaults, distance: "plain" };
    const half = randn([61, 333], { generator: new Generator(1) }).mul(40);
    const [x, z] = [cat([half, half], 0), randn([122, 50], { generator: new Generator(2) })];
    const expected = nhsicOf(rbf(rowsOf(x), { distance: "plain" }), rbf(rowsOf(z), { distance: "plain" }));
    expect(Math.abs(between(x, z, plain) / expected - 1)).toBeLessThan(5e-3);
    expect(
      squaredDistances(x)
        .toNumbers()
        .every((distance) => distance >= 0),
    ).toBe(true);
  });
});

describe("single precision", () => {
  // Single precision numbers are measured in double precision: as good as the same numbers given in double precision,
  // also where classes have collapsed and distances within them are a millionth of those between them.
  const shapes: [string, number, (generator: Generator) => Tensor][] = [
    ["many features around 0", 1e-12, (generator) => randn([128, 400], { generator })],
    ["maps after ReLU", 1e-12, (generator) => relu(randn([128, 8, 10, 10], { generator }))],
    ["many features far from 0", 1e-12, (generator) => randn([128, 400], { generator }).add(100)],
    ["one feature far from 0", 1e-12, (generator) => randn([128, 1], { generator }).add(100)],
    ["collapsed classes", 1e-12, (generator) => collapsed(generator)],
  ];

  /** Ten points of ten features, far apart, and samples a thousandth of that around them. */
  function collapsed(generator: Generator): Tensor {
    const centres = randn([10, 10], { generator }).mul(300);
    const label = tensor(BigInt64Array.from({ length: 128 }, (_, i) => BigInt(i % 10)));
    return centres.indexSelect(0, label).add(randn([128, 10], { generator }).mul(0.3));
  }

  test.each(shapes)("%s: within %d of double precision", (_, bound, make) => {
    for (let seed = 0; seed < 5; seed++) {
      scope(() => {
        const x = make(new Generator(seed)).reshape([128, -1]);
        const z = x.mul(0.5).add(make(new Generator(100 + seed)).reshape([128, -1]));
        const y = Array.from({ length: 128 }, (_, i) => i % 10);
        const [single, double] = [between(x, z), between(x.to("float64"), z.to("float64"))];
        expect(Math.abs(single / double - 1)).toBeLessThan(bound);
        const [singleY, doubleY] = [withLabels(y, z), withLabels(y, z.to("float64"))];
        expect(Math.abs(singleY / doubleY - 1)).toBeLessThan(bound);
      });
    }
  });

  test("whole numbers and half precision are measured as the numbers they are", () => {
    scope(() => {
      const whole = randint(0, 256, [16, 12], { generator: new Generator(1) });
      const z = normal(2, [16, 3]);
      const expected = between(whole.to("float64"), z);
      for (const dtype of ["uint8", "int64", "int32", "float16"] as const) {
        const exact = dtype === "uint8" ? whole.to("uint8") : whole.to(dtype);
        expect(between(exact, z), dtype).toBe(expected);
      }
    });
  });
});

describe("what cannot be measured is one clear error", () => {
  const good = () => normal(1, [8, 3]);
  test.each<[string, () => Tensor, RegExp]>([
    [
      "NaN",
      () =>
        tensor([
          [1, Number.NaN],
          [0, 1],
        ]),
      /finite numbers, got NaN or infinity among \[2, 2\]/,
    ],
    [
      "infinity",
      () =>
        tensor([
          [1, Number.POSITIVE_INFINITY],
          [0, 1],
        ]),
      /finite numbers/,
    ],
    ["one sample", () => tensor([[1, 2, 3]]), /at least 2 samples along the first dimension, got \[1, 3\]/],
    ["no sample", () => tensor(new Float32Array(0), { shape: [0, 3] }), /at least 2 samples/],
    ["no feature", () => tensor(new Float32Array(0), { shape: [4, 0] }), /\[4, 0\]/],
    ["a single number", () => tensor(3), /at least 2 samples/],
    ["numbers too large to square", () => normal(1, [8, 3]).to("float64").mul(1e200), /too large/],
  ])("%s", (_, make, message) => {
    expect(() => scope(() => nhsic.factor(make(), defaults))).toThrow(message);
    expect(() => scope(() => nhsic.factor(make(), defaults))).toThrow(
      expect.objectContaining({ name: "MeasureError" }),
    );
  });

  test.each<[string, () => Tensor, RegExp]>([
    ["fractions", () => tensor([0, 1.5, 2]), /expected labels \[N\] of whole numbers, got \[3\] of float32/],
    ["one-hot rows", () => int64([1, 0, 0, 1]).reshape([2, 2]), /\[2, 2\]/],
    ["one label", () => int64([3]), /at least 2/],
  ])("labels: %s", (_, make, message) => {
    expect(() => scope(() => nhsic.labelFactor(make(), defaults))).toThrow(message);
    expect(() => scope(() => nhsic.labelFactor(make(), defaults))).toThrow(
      expect.objectContaining({ name: "MeasureError" }),
    );
  });

  test("a ridge of 0 or less, an unknown kernel", () => {
    expect(() => nhsic.options.parse({ epsilon: 0 })).toThrow();
    expect(() => nhsic.options.parse({ sigma: -1 })).toThrow();
    expect(() => nhsic.options.parse({ distance: "cubed" })).toThrow();
    expect(() => nhsic.factor(good(), { ...defaults, epsilon: 0 })).toThrow();
  });
});

describe("memory", () => {
  test("a factor needs no array larger than m x D or m x m: no m x m x D, no D x D", () => {
    const [m, d] = [64, 30_000];
    const values = randn([m, d], { generator: new Generator(1) });
    const peakOf = (body: () => Tensor) => {
      resetPeakBytes();
      const before = memory();
      const made = body();
      const peak = memory().peakBytes - before.liveBytes;
      expect(memory().liveTensors).toBe(before.liveTensors + 1);
      expect(made.shape).toEqual([m, m]);
      expect(made.dtype).toBe("float64");
      made.dispose();
      return peak;
    };
    expect(peakOf(() => nhsic.factor(values, defaults))).toBeLessThan(2 * m * d * 4 + 12 * m * m * 8);
    // Labels: nothing that grows with the number of classes.
    const labels = int64(Array.from({ length: m }, (_, i) => (i % 4) * 250_000));
    expect(peakOf(() => nhsic.labelFactor(labels, defaults))).toBeLessThan(12 * m * m * 8);
    values.dispose();
    labels.dispose();
  });
});
