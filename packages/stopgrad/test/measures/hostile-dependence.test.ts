// What nHSIC, HSIC and CKA do with absurd options and input, in batches and of all samples at once: one clear sentence, or
// the limit that they document.
import "../support/one-thread.js";
import { cat, full, Generator, memory, randn, scope, type Tensor, tensor } from "@stopgrad/torch";
import { describe, expect, test } from "vitest";
import { type FullSetMeasure, fullSet, fullSetMeasures } from "../../src/measures/full-set.js";
import { type Measure, MeasureError, measurePairs, measures, type PairMeasure } from "../../src/measures/index.js";
import { takeMeasure } from "../../src/take-measure.js";

type Options = Record<string, unknown>;

const COUNT = 16;
const int64 = (values: readonly number[]) => tensor(BigInt64Array.from(values, BigInt));
const normal = (seed: number, shape: readonly number[] = [COUNT, 3]) =>
  randn(shape, { generator: new Generator(seed), dtype: "float64" });
const classes = () => int64(Array.from({ length: COUNT }, (_, at) => at % 3));
const names = Object.keys(fullSetMeasures) as FullSetMeasure[];

/** All samples the same but for the last. */
const allButOne = (count = COUNT) => cat([full([count - 1, 2], 0.3), full([1, 2], 5)], 0).to("float64");

const arraysOf = (z: Tensor, y: Tensor = classes(), x = normal(1)) => ({ x, y, z: [z] });

/** With the input and with the labels: of one batch of all samples, and of all samples at once with every landmark. */
const ways: [string, (name: FullSetMeasure, arrays: ReturnType<typeof arraysOf>, options: Options) => number[]][] = [
  [
    "one batch",
    (name, arrays, options) =>
      measurePairs(fullSetMeasures[name], options, arrays, arrays.y.size(0)).map(({ value }) => value),
  ],
  ["nystrom", (name, arrays, options) => fullSet(name, arrays, options).map(({ value }) => value)],
  [
    "random features",
    (name, arrays, options) =>
      fullSet(name, arrays, { ...options, approximation: "random-features", rank: 40 }).map(({ value }) => value),
  ],
];

function refuses(body: () => unknown, message: string | RegExp) {
  const live = memory().liveTensors;
  expect(() => scope(() => void body())).toThrow(message);
  expect(() => scope(() => void body())).toThrow(MeasureError);
  expect(() => scope(() => void body())).toThrow(/^[^\n]+$/);
  expect(memory().liveTensors).toBe(live);
}

describe("an option that the kernel does not use", () => {
  const linear = "the linear kernel does not use it, got";
  const cases: [FullSetMeasure, Options, string][] = [
    ["nhsic", { kernel: "linear", sigma: 3 }, `sigma: ${linear} 3; leave it out, or use kernel rbf or laplacian`],
    ["hsic", { kernel: "linear", width: "median" }, `width: ${linear} median; leave it out`],
    ["nhsic", { kernel: "linear", distance: "plain" }, `distance: ${linear} plain; leave it out, or use kernel rbf`],
    ["cka", { sigma: 0.5 }, `sigma: ${linear} 0.5`],
    [
      "cka",
      { kernel: "laplacian", distance: "plain" },
      "distance: the laplacian kernel does not use it, got plain; leave it out, or use kernel rbf",
    ],
  ];

  test.each(cases)("%s %j is refused", (name, options, message) => {
    refuses(() => measurePairs(fullSetMeasures[name], options, arraysOf(normal(2)), COUNT), message);
    refuses(() => fullSet(name, arraysOf(normal(2)), options), message);
    refuses(() => takeMeasure(name, arraysOf(normal(2)), { options, batch: COUNT }), `${name}: ${message}`);
    refuses(() => takeMeasure(name, arraysOf(normal(2)), { options, full: true }), `${name}: ${message}`);
  });

  test.each(cases)("%s %j, as a run has recorded it, is read as it is", (name, options) => {
    scope(() => {
      const used = Object.fromEntries(Object.entries(options).filter(([key]) => key === "kernel"));
      const measure = fullSetMeasures[name];
      expect(measure.factor(normal(2), options).toNumbers()).toEqual(measure.factor(normal(2), used).toNumbers());
    });
  });

  test.each(names)(
    "%s: written out in full with its default it is right, and so is every option that is used",
    (name) => {
      const measure: Measure = measures[name];
      const right = [
        { kernel: "linear", sigma: 5, width: "scaled", distance: "squared" },
        { kernel: "laplacian", sigma: 2, width: "median" },
        { kernel: "rbf", sigma: 2, width: "fixed", distance: "plain" },
      ];
      for (const options of right) expect(measure.refused?.(options, { images: 128, dimensions: 3072 })).toBeNull();
      scope(() => {
        for (const [, take] of ways) for (const options of right) take(name, arraysOf(normal(2)), options);
      });
    },
  );

  test("so are landmarks, where the value is exact", () => {
    const exact = (options: Options) => fullSet("hsic", arraysOf(normal(2)), { approximation: "exact", ...options });
    refuses(
      () => exact({ rank: 10 }),
      "rank: approximation exact does not use it, got 10; leave it out, or use nystrom",
    );
    refuses(() => exact({ seed: 1 }), "seed: approximation exact does not use it, got 1");
    scope(() => expect(exact({ rank: 1000, seed: 0 })).toHaveLength(2));
  });
});

