// A measure over mini-batches: which rows each estimate sees, the mean, and its standard error by hand; and what every
// registered pair measure promises.
import "../support/one-thread.js";
import { Generator, memory, randint, randn, scope, type Tensor, tensor } from "@stopgrad/torch";
import { describe, expect, test } from "vitest";
import { batchTerms } from "../../src/measures/batches.js";
import { batchMean, measurePairs, type PairMeasure, pairMeasures } from "../../src/measures/index.js";

const int64 = (values: readonly number[]) => tensor(BigInt64Array.from(values, BigInt));
const normal = (seed: number, shape: readonly number[]) =>
  randn(shape, { generator: new Generator(seed), dtype: "float64" });
const optionsOf = (measure: PairMeasure) => measure.options.parse({});

describe("mean and standard error", () => {
  test("by hand", () => {
    // Deviations of 1, 2, 6 from 3 are −2, −1, 3: variance 14 / 2 = 7, standard error √(7 / 3).
    expect(batchMean([1, 2, 6])).toEqual({ value: 3, standardError: Math.sqrt(7 / 3) });
    expect(batchMean([4, 4])).toEqual({ value: 4, standardError: 0 });
  });

  test("one batch has no standard error", () => {
    expect(batchMean([2.5])).toEqual({ value: 2.5, standardError: null });
  });
});

describe("rows", () => {
  /** Factor: the first number of each row; combined: what it was given, as text in a log. */
  const log: string[] = [];
  const spy: PairMeasure = {
    ...pairMeasures.hsic,
    factor: (values) =>
      values
        .reshape([values.size(0), -1])
        .narrow(1, 0, 1)
        .clone(),
    labelFactor: (labels) => labels.clone(),
    combine: (a, b) => {
      log.push(`${a.toNumbers()}|${b.toNumbers()}`);
      return log.length;
    },
  };

  test("batches are consecutive rows of each, the incomplete last one is dropped, inputs come before labels", () => {
    log.length = 0;
    const x = tensor([0, 1, 2, 3, 4, 5, 6].map((i) => [i, 9]));
    const z = tensor([0, 1, 2, 3, 4, 5, 6].map((i) => [10 + i, 9]));
    const y = int64([20, 21, 22, 23, 24, 25, 26]);
    const results = scope(() => measurePairs(spy, {}, { x, y, z: [z] }, 3));
    expect(log).toEqual(["0,1,2|10,11,12", "20,21,22|10,11,12", "3,4,5|13,14,15", "23,24,25|13,14,15"]);
    expect(results).toEqual([
      { pair: "x,z", index: 0, value: 2, standardError: 1 },
      { pair: "y,z", index: 0, value: 3, standardError: 1 },
    ]);
  });

  test("factors of input and labels are computed once a batch, for however many representations", () => {
    const counts = { factor: 0, labelFactor: 0 };
    const counting: PairMeasure = {
      ...pairMeasures.nhsic,
      factor: (values, options) => {
        counts.factor++;
        return pairMeasures.nhsic.factor(values, options);
      },
      labelFactor: (labels, options) => {
        counts.labelFactor++;
        return pairMeasures.nhsic.labelFactor(labels, options);
      },
    };
    const z = [1, 2, 3, 4].map((seed) => normal(seed, [24, 3]));
    const arrays = { x: normal(9, [24, 5]), y: int64(Array.from({ length: 24 }, (_, i) => i % 3)), z };
    scope(() => measurePairs(counting, {}, arrays, 8));
    expect(counts).toEqual({ factor: 3 * (1 + 4), labelFactor: 3 });
  });
});

