// Counting in bins against tables worked by hand.
import "../../support/one-thread.js";
import { scope } from "@stopgrad/torch";
import { expect, test } from "vitest";
import { binning } from "../../../src/measures/mutual-information/index.js";
import { float64, found, gaussians, int64 } from "./samples.js";

/** Samples of a table of counts: x is the row, z the column, at places far apart. */
function samplesOf(table: readonly (readonly number[])[]) {
  const pairs = table.flatMap((row, x) => row.flatMap((count, z) => Array.from({ length: count }, () => [x, z])));
  return {
    x: float64(pairs.map(([x]) => [100 * x!])),
    z: float64(pairs.map(([, z]) => [-3 + 0.01 * z!])),
    labels: int64(pairs.map(([x]) => x!)),
  };
}

test("a table of two by two, by hand", () => {
  scope(() => {
    // p = 1/2, 1/8; 1/8, 1/4 of 8: rows 5/8, 3/8; columns 5/8, 3/8.
    const truth =
      (4 / 8) * Math.log((4 * 8) / (5 * 5)) +
      2 * (1 / 8) * Math.log((1 * 8) / (5 * 3)) +
      (2 / 8) * Math.log((2 * 8) / (3 * 3));
    const sample = samplesOf([
      [4, 1],
      [1, 2],
    ]);
    for (const equal of ["width", "mass"]) {
      const { binningXZ, binningYZ } = found(binning, sample, { bins: 8, equal });
      expect(binningXZ!.value).toBeCloseTo(truth, 13);
      expect(binningYZ!.value).toBeCloseTo(truth, 13);
      expect([...binningXZ!.terms!].reduce((sum, term) => sum + term, 0) / 8).toBeCloseTo(truth, 13);
      // Four cells, two rows and two columns: (4 − 2 − 2 + 1) / 16.
      const corrected = found(binning, sample, { bins: 8, equal, correction: "miller-madow" });
      expect(corrected.binningXZ!.value).toBeCloseTo(truth - 1 / 16, 13);
    }
  });
});

test("independent rows and columns have none, equal ones their entropy", () => {
  scope(() => {
    const product = samplesOf([
      [2, 4],
      [3, 6],
    ]);
    expect(found(binning, product).binningXZ!.value).toBeCloseTo(0, 13);
    const same = samplesOf([
      [6, 0, 0],
      [0, 3, 0],
      [0, 0, 3],
    ]);
    expect(found(binning, same, { equal: "width" }).binningXZ!.value).toBeCloseTo(1.5 * Math.log(2), 13);
    expect(found(binning, same, { equal: "width" }).binningYZ!.value).toBeCloseTo(1.5 * Math.log(2), 13);
  });
});

test("equal width cuts the range, equal mass the samples", () => {
  scope(() => {
    // One far value: of the width all others share a bin, of the mass two bins have two each.
    const z = float64([[0], [1], [2], [100]]);
    const labels = int64([0, 0, 1, 1]);
    expect(found(binning, { z, labels }, { bins: 2, equal: "mass" }).binningYZ!.value).toBeCloseTo(Math.log(2), 13);
    const byWidth = 0.5 * Math.log(4 / 3) + 0.25 * Math.log(2) + 0.25 * Math.log(2 / 3);
    expect(found(binning, { z, labels }, { bins: 2, equal: "width" }).binningYZ!.value).toBeCloseTo(byWidth, 13);
    // The highest value belongs to the last bin, not to one of its own.
    const even = float64([[0], [1], [2], [3]]);
    const oneApart = int64([0, 0, 1, 0]);
    expect(found(binning, { z: even, labels: oneApart }, { bins: 2, equal: "width" }).binningYZ!.value).toBeCloseTo(
      byWidth,
      13,
    );
  });
});

test("codes are of all features together", () => {
  scope(() => {
    // Exclusive or: neither feature tells the label, both do.
    const z = float64([
      [0, 0],
      [0, 1],
      [1, 0],
      [1, 1],
    ]);
    const labels = int64([0, 1, 1, 0]);
    expect(found(binning, { z, labels }).binningYZ!.value).toBeCloseTo(Math.log(2), 13);
    for (const feature of [0, 1]) {
      expect(found(binning, { z: z.narrow(1, feature, 1), labels }).binningYZ!.value).toBeCloseTo(0, 13);
    }
  });
});

test("one dimension with many samples: close, and closer with the correction", () => {
  scope(() => {
    const independent = gaussians(5000, 1, 0);
    const plain = found(binning, independent).binningXZ!.value;
    const corrected = found(binning, independent, { correction: "miller-madow" }).binningXZ!.value;
    expect(plain).toBeGreaterThan(0.004);
    expect(plain).toBeLessThan(0.02);
    expect(Math.abs(corrected)).toBeLessThan(0.004);
    expect(Math.abs(found(binning, gaussians(5000, 1, 0.5), { bins: 20 }).binningXZ!.value - 0.5)).toBeLessThan(0.05);
  });
});

test("in many dimensions it is log N whatever the data, as its description says", () => {
  scope(() => {
    for (const information of [0, 4]) {
      expect(found(binning, gaussians(500, 15, information)).binningXZ!.value).toBeCloseTo(Math.log(500), 10);
    }
    expect(() => found(binning, gaussians(50, 21, 0))).toThrow(
      "binning: x has 21 features a sample, expected at most 20",
    );
  });
});
