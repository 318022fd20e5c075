// k nearest neighbours against brute force in NumPy and by hand.
import "../support/one-thread.js";
import { Generator, memory, randn, resetPeakBytes, scope } from "@stopgrad/torch";
import { describe, expect, it } from "vitest";
import { knn } from "../../src/measures/knn.js";
import { MeasureError } from "../../src/measures/measure.js";
import recorded from "../fixtures/probes.json" with { type: "json" };
import { inTurn, int64, made, noise, rings } from "./made-features.js";

const asTheyAre = { standardise: false };

describe("knn", () => {
  it.each(recorded.knn.cases)(
    "classifies as brute force does: $name",
    ({ set, name: _, train, testCorrect, ...options }) => {
      scope(() => {
        const { classes, ...given } = recorded.knn.sets[set as "blobs" | "lattice"];
        const features = made([given.train, given.trainLabels], [given.test, given.testLabels], classes, "float64");
        const found = knn.fit(features, options);
        expect(found.train).toBeCloseTo(train, 12);
        expect([...found.testCorrect]).toEqual(testCorrect);
      });
    },
  );

  it("leaves a training sample out of its own vote", () => {
    scope(() => {
      // Pairs of neighbours on a line, each pair of both classes: the nearest other one is always of the other class.
      const features = made([
        [[0], [1], [10], [11], [20], [21]],
        [0, 1, 0, 1, 0, 1],
      ]);
      expect(knn.fit(features, { ...asTheyAre, k: 1 })).toMatchObject({ train: 0, test: 1 });
    });
  });

  it("counts a duplicate of a training sample as its neighbour", () => {
    scope(() => {
      const features = made([
        [[0], [0], [5], [5]],
        [0, 0, 1, 1],
      ]);
      expect(knn.fit(features, { ...asTheyAre, k: 1 }).train).toBe(1);
    });
  });

  it("takes the first of equally near samples", () => {
    scope(() => {
      // The test sample is as far from the first two as from each other; the third is farther.
      const at = (labels: number[]) => knn.fit(made([[[-1], [1], [3]], labels], [[[0]], [0]]), { ...asTheyAre, k: 1 });
      expect(at([0, 1, 1]).test).toBe(1);
      expect(at([1, 0, 1]).test).toBe(0);
    });
  });

  it("gives an even vote to the class of the nearest neighbour", () => {
    scope(() => {
      const at = (labels: number[]) =>
        knn.fit(made([[[1], [2], [3], [4], [90]], labels], [[[0]], [0]]), { ...asTheyAre, k: 4 }).test;
      expect(at([0, 1, 1, 0, 1])).toBe(1);
      expect(at([1, 0, 0, 1, 1])).toBe(0);
      // Three classes: the nearest one has one vote, the others two each, and of these that of the second wins.
      const three = (labels: number[]) =>
        knn.fit(made([[[1], [2], [3], [4], [5], [90]], labels], [[[0]], [0]], 3), { ...asTheyAre, k: 5 }).test;
      expect(three([2, 0, 1, 1, 0, 1])).toBe(1);
      expect(three([2, 1, 0, 0, 1, 1])).toBe(0);
    });
  });

  it("sees angles and not lengths with the cosine distance", () => {
    scope(() => {
      const train = [
        [90, 0],
        [100, 0],
        [0, 1],
        [0, 2],
      ];
      const features = made([train, [0, 0, 1, 1]], [[[5, 1]], [0]]);
      expect(knn.fit(features, { ...asTheyAre, k: 1, distance: "cosine" })).toMatchObject({ train: 1, test: 1 });
      expect(knn.fit(features, { ...asTheyAre, k: 1 })).toMatchObject({ train: 1, test: 0 });
    });
  });

  it("puts a row of zeros at a right angle to everything", () => {
    scope(() => {
      const labels = [0, 1, 1];
      // Nearer to the opposite direction than (−1, 0) is, as far as (0, 1): the first of these two wins.
      const found = knn.fit(
        made(
          [
            [
              [-1, 0],
              [0, 0],
              [0, 1],
            ],
            labels,
          ],
          [[[1, 0]], [1]],
        ),
        {
          ...asTheyAre,
          k: 1,
          distance: "cosine",
        },
      );
      expect(found.test).toBe(1);
    });
  });

  it("tells rings apart, and nothing in noise", () => {
    scope(() => {
      expect(knn.fit(rings(400), {})).toMatchObject({ train: 1, test: 1 });
      expect(Math.abs(knn.fit(noise(1000, 5), {}).test - 0.5)).toBeLessThan(0.06);
    });
  });

  it("tells near samples apart, far from the origin and at any scale", () => {
    scope(() => {
      const labels = inTurn(40);
      for (const [offset, step] of [
        [1000, 2 ** -10],
        [0, 1e-25],
        [0, 1e30],
      ] as const) {
        const rows = labels.map((label, i) => [offset + step * (label * 100 + i), offset]);
        expect(knn.fit(made([rows, labels]), { ...asTheyAre, k: 3 })).toMatchObject({ train: 1, test: 1 });
      }
    });
  });

  it("needs more than k training samples", () => {
    scope(() => {
      const labels = inTurn(20);
      const rows = labels.map((label) => [label]);
      expect(() => knn.fit(made([rows, labels]), {})).toThrow(MeasureError);
      expect(() => knn.fit(made([rows, labels]), {})).toThrow(/more than k = 20 training samples, got 20/);
      expect(knn.fit(made([rows, labels]), { k: 19 }).train).toBe(0); // of the 19 others 9 are of its class
    });
  });

  it("goes through samples in parts: the same with few as with many, and no array of all pairs", () => {
    scope(() => {
      const generator = new Generator(4);
      const [train, test] = [randn([3000, 4], { generator }), randn([1500, 4], { generator })];
      const [trainLabels, testLabels] = [int64(inTurn(3000)), int64(inTurn(1500))];
      const before = memory().liveBytes;
      resetPeakBytes();
      const all = knn.fit({ train, trainLabels, test, testLabels, classes: 2 }, {});
      expect(memory().peakBytes - before).toBeLessThan(3000 * 1500 * 8);
      const some = [0, 511, 512, 700, 1499];
      for (const at of some) {
        const one = { test: test.narrow(0, at, 1), testLabels: testLabels.narrow(0, at, 1) };
        expect(knn.fit({ train, trainLabels, ...one, classes: 2 }, {}).test).toBe(all.testCorrect[at]);
      }
    });
  });
});
