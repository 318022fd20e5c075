import { describe, expect, it } from "vitest";
import { Sfc32 } from "../../src/data/sfc32.js";
import {
  describeVerdicts,
  orderConclusions,
  type PathValues,
  planeConclusions,
  type VariantPaths,
} from "../../src/statistics/conclusions.js";

const BATCHES = 12;

/** Batch values around a path: shared noise of each batch, and a little of its own. */
function noisy(path: readonly number[], key: number, own = 0.002): number[][] {
  const ofBatch = new Sfc32(99);
  const random = new Sfc32(key);
  const shared = Array.from({ length: BATCHES }, () => ofBatch.uniform(0.9, 1.1));
  return path.map((value) => shared.map((factor) => value * factor * (1 + random.uniform(-own, own))));
}

/** Three stages whose nHSIC(X,Z) ends at the given part of its peak, and nHSIC(Y,Z) likewise. */
function variant(label: string, x: number[], y: number[], seeds = [1], own = 0.002): VariantPaths {
  const stages = ["a", "b", "c"].slice(0, x.length);
  const paths = (seed: number): PathValues => ({
    epochs: [0, 1, 2],
    x: x.map((end, at) => noisy([1, 10, 10 * end], 10 * seed + at, own)),
    y: y.map((end, at) => noisy([1, 5 + at, (5 + at) * end], 1000 * seed + at, own)),
  });
  return { label, stages, runs: seeds.map((seed) => ({ seed, paths: paths(seed) })) };
}

const find = (conclusions: ReturnType<typeof planeConclusions>, part: string) =>
  conclusions.find(({ statement }) => statement.includes(part))!;

describe("conclusions about one variant", () => {
  const settings = ["default", "sigma 1", "batch 64"];
  const conclusions = planeConclusions(settings, [
    [variant("e2e", [0.7, 0.7, 0.99], [1, 0.8, 0.99])],
    [variant("e2e", [0.99, 0.6, 0.99], [1, 0.7, 0.99])],
    [variant("e2e", [0.95, 0.65, 0.99], [1, 0.7, 0.99], [1], 0.2)],
  ]);

  it("holds, flips, or cannot be told where the interval lies on both sides", () => {
    const compresses = find(conclusions, "compression of X at a is above 0.05");
    expect(compresses.quantity).toBe("compression of X");
    expect(compresses.findings[0]!.value).toBeCloseTo(0.3, 2);
    expect(compresses.findings[0]!.interval![0]).toBeGreaterThan(0.28);
    expect(compresses.findings[0]!.interval![1]).toBeLessThan(0.32);
    expect(compresses.findings.map(({ verdict }) => verdict)).toEqual(["holds", "flips", "cannot be told"]);
    expect(describeVerdicts(compresses)).toBe(
      "flips with sigma 1; holds in 1 of 3 settings; cannot be told with batch 64",
    );
    expect(describeVerdicts(find(conclusions, "compression of X at b is above 0.05"))).toBe("holds in 3 of 3 settings");
    expect(find(conclusions, "compression of X at c is below 0.05").counts).toMatchObject({ flips: 0, holds: 2 }); // the third is noisy
  });

  it("judges retention of the label and the last stage's role", () => {
    expect(find(conclusions, "retention of Y at b is below 0.95").counts.holds).toBe(3);
    expect(find(conclusions, "retention of Y at a is above 0.95").counts.holds).toBeGreaterThanOrEqual(2);
    const role = find(conclusions, "the last stage retains more");
    expect(role.findings[0]!.value).toBeCloseTo(0.99 - 0.8, 2);
    expect(role.counts.holds).toBe(3);
  });

  it("asks where the default cannot tell, and says which settings answer", () => {
    const asked = planeConclusions(
      ["default", "sigma 1", "sigma 2"],
      [[variant("e2e", [0.95], [1], [1], 0.2)], [variant("e2e", [0.6], [1])], [variant("e2e", [1.2], [1])]],
    );
    const whether = find(asked, "whether compression of X at a is above 0.05");
    expect(whether.findings.map(({ verdict }) => verdict)).toEqual(["cannot be told", "yes", "no"]);
    expect(describeVerdicts(whether)).toBe("cannot be told with the default; yes with sigma 1; no with sigma 2");
  });

  it("takes t-intervals over seeds where there are several", () => {
    const [compresses] = planeConclusions(["default"], [[variant("e2e", [0.7], [1], [1, 2, 3])]]);
    const [alone] = planeConclusions(["default"], [[variant("e2e", [0.7], [1], [1])]]);
    expect(compresses!.findings[0]!.interval).not.toEqual(alone!.findings[0]!.interval);
    const ends = [1, 2, 3].map((seed) => {
      const [path] = variant("e2e", [0.7], [1], [seed]).runs[0]!.paths.x!;
      const [, peak, last] = path!.map((batches) => batches.reduce((sum, one) => sum + one, 0));
      return 1 - last! / peak!;
    });
    const centre = (ends[0]! + ends[1]! + ends[2]!) / 3;
    const deviation = Math.sqrt(ends.reduce((sum, end) => sum + (end - centre) ** 2, 0) / 2);
    // t(0.975; 2) = 4.302653.
    expect(compresses!.findings[0]!.interval![0]).toBeCloseTo(centre - (4.302653 * deviation) / Math.sqrt(3), 8);
  });

  it("cannot tell what could not be measured", () => {
    const broken: VariantPaths = {
      label: "e2e",
      stages: ["a"],
      runs: [{ seed: 1, paths: { epochs: [0, 1, 2], x: [[[Number.NaN], [Number.NaN], [Number.NaN]]], y: null } }],
    };
    const [compresses] = planeConclusions(["default"], [[broken]]);
    expect(compresses!.findings[0]).toMatchObject({ value: null, interval: null, verdict: "cannot be told" });
    expect(describeVerdicts(compresses!)).toBe("cannot be told in any of 1 settings");
  });
});

