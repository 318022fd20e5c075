// What all probes have in common: what they refuse, and that they neither change nor keep what they are given.
import "../support/one-thread.js";
import { memory, randn, scope, tensor } from "@stopgrad/torch";
import { describe, expect, it } from "vitest";
import { knn } from "../../src/measures/knn.js";
import { MeasureError, type SplitFeatures } from "../../src/measures/measure.js";
import { mlpProbe } from "../../src/measures/mlp-probe.js";
import { probe } from "../../src/measures/probe.js";
import { inTurn, int64, noise } from "./made-features.js";

const probes = [
  { name: "probe", measure: probe, options: {} },
  { name: "mlp-probe", measure: mlpProbe, options: { epochs: 2, hidden: 8, batch: 16 } },
  { name: "knn", measure: knn, options: { k: 3 } },
];

describe.each(probes)("$name", ({ measure, options }) => {
  const refused = (change: (features: SplitFeatures) => Partial<SplitFeatures>, message: RegExp) =>
    scope(() => {
      const features = noise(30, 4);
      const wrong = { ...features, ...change(features) };
      expect(() => measure.fit(wrong, options)).toThrow(MeasureError);
      expect(() => measure.fit(wrong, options)).toThrow(message);
    });
  const spoilt = (value: number) => {
    const rows = Array.from({ length: 30 }, () => [1, 2, 3, 4]);
    rows[29]![3] = value;
    return tensor(rows);
  };

  it.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])("refuses %d in either split", (value) => {
    refused(() => ({ train: spoilt(value) }), /expected finite features, got NaN, infinity or numbers beyond float32/);
    refused(() => ({ test: spoilt(value) }), /expected finite features, got NaN, infinity or numbers beyond float32/);
  });

  it("refuses one training class, and labels out of range", () => {
    refused(() => ({ trainLabels: int64(new Array(30).fill(1)) }), /labels of at least two classes, got one/);
    refused(() => ({ trainLabels: int64([...inTurn(29), 2]) }), /training labels from 0 to 1, got 2/);
    refused(() => ({ testLabels: int64([...inTurn(29), -1]) }), /test labels from 0 to 1, got -1/);
  });

  it("refuses shapes and types that do not fit", () => {
    refused(() => ({ train: randn([30, 2, 2]) }), /training features \[N, D\], got \[30, 2, 2\]/);
    refused(() => ({ train: randn([0, 4]) }), /training features \[N, D\], got \[0, 4\]/);
    refused(() => ({ test: randn([30, 5]) }), /test features \[M, 4\] as in training, got 5/);
    refused(() => ({ testLabels: int64(inTurn(29)) }), /test labels \[30\] of int64, got \[29\]/);
    refused(() => ({ trainLabels: tensor(inTurn(30)) }), /training labels \[30\] of int64, got \[30\] of float32/);
    refused(() => ({ train: int64(inTurn(30)).unsqueeze(1) }), /float32 or float64, got int64/);
  });

  it("does not depend on the features' unit, to the last bit, as far as float32 goes", () => {
    scope(() => {
      const features = noise(60, 4);
      const usual = measure.fit(features, options);
      for (const exponent of [-100, -30, 30, 100]) {
        const unit = 2 ** exponent;
        const found = measure.fit(
          { ...features, train: features.train.mul(unit), test: features.test.mul(unit) },
          options,
        );
        expect(found).toEqual(usual);
      }
    });
  });

  it("refuses options it does not know", () => {
    scope(() => expect(() => measure.fit(noise(30, 4), { neighbours: 3 })).toThrow());
  });

  it("gives the same twice, changes nothing, and leaves no tensor behind", () => {
    scope(() => {
      const features = noise(40, 4);
      const values = () => [...features.train.toNumbers(), ...features.test.toNumbers()];
      const [before, live] = [values(), memory().liveTensors];
      const first = measure.fit(features, options);
      expect(measure.fit(features, options)).toEqual(first);
      expect(values()).toEqual(before);
      expect(memory().liveTensors).toBe(live);
      expect(first.testCorrect.reduce((sum, right) => sum + right, 0) / 40).toBe(first.test);
    });
  });

  it("leaves nothing behind when its caller ends it", () => {
    scope(() => {
      const features = noise(40, 4);
      const live = memory().liveTensors;
      const breathe = () => {
        throw new Error("enough");
      };
      expect(() => measure.fit(features, options, breathe)).toThrow("enough");
      expect(memory().liveTensors).toBe(live);
    });
  });

  it("does not mind a feature that does not vary, nor features that are all constant", () => {
    scope(() => {
      const features = noise(40, 4);
      const constant = (x: typeof features.train) => x.mul(0).add(0.1);
      const { train, test } = measure.fit(
        { ...features, train: constant(features.train), test: constant(features.test) },
        options,
      );
      for (const accuracy of [train, test]) expect(accuracy).toBeGreaterThanOrEqual(0);
      expect(test).toBe(0.5);
    });
  });

  it("names its keys and its protocol", () => {
    expect(measure.kind).toBe("probe");
    expect(measure.key).toMatch(/^[a-z][A-Za-z]*$/);
    expect(measure.trainingImages({})).toBe(10_000);
    expect(measure.trainingImages({ train: null })).toBeNull();
  });
});