describe("options out of range", () => {
  test.each(names)("%s", (name) => {
    const measure: PairMeasure = fullSetMeasures[name];
    const rbf = name === "cka" ? { kernel: "rbf" } : {};
    const wrong: [Options, string | RegExp][] = [
      [{ sigma: 0 }, "sigma: expected number to be >0, got 0"],
      [{ sigma: -1 }, "sigma: expected number to be >0, got -1"],
      [{ sigma: Number.NaN }, "sigma: expected a finite number, got NaN"],
      [{ sigma: Number.POSITIVE_INFINITY }, "sigma: expected a finite number, got Infinity"],
      [{ sigma: "5" }, "sigma: expected a finite number, got 5"],
      [{ kernel: "cubic" }, /^kernel: expected one of .*"laplacian".*, got cubic$/],
      [{ epsylon: 1 }, 'unrecognized key: "epsylon"'],
      ...(name === "nhsic"
        ? ([
            [{ epsilon: 0 }, "epsilon: expected number to be >0, got 0"],
            [{ epsilon: -1e-5 }, "epsilon: expected number to be >0, got -0.00001"],
            [{ epsilon: Number.NaN }, "epsilon: expected a finite number, got NaN"],
          ] as [Options, string][])
        : ([[{ estimator: "best" }, /^estimator: expected one of .*, got best$/]] as [Options, RegExp][])),
    ];
    for (const [options, message] of wrong) {
      refuses(() => measure.factor(normal(2), options), message);
      refuses(() => measure.labelFactor(classes(), options), message);
      for (const [, take] of ways) refuses(() => take(name, arraysOf(normal(2)), { ...rbf, ...options }), message);
    }
  });

  test.each<[Options, RegExp]>([
    [{ rank: 0 }, /^rank: expected number to be >=2, got 0$/],
    [{ rank: 3 }, /^rank: .*multiple of 2, got 3$/],
    [{ rank: 2.5 }, /^rank: .*, got 2.5$/],
    [{ rank: Number.NaN }, /^rank: .*, got NaN$/],
    [{ rank: 5002 }, /^rank: expected number to be <=5000, got 5002$/],
    [{ seed: -1 }, /^seed: expected number to be >=0, got -1$/],
    [{ chunk: 0 }, /^chunk: expected number to be >0, got 0$/],
    [{ approximation: "best" }, /^approximation: .*, got best$/],
  ])("all samples at once: %j", (options, message) => {
    for (const name of names) refuses(() => fullSet(name, arraysOf(normal(2)), options), message);
  });

  test.each<[number, RegExp]>([
    [0, /^expected batches of a whole number of samples, at least [24], got 0$/],
    [1, /got 1$/],
    [2.5, /got 2.5$/],
    [-4, /got -4$/],
    [Number.NaN, /got NaN$/],
    [COUNT + 1, /^expected at least one batch of 17 samples, got 16; choose a smaller batch$/],
  ])("batches of %d", (batch, message) => {
    for (const name of names) {
      refuses(() => measurePairs(fullSetMeasures[name], {}, arraysOf(normal(2)), batch), message);
    }
  });
});