describe("few mini-batches of one run", () => {
  const paths = (x: number[][][], seed = 1): VariantPaths => ({
    label: "e2e",
    stages: x.map((_, at) => `s${at}`),
    runs: [{ seed, paths: { epochs: [0, 1, 2], x, y: null } }],
  });
  const ended = (batches: number, last: (batch: number) => number) => [
    [
      Array.from({ length: batches }, () => 1),
      Array.from({ length: batches }, () => 10),
      Array.from({ length: batches }, (_, at) => last(at)),
    ],
  ];

  it("under four tell nothing, and say so; four do", () => {
    for (const batches of [1, 2, 3, 4]) {
      const [compresses] = planeConclusions(["default"], [[paths(ended(batches, (at) => 6 + 0.01 * at))]]);
      const finding = compresses!.findings[0]!;
      expect(finding.value).toBeCloseTo(0.4, 2);
      if (batches === 4) expect(finding).toMatchObject({ verdict: "holds", interval: expect.anything() });
      else {
        expect(finding).toMatchObject({ verdict: "cannot be told", interval: null });
        expect(finding.reason).toBe(`${batches} mini-batch${batches > 1 ? "es" : ""}, where a verdict needs 4`);
      }
    }
  });

  it("of several seeds do not matter", () => {
    const runs = [1, 2, 3].map((seed) => ({
      seed,
      paths: paths(ended(2, () => 6 + 0.01 * seed)).runs[0]!.paths,
    }));
    const [compresses] = planeConclusions(["default"], [[{ label: "e2e", stages: ["s0"], runs }]]);
    expect(compresses!.findings[0]!.verdict).toBe("holds");
  });

  it("an order of them cannot be told either", () => {
    const of = (level: number) => [[level, 1.01 * level]];
    const arrays: VariantPaths = {
      label: "files",
      stages: ["a", "b"],
      runs: [{ seed: 0, paths: { epochs: [0], x: [of(1), of(2)], y: null } }],
    };
    for (const { findings } of orderConclusions(["default"], [arrays])) {
      expect(findings[0]).toMatchObject({
        verdict: "cannot be told",
        reason: "2 mini-batches, where a verdict needs 4",
      });
    }
  });

  it("a compression of 0 with every batch left out is no certainty where batches disagree", () => {
    // The mean path ends at its peak whichever one batch is missing; three of ten batches alone compress by 0.1.
    const odd = (batches: number) => paths(ended(batches, (at) => (at % 4 === 0 ? 9 : 10.7)));
    const [few] = planeConclusions(["default"], [[odd(6)]]);
    expect(few!.findings[0]).toMatchObject({ value: 0, interval: null, verdict: "cannot be told" });
    expect(few!.findings[0]!.reason).toBe("none of the 6 mini-batches changes it when it is left out");
    const [many] = planeConclusions(["default"], [[odd(12)]]);
    expect(many!.statement).toBe("compression of X at s0 is below 0.05");
    const [low, high] = many!.findings[0]!.interval!;
    expect(low).toBe(0);
    expect(high).toBeGreaterThan(0);
    expect(high).toBeLessThan(0.05);
    // Where every batch says 0 by itself, it is 0.
    const [sure] = planeConclusions(["default"], [[paths(ended(4, (at) => 11 + at))]]);
    expect(sure!.findings[0]!.interval).toEqual([0, 0]);
  });
});

