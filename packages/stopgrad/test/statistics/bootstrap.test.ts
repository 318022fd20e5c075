// Bootstrap intervals: by hand, by their coverage, and what is refused.
import { describe, expect, it } from "vitest";
import { Sfc32 } from "../../src/data/sfc32.js";
import {
  bootstrapInterval,
  bootstrapStatistic,
  pairedBootstrap,
  pairedBootstrapStatistic,
} from "../../src/statistics/bootstrap.js";
import { normalQuantile } from "../../src/statistics/normal.js";
import { tInterval } from "../../src/statistics/summary.js";
import { covers, meanAt, normals, share } from "./coverage.js";

describe("mean of terms", () => {
  it("of two terms: a quarter of the resamples at each, half at the mean", () => {
    const { value, interval, n } = bootstrapInterval([0, 1], { method: "percentile", level: 0.4 });
    expect({ value, interval, n }).toEqual({ value: 0.5, interval: [0.5, 0.5], n: 2 });
    expect(bootstrapInterval([0, 1], { method: "percentile", level: 0.6 }).interval).toEqual([0, 1]);
  });

  it("is near the normal interval for many terms", () => {
    const terms = normals(2000, 5);
    const { value, interval } = bootstrapInterval(terms);
    const half = (normalQuantile(0.975) * Math.sqrt(terms.reduce((s, t) => s + (t - value) ** 2, 0))) / 2000;
    expect((interval![1] - interval![0]) / 2 / half).toBeGreaterThan(0.93);
    expect((interval![1] - interval![0]) / 2 / half).toBeLessThan(1.07);
  });

  it("covers: 95 % intervals of means of 20 normal terms, 400 of them", () => {
    const kept = share(400, (trial) =>
      covers(bootstrapInterval(normals(20, 1, trial), { resamples: 500 }).interval, 0),
    );
    expect(kept).toBeGreaterThan(0.9); // 0.93 expected: resamples lack Student's tails
    expect(kept).toBeLessThan(0.98);
  });

  it("expanded covers for 8 terms, where the others fall short", () => {
    const coverage = (method: "expanded" | "percentile") =>
      share(400, (trial) => covers(bootstrapInterval(normals(8, 2, trial), { method, resamples: 500 }).interval, 0));
    expect(coverage("expanded")).toBeGreaterThan(0.92);
    expect(coverage("percentile")).toBeLessThan(0.92);
  });

  it.each([2, 3, 4, 7])("expanded covers for %i terms, as Student's t: 3000 means", (count) => {
    const kept = share(3000, (trial) => {
      const { interval, method } = bootstrapInterval(normals(count, 31, count, trial), { method: "expanded" });
      expect(method).toBe("jackknife");
      return covers(interval, 0);
    });
    expect(kept).toBeGreaterThan(0.93); // 0.95 within 5 standard errors
    expect(kept).toBeLessThan(0.97);
  });

  it("expanded of few terms is the t-interval, of 8 it is made of resamples", () => {
    const terms = [0.3, 2.5, 1.1, 0.9, 4.2, 0.1, 1.7, 2.2];
    const few = terms.slice(0, 7);
    for (const level of [0.8, 0.95]) {
      const options = { method: "expanded", level } as const;
      expect(bootstrapInterval(few, options).interval).toEqual(tInterval(few, level));
      const { interval, method } = bootstrapStatistic(7, meanAt(few), options);
      expect(method).toBe("jackknife");
      expect(interval![0]).toBeCloseTo(tInterval(few, level)[0], 10);
    }
    expect(bootstrapInterval(terms, { method: "expanded" }).method).toBe("expanded");
    expect(bootstrapInterval(few).method).toBe("bca");
    expect(bootstrapInterval([0.1, 0.1, 0.1], { method: "expanded" }).interval).toEqual([0.1, 0.1]);
    expect(bootstrapInterval([1], { method: "expanded" }).interval).toBeNull();
  });

  it("BCa follows skewness: both tails err alike for exponential terms, the percentile interval does not", () => {
    const terms = (trial: number) => {
      const random = new Sfc32(3, trial);
      return Array.from({ length: 30 }, () => -Math.log(1 - random.uniform(0, 1)));
    };
    const tooLow = (method: "bca" | "percentile") =>
      share(400, (trial) => bootstrapInterval(terms(trial), { method, resamples: 500 }).interval![1] < 1);
    expect(tooLow("bca")).toBeLessThan(tooLow("percentile"));
  });

  it("is the statistic's with the mean as statistic", () => {
    const terms = [0.3, 2.5, 1.1, 0.9, 4.2, 0.1, 1.7];
    const whole = bootstrapInterval(terms);
    const general = bootstrapStatistic(terms.length, meanAt(terms));
    expect(general.value).toBeCloseTo(whole.value, 12);
    expect(general.interval![0]).toBeCloseTo(whole.interval![0], 9);
    expect(general.interval![1]).toBeCloseTo(whole.interval![1], 9);
    expect(whole.method).toBe("bca");
  });

  it("is the same at every call, and another with another seed", () => {
    const terms = normals(10, 8);
    expect(bootstrapInterval(terms)).toEqual(bootstrapInterval(Float64Array.from(terms)));
    expect(bootstrapInterval(terms, { seed: 1 }).interval).not.toEqual(bootstrapInterval(terms).interval);
  });

  it("moves and stretches with the terms, far from zero too", () => {
    const terms = [1, 4, 2, 8, 5, 7];
    const near = bootstrapInterval(terms).interval!;
    const far = bootstrapInterval(terms.map((term) => 1e9 + 2 * term)).interval!;
    expect(far[0] - 1e9).toBeCloseTo(2 * near[0], 5);
    expect(far[1] - 1e9).toBeCloseTo(2 * near[1], 5);
  });

  it("of counts is a count over the number: what ties is exactly 0, and equal terms are themselves", () => {
    const right = Float64Array.from({ length: 1000 }, (_, i) => Number(i % 125 === 0)); // 8 of 1000 differ
    const { difference, interval } = pairedBootstrap(right, new Float64Array(1000), { method: "percentile" });
    expect(difference).toBe(0.008);
    for (const end of interval!) expect(Math.round(end * 1000) / 1000).toBe(end);
    const either = Float64Array.from({ length: 1000 }, (_, i) => (i % 25 === 0 ? 1 : i % 40 === 1 ? -1 : 0));
    const apart = pairedBootstrap(either, new Float64Array(1000), { method: "percentile", level: 0.8 });
    for (const end of apart.interval!) expect(Math.abs(Math.round(end * 1000) / 1000)).toBe(Math.abs(end));
    const rare = bootstrapInterval([...new Array(99).fill(0), 0.1 + 0.2], { method: "percentile" });
    expect(rare.interval![0]).toBe(0);
    expect(bootstrapInterval(new Array(7).fill(0.1)).value).toBe(0.1);
    expect(bootstrapInterval([1e16, 1, -1e16, 1]).value).toBe(0.5);
  });

  it("has no interval for one term, one of width 0 for identical ones", () => {
    expect(bootstrapInterval([3])).toEqual({ value: 3, interval: null, method: "bca", n: 1 });
    expect(bootstrapInterval([0.1, 0.1, 0.1]).interval).toEqual([0.1, 0.1]);
  });

  it("refuses what it cannot use, in one sentence", () => {
    expect(() => bootstrapInterval([])).toThrow("bootstrapInterval: expected at least 1 term, got 0");
    expect(() => bootstrapInterval([1, Number.NaN])).toThrow("expected finite terms, got NaN at position 1");
    expect(() => bootstrapInterval([1, Number.POSITIVE_INFINITY])).toThrow("got Infinity at position 1");
    expect(() => bootstrapInterval([1, 2], { level: 95 })).toThrow("expected a level between 0 and 1, got 95");
    expect(() => bootstrapInterval([1, 2], { resamples: 5 })).toThrow("expected at least 100 resamples, got 5");
    expect(() => bootstrapInterval([1, 2], { seed: 0.5 })).toThrow("expected a whole number as the seed, got 0.5");
  });
});