describe("widths and ridges at the ends of what numbers hold", () => {
  const kernels: [string, Options][] = [
    ["rbf, scaled", { kernel: "rbf" }],
    ["rbf, fixed", { kernel: "rbf", width: "fixed" }],
    ["rbf, median", { kernel: "rbf", width: "median" }],
    ["laplacian, median", { kernel: "laplacian", width: "median" }],
  ];

  test.each(kernels)("%s: a width whose inverse is infinite is refused", (_, options) => {
    for (const name of names) {
      for (const [, take] of ways) {
        const run = () => take(name, arraysOf(normal(2)), { ...options, sigma: 1e-310 });
        refuses(run, /sigma: expected a width that is not so small that .* is infinite, got 1e-310/);
      }
    }
  });

  test.each(ways)("%s: samples that are no widths apart are the same, and tell nothing", (_, take) => {
    scope(() => {
      for (const kernel of ["rbf", "laplacian"]) {
        const options = { kernel, sigma: 1e300 };
        for (const value of take("nhsic", arraysOf(normal(2)), options)) expect(Math.abs(value)).toBeLessThan(1e-15);
        for (const value of take("hsic", arraysOf(normal(2)), options)) expect(Math.abs(value)).toBeLessThan(1e-15);
        refuses(() => take("cka", arraysOf(normal(2)), options), "CKA is undefined: expected samples that differ");
      }
    });
  });

  test.each(ways)("%s: a ridge that is lost in rounding, or infinite, is refused", (_, take) => {
    for (const epsilon of [1e-300, 1e-18]) {
      const run = () => take("nhsic", arraysOf(normal(2)), { epsilon, sigma: 0.1 });
      refuses(
        run,
        /epsilon: expected at least \d.*e-1\d, as less is lost in the rounding of this Gram matrix, got 1e-/,
      );
    }
    refuses(
      () => take("nhsic", arraysOf(normal(2)), { epsilon: 1.7e308 }),
      /epsilon: expected a ridge that is finite times 16 samples, got 1.7e\+308/,
    );
  });

  test.each(ways)("%s: every other ridge gives a value in its range, 0 for the largest", (_, take) => {
    scope(() => {
      for (const sigma of [0.1, 5]) {
        for (const epsilon of [1e-14, 1e-10, 1e-5, 1, 1e10, 1e300]) {
          for (const value of take("nhsic", arraysOf(normal(2)), { epsilon, sigma })) {
            expect(value).toBeGreaterThanOrEqual(0);
            expect(value).toBeLessThanOrEqual(COUNT - 1 + 1e-3);
            if (epsilon === 1e300) expect(value).toBeLessThan(1e-15);
          }
        }
      }
    });
  });

  test("the least ridge grows with the values of a linear kernel", () => {
    const run = (scale: number) => () =>
      measurePairs(fullSetMeasures.nhsic, { kernel: "linear" }, arraysOf(normal(2).mul(scale)), COUNT);
    scope(() => expect(run(1e3)()).toHaveLength(2));
    refuses(run(1e8), /epsilon: expected at least \d+\.?\d*, as less is lost/);
  });
});