describe("conclusions about two variants", () => {
  it("compares over the same batches, or over shared seeds", () => {
    for (const seeds of [[1], [1, 2, 3]]) {
      const conclusions = planeConclusions(
        ["default", "sigma 1"],
        [
          [variant("e2e", [0.5, 0.6, 0.9], [1, 0.7, 1], seeds), variant("local", [0.7, 0.8, 0.9], [1, 1, 0.9], seeds)],
          [variant("e2e", [0.8, 0.6, 0.9], [1, 0.7, 1], seeds), variant("local", [0.7, 0.8, 0.9], [1, 1, 0.9], seeds)],
        ],
      );
      const at = (part: string) => find(conclusions, part);
      expect(at("e2e compresses more than local at a").findings.map(({ verdict }) => verdict)).toEqual([
        "holds",
        "flips",
      ]);
      expect(at("e2e compresses more than local at b").counts.holds).toBe(2);
      expect(at("at b").statement).not.toContain("whether");
      expect(at("role differentiation is higher in e2e than in local").findings[0]!.value).toBeCloseTo(0.4, 1);
      expect(at("the spread of compression over stages is higher in e2e").counts.holds).toBeGreaterThanOrEqual(1);
      expect(at("local: compression of X at b is above 0.05").counts.holds).toBe(2);
    }
  });
});

describe("order of arrays", () => {
  const arrays = (...levels: number[]): VariantPaths => ({
    label: "files",
    stages: levels.map((_, at) => `z${at + 1}`),
    runs: [{ seed: 0, paths: { epochs: [0], x: null, y: levels.map((level, at) => noisy([level], at + 1)) } }],
  });

  it("holds where every step is told apart alike; τ and ρ by hand", () => {
    const conclusions = orderConclusions(
      ["default", "sigma 1", "linear kernel"],
      [arrays(3, 1, 2), arrays(9, 7, 8), arrays(3, 2, 1)],
    );
    const order = conclusions[0]!;
    expect(order.statement).toBe("order by nHSIC(Y,Z): z2 < z3 < z1");
    expect(order.findings.map(({ value }) => value)).toEqual([1, 1, expect.closeTo(1 / 3, 12)]);
    expect(order.spearman).toEqual([1, 1, expect.closeTo(1 / 2, 12)]);
    expect(order.findings.map(({ verdict }) => verdict)).toEqual(["holds", "holds", "flips"]);
    expect(conclusions.slice(1).map(({ statement, counts }) => [statement, counts.holds, counts.flips])).toEqual([
      ["nHSIC(Y,Z): z3 is above z2", 2, 1],
      ["nHSIC(Y,Z): z1 is above z3", 3, 0],
    ]);
  });

  it("a swap of two that the default does not tell apart flips nothing", () => {
    const [order] = orderConclusions(["default", "sigma 1"], [arrays(1, 1.0001, 3), arrays(1.2, 1, 3)]);
    expect(order!.findings[1]).toMatchObject({ verdict: "holds" });
    expect(order!.findings[1]!.value).toBeCloseTo(1 / 3, 12);
  });
});
