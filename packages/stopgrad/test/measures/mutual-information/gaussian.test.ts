// The variables that estimators are held against: their closed forms against integrals by SciPy, their samples against
// what they should be.
import "../../support/one-thread.js";
import { readFileSync } from "node:fs";
import { Generator, scope } from "@stopgrad/torch";
import { expect, test } from "vitest";
import {
  classInformation,
  correlatedGaussians,
  correlationFor,
  gaussianInformation,
  quantileLabels,
} from "../../../src/measures/mutual-information/index.js";

const recorded = JSON.parse(
  readFileSync(new URL("../../fixtures/mutual-information.json", import.meta.url), "utf8"),
) as { classInformation: { correlation: number; classes: number; value: number }[] };

test("−d/2 ln(1 − ρ²), and back to the correlation", () => {
  expect(gaussianInformation(1, 0.6)).toBeCloseTo(-Math.log(0.8), 14);
  expect(gaussianInformation(3, -0.6)).toBeCloseTo(-3 * Math.log(0.8), 14);
  expect(gaussianInformation(4, 0)).toBeCloseTo(0, 14);
  for (const information of [0, 1e-6, 0.5, 8]) {
    expect(gaussianInformation(5, correlationFor(information, 5))).toBeCloseTo(information, 12);
  }
});

test.each(recorded.classInformation)("of $classes classes at $correlation, by SciPy's quadrature", (figure) => {
  expect(classInformation(figure.correlation, figure.classes)).toBeCloseTo(figure.value, 8);
  expect(classInformation(-figure.correlation, figure.classes)).toBeCloseTo(figure.value, 8);
});

test("classes tell nothing without correlation and all with it", () => {
  expect(classInformation(0, 10)).toBe(0);
  expect(classInformation(1e-9, 10)).toBeCloseTo(0, 9);
  expect(classInformation(1, 10)).toBeCloseTo(Math.log(10), 14);
  expect(classInformation(1 - 1e-12, 10)).toBeCloseTo(Math.log(10), 4);
  // Processed by x: never more than the Gaussian has, nor more than two classes with finer ones.
  for (const correlation of [0.2, 0.7, 0.99]) {
    const byClasses = [2, 4, 16].map((classes) => classInformation(correlation, classes));
    expect([...byClasses, gaussianInformation(1, correlation)]).toEqual(
      [...byClasses, gaussianInformation(1, correlation)].toSorted((a, b) => a - b),
    );
  }
});

test("samples have the moments they should, and classes the same size", () => {
  scope(() => {
    const { x, z } = correlatedGaussians(20_000, 2, 0.8, new Generator(3));
    const covariance = z.t().matmul(x).div(20_000).toNested() as number[][];
    expect(covariance.flat().map((entry) => Math.round(entry * 20) / 20)).toEqual([0.8, 0, 0, 0.8].map((v) => v + 0));
    expect(z.square().mean().item()).toBeCloseTo(1, 1);
    const counts = quantileLabels(x.select(1, 0), 5).eq(4).sum().item();
    expect(Math.abs(counts - 4000)).toBeLessThan(200);
    expect(quantileLabels(x.select(1, 0), 2).toNumbers()).toEqual(x.select(1, 0).gt(0).to("int64").toNumbers());
  });
});
