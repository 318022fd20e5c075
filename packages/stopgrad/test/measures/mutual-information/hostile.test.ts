// What every estimator of mutual information does with input that is absurd: a clear error, or the limit it documents.
import "../../support/one-thread.js";
import { full, Generator, memory, randn, scope, type Tensor, zeros } from "@stopgrad/torch";
import { describe, expect, test } from "vitest";
import { MeasureError, type SampleMeasure } from "../../../src/measures/measure.js";
import { estimators } from "../../../src/measures/mutual-information/index.js";
import { found, int64 } from "./samples.js";

const COUNT = 40;
const normal = (seed: number, shape = [COUNT, 3]) => randn(shape, { generator: new Generator(seed) });
const classes = () => int64(Array.from({ length: COUNT }, (_, at) => at % 2));

/** One number of `values` replaced. */
function spoilt(values: Tensor, by: number): Tensor {
  values.select(0, 3).select(0, 1).fill_(by);
  return values;
}

describe.each(Object.entries(estimators) as [string, SampleMeasure][])("%s", (name, measure) => {
  const quick = name === "mine" || name === "info-nce" ? { steps: 20, batch: 16 } : {};
  const takesInput = !measure.needs.includes("labels");
  const values = (sample: Parameters<typeof found>[1]) =>
    scope(() =>
      Object.fromEntries(Object.entries(found(measure, sample, quick)).map(([key, { value }]) => [key, value])),
    );

  test.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])("%d in z is refused", (bad) => {
    scope(() => {
      const sample = { x: normal(1), z: spoilt(normal(2), bad), labels: classes() };
      expect(() => values(sample)).toThrow(MeasureError);
      expect(() => values(sample)).toThrow(/z: expected finite numbers/);
    });
  });

  test("numbers whose squares are infinite are refused", () => {
    scope(() => {
      expect(() => values({ z: normal(2).mul(1e30), labels: classes() })).toThrow(/too large/);
    });
  });

  test("too few samples, none, or a single number", () => {
    scope(() => {
      const few = measure.smallestSample - 1;
      const sample = { z: normal(1, [few, 2]), labels: int64(Array.from({ length: few }, (_, at) => at % 2)) };
      expect(() => values(sample)).toThrow(MeasureError);
      expect(() => values({ z: zeros([0, 2]), labels: zeros([0], { dtype: "int64" }) })).toThrow(MeasureError);
      expect(() => values({ z: zeros([]), labels: classes() })).toThrow(/along the first dimension, got \[\]/);
    });
  });

  test("labels of one class, out of range, of another length, shape or type", () => {
    scope(() => {
      const z = normal(1);
      const of = (labels: Tensor) => () => values({ z, labels });
      expect(of(zeros([COUNT], { dtype: "int64" }))).toThrow("at least two classes, got one");
      expect(of(int64(Array.from({ length: COUNT }, (_, at) => at - 1)))).toThrow(/got -1 to 38/);
      expect(of(int64(Array.from({ length: COUNT }, (_, at) => (at === 0 ? 1e12 : 0))))).toThrow(
        /got 0 to 1000000000000/,
      );
      expect(of(int64([0, 1, 0]))).toThrow(/of the 40 samples of z, got 3/);
      expect(of(zeros([COUNT, 2], { dtype: "int64" }))).toThrow(/expected labels \[N\] of whole numbers/);
      expect(of(zeros([COUNT]))).toThrow(/of float32/);
      expect(() => values({ z })).toThrow(MeasureError);
    });
  });

  test("a constant tells nothing", () => {
    scope(() => {
      const found = values({ x: normal(1), z: full([COUNT, 3], 7), labels: classes() });
      for (const { key } of measure.keys)
        expect([key, found[key]]).toEqual([key, key === "infoNceCap" ? found[key] : 0]);
    });
  });

  test("a constant feature, coinciding samples, classes of one sample and float16 are taken", () => {
    scope(() => {
      const z = normal(1);
      z.select(1, 1).fill_(3);
      z.narrow(0, 0, 10).fill_(0.5);
      const labels = classes();
      labels.select(0, 5).fill_(2);
      for (const given of [z, z.to("float16"), z.to("float64")]) {
        for (const [key, value] of Object.entries(values({ x: normal(3), z: given, labels }))) {
          expect([key, Number.isFinite(value)]).toEqual([key, true]);
        }
      }
    });
  });

  test.runIf(takesInput)("an x of other samples, or not finite", () => {
    scope(() => {
      expect(() => values({ x: normal(1, [COUNT - 1, 3]), z: normal(2) })).toThrow(
        /expected x of the 40 samples of z, got 39/,
      );
      expect(() => values({ x: spoilt(normal(1), Number.NaN), z: normal(2) })).toThrow(/x: expected finite numbers/);
    });
  });

  test("options that cannot be are refused, and nothing is left behind", () => {
    for (const wrong of [{ seed: -1 }, { heldOut: 1 }, { k: 0 }, { bins: 1 }, { steps: 0 }, { learningRate: 0 }]) {
      expect(() => measure.options.parse(wrong)).toThrow();
    }
    scope(() => {
      const sample = { x: normal(1), z: normal(2), labels: classes() };
      const before = memory().liveTensors;
      found(measure, sample, quick);
      expect(() => found(measure, { ...sample, z: spoilt(normal(2), Number.NaN).clone() }, quick)).toThrow();
      expect(memory().liveTensors - before).toBeLessThanOrEqual(4); // the spoilt arrays themselves
    });
  });
});