describe("input at its limits", () => {
  test.each(ways.slice(0, 2))("all samples the same but one: the values worked by hand, %s", (_, take) => {
    scope(() => {
      // P G P = 2 (1 − k) P e eᵀ P, e the odd one: one direction, with the eigenvalue 2 (1 − k) (m − 1) / m.
      const k = Math.exp(-(2 * 4.7 ** 2) / (2 * 25 * 2));
      const odd = int64(Array.from({ length: COUNT }, (_, at) => (at === COUNT - 1 ? 1 : 0)));
      const [ofZ, ofY] = [1 - k, 1].map((drop) => (2 * drop * (COUNT - 1)) / COUNT) as [number, number];
      const arrays = { x: allButOne(), y: odd, z: [allButOne()] };
      const ridge = 1e-5 * COUNT;
      const share = (eigenvalue: number) => eigenvalue / (eigenvalue + ridge);
      const close = (actual: number[], expected: number[]) => {
        for (const [at, value] of expected.entries()) expect(actual[at]! / value).toBeCloseTo(1, 5);
      };
      close(take("nhsic", arrays, {}), [share(ofZ) ** 2, share(ofZ) * share(ofY)]);
      close(take("hsic", arrays, {}), [ofZ ** 2 / (COUNT - 1) ** 2, (ofZ * ofY) / (COUNT - 1) ** 2]);
      close(take("cka", arrays, { estimator: "biased" }), [1, 1]);
      // Between U-centred matrices there is nothing left, and no ratio of it: rounding must not be taken for one.
      expect(take("hsic", arrays, { estimator: "unbiased" })).toEqual([0, 0]);
      for (const options of [{}, { kernel: "rbf" }]) {
        refuses(() => take("cka", arrays, options), "CKA is undefined: expected samples that differ");
      }
      refuses(() => take("hsic", arrays, { width: "median" }), /the median distance is 0, for more than half/);
    });
  });

  test.each(ways)("a constant has no dependence and no CKA, nor has a single class: %s", (_, take) => {
    scope(() => {
      const constant = full([COUNT, 3], 0.1);
      const one = int64(new Array(COUNT).fill(2));
      for (const name of ["nhsic", "hsic"] as const) {
        for (const value of take(name, arraysOf(constant), {})) expect(Math.abs(value)).toBeLessThan(1e-15);
        expect(Math.abs(take(name, arraysOf(normal(2), one), {})[1]!)).toBeLessThan(1e-15);
      }
      refuses(() => take("cka", arraysOf(constant), {}), /CKA is undefined.*constant representation/);
      refuses(() => take("cka", arraysOf(normal(2), one), {}), /CKA is undefined.*constant first array/);
    });
  });

  test.each(ways)("labels of another type or shape, numbers that are not finite: %s", (_, take) => {
    for (const name of names) {
      refuses(() => take(name, arraysOf(normal(2), classes().to("float32")), {}), /labels \[N\] .* of float32/);
      refuses(() => take(name, arraysOf(normal(2), classes().reshape([COUNT, 1])), {}), /labels \[N\] .*\[16, 1\]/);
      for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
        const spoilt = normal(2);
        spoilt.select(0, 4).select(0, 1).fill_(bad);
        refuses(() => take(name, arraysOf(spoilt.clone()), {}), /expected finite numbers, got NaN or infinity/);
        spoilt.dispose();
      }
    }
  });

  test.each(ways.slice(0, 2))(
    "float16: as its numbers in float64; beyond its range they are infinite: %s",
    (_, take) => {
      scope(() => {
        for (const name of names) {
          const half = normal(2).to("float16");
          const [of16, of64] = [half, half.to("float64")].map((z) => take(name, arraysOf(z), {}));
          for (const [at, value] of of64!.entries()) expect(of16![at]).toBeCloseTo(value, 10);
          const beyond = normal(2).mul(1e5).to("float16");
          refuses(() => take(name, arraysOf(beyond), {}), /expected finite numbers, got NaN or infinity/);
          const large = normal(2, [COUNT, 2]).mul(1e200);
          refuses(() => take(name, arraysOf(large), {}), /the numbers are too large/);
        }
      });
    },
  );

  test.each(ways)("linear CKA has no unit, and where float64 does not hold the squares it says so: %s", (_, take) => {
    scope(() => {
      const options = { kernel: "linear" };
      const usual = take("cka", arraysOf(normal(2)), options);
      for (const factor of [1e-70, 1e70]) {
        const scaled = take("cka", arraysOf(normal(2).mul(factor)), options);
        for (const [at, value] of usual.entries()) expect(scaled[at]).toBeCloseTo(value, 10);
      }
      for (const name of ["hsic", "cka"] as const) {
        for (const [factor, what] of [
          [1e80, "large"],
          [1e-85, "small"],
        ] as const) {
          const values = normal(2).mul(factor);
          refuses(() => take(name, arraysOf(values), options), `the numbers are too ${what}: the square of an inner`);
        }
      }
    });
  });

  test("more landmarks than samples, and landmarks that coincide, leave the exact value", () => {
    scope(() => {
      const points = normal(3, [4, 3]);
      const repeated = cat([points, points, points, points], 0);
      for (const [name, options] of [
        ["nhsic", {}],
        ["hsic", { estimator: "unbiased" }],
        ["cka", { kernel: "rbf" }],
        ["cka", {}],
      ] as [FullSetMeasure, Options][]) {
        for (const z of [repeated, normal(2)]) {
          const exact = fullSet(name, arraysOf(z), { ...options, approximation: "exact" });
          for (const rank of [COUNT, 200, 5000]) {
            for (const [at, { value }] of fullSet(name, arraysOf(z), { ...options, rank }).entries()) {
              expect(Math.abs(value / exact[at]!.value - 1)).toBeLessThan(1e-4);
            }
          }
        }
      }
    });
  });
});