describe.each(Object.entries(pairMeasures as Record<string, PairMeasure>))("%s", (_, measure) => {
  const options = optionsOf(measure);
  const count = 50;
  const y = Array.from({ length: count }, (_, i) => (i * 3) % 4);
  const arrays = () => ({
    x: normal(1, [count, 2, 3]) as Tensor | null,
    y: int64(y) as Tensor | null,
    z: [normal(2, [count, 7]), normal(3, [count, 2, 2])],
  });

  test("is the mean over batches of the measure on each, or what it makes of its terms' means", () => {
    scope(() => {
      const { x, y, z } = arrays();
      const results = measurePairs(measure, options, { x, y, z }, 16);
      expect(results.map(({ pair, index }) => `${pair} ${index}`)).toEqual(["x,z 0", "x,z 1", "y,z 0", "y,z 1"]);
      for (const { pair, index, value, standardError } of results) {
        const perBatch = [0, 16, 32].map((start) => {
          const rows = (t: Tensor) => t.narrow(0, start, 16);
          const other = pair === "x,z" ? measure.factor(rows(x!), options) : measure.labelFactor(rows(y!), options);
          return batchTerms(measure, other, measure.factor(rows(z[index]!), options), options);
        });
        const without = (left: number | null) => {
          const used = perBatch.filter((_, at) => at !== left);
          const means = used[0]!.map((_, at) => used.reduce((sum, terms) => sum + terms[at]!, 0) / used.length);
          return measure.pooled ? measure.pooled.value(means) : means[0]!;
        };
        expect(value).toBeCloseTo(without(null), 13);
        // The jackknife's error, which for a mean is its usual standard error.
        const left = [0, 1, 2].map(without);
        const centre = left.reduce((sum, one) => sum + one, 0) / 3;
        const spread = left.reduce((sum, one) => sum + (one - centre) ** 2, 0);
        expect(standardError).toBeCloseTo(Math.sqrt((spread * 2) / 3), 13);
      }
    });
  });

  test("one batch: the measure itself", () => {
    scope(() => {
      const { x, y, z } = arrays();
      const [only] = measurePairs(measure, options, { x, y, z }, count);
      const alone = measure.combine(measure.factor(x!, options), measure.factor(z[0]!, options), options);
      expect(only).toEqual({ pair: "x,z", index: 0, value: alone, standardError: null });
    });
  });

  test("input or labels alone give their pairs alone", () => {
    scope(() => {
      const all = measurePairs(measure, options, arrays(), 25);
      const only = (changes: object) => measurePairs(measure, options, { ...arrays(), ...changes }, 25);
      expect(only({ y: null })).toEqual(all.filter(({ pair }) => pair === "x,z"));
      expect(only({ x: null })).toEqual(all.filter(({ pair }) => pair === "y,z"));
    });
  });

  test("the value depends on the batch size: stated, never mixed", () => {
    scope(() => {
      const [small, large] = [10, 50].map((batch) => measurePairs(measure, options, arrays(), batch)[0]!.value);
      expect(Math.abs(small! / large! - 1)).toBeGreaterThan(0.01);
    });
  });

  test("is unchanged when classes are numbered otherwise, and 0 or more unless debiased", () => {
    scope(() => {
      const renamed = { ...arrays(), y: int64(y.map((label) => 9 - label)) };
      const [one, other] = [arrays(), renamed].map((given) => measurePairs(measure, options, given, 25));
      for (const [i, { value }] of one!.entries()) {
        expect(other![i]!.value).toBeCloseTo(value, 12);
        if (options.estimator !== "unbiased") expect(value).toBeGreaterThanOrEqual(0);
      }
    });
  });

  test("leaves no tensor alive, and the arrays as they were", () => {
    const given = arrays();
    const before = [given.x!, given.y!, ...given.z].map((t) => t.toNumbers());
    const { liveTensors, liveBytes } = memory();
    measurePairs(measure, options, given, 16);
    const after = memory();
    expect([after.liveTensors, after.liveBytes]).toEqual([liveTensors, liveBytes]);
    expect([given.x!, given.y!, ...given.z].map((t) => t.toNumbers())).toEqual(before);
  });

  test("refuses batches and arrays that do not fit", () => {
    scope(() => {
      const measureWith =
        (changes: object, batch = 16) =>
        () =>
          measurePairs(measure, options, { ...arrays(), ...changes }, batch);
      expect(measureWith({}, 1)).toThrow(new RegExp(`at least ${measure.smallestBatch}, got 1$`));
      expect(measureWith({}, 51)).toThrow(/at least one batch of 51 samples, got 50/);
      expect(measureWith({}, 12.5)).toThrow(/whole number.*12\.5/);
      expect(measureWith({ z: [normal(2, [40, 3])] })).toThrow(/50 samples and \[40, 3\]/);
      expect(measureWith({ z: [normal(2, [60, 3])] })).toThrow(/50 samples and \[60, 3\]/);
      expect(measureWith({ y: int64(Array.from({ length: 60 }, () => 1)) })).toThrow(/50 samples and \[60\]/);
      expect(measureWith({ z: [normal(2, [50, 3]).mul(Number.NaN)] })).toThrow(/finite/);
    });
  });

  test("has options with defaults, a summary and a source", () => {
    expect(() => measure.options.parse({})).not.toThrow();
    expect(() => measure.options.parse({ sigmma: 3 })).toThrow(/sigmma/);
    expect(measure.summary.length).toBeGreaterThan(10);
    expect(measure.source).toBeTruthy();
    expect(measure.smallestBatch).toBeGreaterThanOrEqual(2);
  });

  test("labels of any whole type, and far apart, are the same classes", () => {
    scope(() => {
      const labels = randint(0, 4, [20], { generator: new Generator(1) });
      const expected = measure.labelFactor(labels, options).toNumbers();
      for (const dtype of ["uint8", "int32", "int16", "int8"] as const) {
        expect(measure.labelFactor(labels.to(dtype), options).toNumbers()).toEqual(expected);
      }
      expect(measure.labelFactor(labels.mul(1_000_000), options).toNumbers()).toEqual(expected);
    });
  });
});
