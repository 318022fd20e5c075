// H(Y) − CE: as SciPy's optimiser finds it, below the truth, and honest where the classifier is bad.
import "../../support/one-thread.js";
import { readFileSync } from "node:fs";
import { Generator, scope } from "@stopgrad/torch";
import { describe, expect, test } from "vitest";
import {
  classInformation,
  correlatedGaussians,
  labelBound,
  quantileLabels,
} from "../../../src/measures/mutual-information/index.js";
import { values } from "../../support/formula.js";
import { float64, formula, found, gaussians, int64 } from "./samples.js";

const recorded = JSON.parse(
  readFileSync(new URL("../../fixtures/mutual-information.json", import.meta.url), "utf8"),
) as { count: number; labelBound: { l2: number; heldOut: number; value: number } };

test("as SciPy has it", () => {
  scope(() => {
    const { count, labelBound: figure } = recorded;
    const z = formula("mi bound", count, 3);
    const noise = values("mi noise", count);
    const labels = z.map(([a, b, c], at) => Number(a! + 0.5 * noise[at]! > 0) + Number(b! - c! > 0.5));
    const scaled = float64(z.map(([a, b, c]) => [a! + 3, b! * 20, c! * 0.1]));
    const { value, terms } = found(labelBound, { z: scaled, labels: int64(labels) }, figure_(figure)).labelBound!;
    expect(Math.abs(value - figure.value)).toBeLessThan(2e-3); // the gradient is brought to 1e-4, not to 1e-8
    expect(terms).toHaveLength(72);
    expect(terms!.reduce((sum, term) => sum + term, 0) / 72).toBeCloseTo(value, 12);
  });
});

const figure_ = ({ l2, heldOut }: { l2: number; heldOut: number }) => ({ l2, heldOut });

describe("of a Gaussian cut into classes", () => {
  test.each([0.3, 0.7, 0.95, 0.999])("correlation %d: at most the truth, and near it", (correlation) => {
    scope(() => {
      const { x, z } = correlatedGaussians(4000, 1, correlation, new Generator(5));
      const labels = quantileLabels(x.select(1, 0), 4);
      const { value } = found(labelBound, { z, labels }).labelBound!;
      const truth = classInformation(correlation, 4);
      expect(value).toBeLessThan(truth + 0.03); // noise of 1,200 samples held out
      expect(value).toBeGreaterThan(truth - 0.1);
    });
  });
});

test("classes that are not linear are not seen: a ring around a disc", () => {
  scope(() => {
    const { z } = gaussians(2000, 2, 0);
    const labels = z.square().sum([1]).gt(1.386).to("int64"); // half of them
    expect(Math.abs(found(labelBound, { z, labels }).labelBound!.value)).toBeLessThan(0.02);
    expect(found(labelBound, { z: z.square(), labels }).labelBound!.value).toBeGreaterThan(0.5);
  });
});

test("a classifier that overfits is reported as it is, below 0", () => {
  scope(() => {
    const { z } = gaussians(60, 80, 0);
    const labels = int64(Array.from({ length: 60 }, (_, at) => ((at * at) % 3) % 2));
    expect(found(labelBound, { z, labels }).labelBound!.value).toBeLessThan(-0.5);
  });
});

test("maps are pooled as the probe pools them, and the seed decides the split", () => {
  scope(() => {
    const { z } = gaussians(200, 16, 0);
    const labels = z.select(1, 0).add(z.select(1, 1)).gt(0).to("int64");
    const asMap = found(labelBound, { z: z.reshape([200, 4, 2, 2]), labels }).labelBound!.value;
    expect(asMap).toBeCloseTo(found(labelBound, { z, labels }).labelBound!.value, 10);
    expect(found(labelBound, { z, labels }, { seed: 1 }).labelBound!.value).not.toBe(asMap);
  });
});
