// MINE and InfoNCE: against the closed form where they work, bounds where they do not, and neither fooled by what it has
// learnt by heart.
import "../../support/one-thread.js";
import { memory, scope } from "@stopgrad/torch";
import { describe, expect, test } from "vitest";
import { infoNce, mine } from "../../../src/measures/mutual-information/index.js";
import { found, gaussians, int64 } from "./samples.js";

const steps = 300;

describe.each([
  ["mine", mine, "mineXZ", {}],
  ["mine by nwj", mine, "mineXZ", { bound: "nwj" }],
  ["info-nce", infoNce, "infoNceXZ", {}],
] as const)("%s", (_, measure, key, options) => {
  test.each([
    [1, 0.5, 0.12],
    [2, 2, 0.25],
  ])("%d dimensions with %d nats, to %d", (dimension, information, tolerance) => {
    scope(() => {
      const { value } = found(measure, gaussians(3000, dimension, information), { steps, ...options })[key]!;
      expect(Math.abs(value - information)).toBeLessThan(tolerance);
    });
  });

  test("independent variables have none, however long it learns few samples by heart", () => {
    scope(() => {
      const sample = gaussians(200, 20, 0);
      expect(Math.abs(found(measure, sample, { steps, batch: 64, ...options })[key]!.value)).toBeLessThan(0.1);
    });
  });

  test("the same seed gives the same number, another one another", () => {
    scope(() => {
      const sample = gaussians(300, 2, 1);
      const values = [0, 0, 1].map((seed) => {
        return found(measure, sample, { steps: 60, batch: 64, seed, ...options })[key]!.value;
      });
      expect(values[1]).toBe(values[0]);
      expect(values[2]).not.toBe(values[0]);
    });
  });
});

describe.each([
  ["mine", mine, "mineYZ", "mineXZ"],
  ["info-nce", infoNce, "infoNceYZ", "infoNceXZ"],
] as const)("%s of labels", (_, measure, key, other) => {
  test("that z tells: the labels' entropy; that it does not: none", () => {
    scope(() => {
      const { x, z } = gaussians(1200, 3, 0);
      const labels = Array.from({ length: 1200 }, (_, at) => (7 * at + 3) % 4);
      const shifted = z.add(int64(labels).to("float32").unsqueeze(1).mul(8));
      const told = found(measure, { x, z: shifted, labels: int64(labels) }, { steps: 150, pairs: "labels" });
      expect(Math.abs(told[key]!.value - Math.log(4))).toBeLessThan(0.1);
      expect(told[other]!.value).toBeNaN();
      const untold = found(measure, { z, labels: int64(labels) }, { steps: 150 });
      expect(Math.abs(untold[key]!.value)).toBeLessThan(0.05);
    });
  });
});

describe("the cap of InfoNCE", () => {
  test.each([
    [16, 16],
    [64, 64],
    [200, 150],
  ])("batch %d: never above log %d", (batch, effective) => {
    scope(() => {
      const { x } = gaussians(1000, 2, 0);
      const same = found(infoNce, { x, z: x! }, { steps, batch });
      expect(same.infoNceCap!.value).toBeCloseTo(Math.log(effective), 14);
      expect(same.infoNceXZ!.value).toBeLessThanOrEqual(Math.log(effective));
      expect(same.infoNceXZ!.value).toBeGreaterThan(0.75 * Math.log(effective));
      expect(Math.max(...same.infoNceXZ!.terms!)).toBeLessThanOrEqual(Math.log(effective));
      expect(same.infoNceXZ!.terms).toHaveLength(2 * effective * Math.floor(150 / effective));
    });
  });
});

test("MINE goes beyond the cap", () => {
  scope(() => {
    const sample = gaussians(3000, 1, 3);
    const options = { steps, batch: 16 };
    expect(found(infoNce, sample, options).infoNceXZ!.value).toBeLessThan(Math.log(16));
    expect(found(mine, sample, { ...options, steps: 500 }).mineXZ!.value).toBeGreaterThan(Math.log(16));
  });
});

test.each([
  ["mine", mine],
  ["info-nce", infoNce],
] as const)("%s of few samples, and of very unequal widths, leaves no tensor behind", (_, measure) => {
  scope(() => {
    const before = memory().liveTensors;
    const few = gaussians(8, 2, 1);
    const wide = { x: gaussians(20, 300, 1).x, z: few.z.repeat([3, 1]).narrow(0, 0, 20) };
    const made = memory().liveTensors;
    for (const sample of [few, wide]) {
      const values = Object.values(found(measure, sample, { steps: 30, heldOut: 0.9 }));
      expect(Number.isFinite(values[0]!.value)).toBe(true);
    }
    expect(memory().liveTensors).toBe(made);
    expect(made).toBeGreaterThan(before);
  });
});