describe("ratio of means", () => {
  const x = [1, 2, 3, 4, 5];
  const ratio = (top: readonly number[], bottom: readonly number[]) => (indices: Int32Array) =>
    meanAt(top)(indices) / meanAt(bottom)(indices);

  it("of proportional terms never varies", () => {
    const { value, interval } = bootstrapStatistic(
      5,
      ratio(
        x,
        x.map((one) => 4 * one),
      ),
    );
    expect(value).toBe(0.25);
    expect(interval![0]).toBeCloseTo(0.25, 12);
    expect(interval![1]).toBeCloseTo(0.25, 12);
  });

  it("has no interval where a resample has no value", () => {
    expect(bootstrapStatistic(5, ratio(x, [0, 0, 0, 0, 1])).interval).toBeNull();
    expect(bootstrapStatistic(5, () => Number.NaN)).toMatchObject({ value: Number.NaN, interval: null });
  });
});

describe("paired difference", () => {
  it("is far surer than the two numbers where batches differ more than runs", () => {
    const batches = normals(16, 11);
    const a = batches.map((one, at) => one + 0.1 + 0.01 * Math.sin(at));
    const { difference, interval, otherSide, n } = pairedBootstrap(a, batches);
    expect(difference).toBeCloseTo(0.1, 2);
    expect(interval![0]).toBeGreaterThan(0.09);
    expect(interval![1]).toBeLessThan(0.11);
    expect({ otherSide, n }).toEqual({ otherSide: 0, n: 16 });
    expect(covers(bootstrapInterval(a).interval, bootstrapInterval(batches).value)).toBe(true);
  });

  it("changes sign with its sides", () => {
    const a = [1, 5, 2, 7, 3];
    const b = [2, 3, 2, 4, 4];
    const forward = pairedBootstrap(a, b, { method: "percentile" });
    const back = pairedBootstrap(b, a, { method: "percentile" });
    expect(back.difference).toBe(-forward.difference);
    expect(back.interval![0]).toBeCloseTo(-forward.interval![1], 12);
    expect(back.otherSide).toBe(forward.otherSide);
  });

  it("counts the resamples on the other side, by hand", () => {
    // Differences −1, 2, 2: the mean is below 0 for three draws of the first, 1/27, and 0 for two of it, 6/27.
    const { difference, otherSide } = pairedBootstrap([-1, 2, 2], [0, 0, 0], { resamples: 20_000 });
    expect(difference).toBe(1);
    expect(otherSide).toBeCloseTo(1 / 27 + 3 / 27, 2);
    expect(pairedBootstrap([1, -1], [0, 0]).otherSide).toBe(0.5);
    expect(pairedBootstrap([1, 1, 1], [0, 0, 0])).toMatchObject({ interval: [1, 1], otherSide: 0 });
    expect(pairedBootstrap([1], [0])).toMatchObject({ difference: 1, interval: null, otherSide: null });
  });

  it.each([2, 3, 4])("expanded covers for %i pairs, as means and as statistics", (count) => {
    const options = { method: "expanded" } as const;
    const kept = { means: 0, statistics: 0 };
    const trials = 3000;
    for (let trial = 0; trial < trials; trial++) {
      const b = normals(count, 41, count, trial);
      const own = normals(count, 42, count, trial);
      const a = b.map((one, at) => one + 0.5 + 0.1 * own[at]!);
      const found = pairedBootstrap(a, b, options);
      const general = pairedBootstrapStatistic(count, meanAt(a), meanAt(b), options);
      expect(found.method).toBe("jackknife");
      expect(general.interval![1]).toBeCloseTo(found.interval![1], 9);
      if (covers(found.interval, 0.5)) kept.means++;
      if (covers(general.interval, 0.5)) kept.statistics++;
    }
    for (const one of [kept.means, kept.statistics]) {
      expect(one / trials).toBeGreaterThan(0.93);
      expect(one / trials).toBeLessThan(0.97);
    }
  });

  it("expanded of few pairs: the other side is Student's tail", () => {
    const options = { method: "expanded" } as const;
    // Differences 1 and 3: t = 2 / 1 with one degree of freedom, P(T > 2) = 1/2 − arctan(2)/π.
    const { difference, otherSide } = pairedBootstrap([1, 3], [0, 0], options);
    expect(difference).toBe(2);
    expect(otherSide).toBeCloseTo(0.5 - Math.atan(2) / Math.PI, 10);
    expect(pairedBootstrap([0, 0], [1, 3], options).otherSide).toBeCloseTo(0.5 - Math.atan(2) / Math.PI, 10);
    expect(pairedBootstrap([1, -1], [0, 0], options).otherSide).toBe(0.5);
    expect(pairedBootstrap([1, 1], [0, 0], options)).toMatchObject({ interval: [1, 1], otherSide: 0 });
    expect(pairedBootstrap([1], [0], options)).toMatchObject({ interval: null, otherSide: null });
  });

  it("of statistics takes the same positions of both", () => {
    const terms = [3, 1, 4, 1, 5, 9, 2];
    const same = pairedBootstrapStatistic(7, meanAt(terms), meanAt(terms));
    expect(same).toMatchObject({ difference: 0, interval: [0, 0], otherSide: 0.5 });
  });

  it("refuses lists of different lengths", () => {
    expect(() => pairedBootstrap([1, 2], [1])).toThrow("expected two lists of one length, got 2 and 1 terms");
  });
});
