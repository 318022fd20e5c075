// Full-set measures and features of representations that are not in memory together: what is made once, and what is left.
import "../support/one-thread.js";
import { Generator, memory, randn, scope, type Tensor, tensor } from "@stopgrad/torch";
import { describe, expect, it } from "vitest";
import {
  differenceOf,
  type Measured,
  measureFullSetOf,
  measurePairsOf,
  measureProbesOf,
  measureSamplesOf,
} from "../../src/experiment/measured.js";
import { collect, ofArrays, type Representations } from "../../src/experiment/representations.js";
import {
  fullSet,
  type PairMeasure,
  type ProbeMeasure,
  pairMeasures,
  probeMeasures,
  type SampleMeasure,
  sampleMeasures,
} from "../../src/measures/index.js";

const normal = (seed: number, shape: readonly number[]) =>
  randn(shape, { generator: new Generator(seed), dtype: "float64" });

/** Arrays of the same samples, z and x, freed by `dispose`. */
function source(count: number, x: Tensor | null): Representations {
  const z = [1, 2, 3].map((seed) => ({ name: `z${seed}`, tensor: normal(seed, [count, seed + 1]) }));
  return ofArrays(z, x && { name: "x", tensor: x }, null);
}

describe("measureFullSetOf", () => {
  it("takes the input with the first representation, once for all, and leaves nothing", () => {
    const { liveTensors } = memory();
    const given = source(60, normal(9, [60, 5]));
    const expected = scope(() => {
      const z: Tensor[] = [];
      let input: Tensor | null = null;
      given.visit((one, _, x) => {
        z.push(one);
        input = x;
      });
      return fullSet("hsic", { x: input, y: null, z }, { rank: 20 }).map(({ value }) => value);
    });
    const nonsense = normal(10, [60, 5]);
    const changed: Representations = {
      ...given,
      visit: (visitor) => given.visit((z, at, x) => visitor(z, at, at === 0 ? x : nonsense)),
    };
    const rows = measureFullSetOf("hsic", { rank: 20 }, changed);
    expect(rows.map(({ at, what, value }) => [at, what, value])).toEqual(
      expected.map((value, at) => [at, "x,z", value]),
    );
    nonsense.dispose();
    given.dispose();
    expect(memory().liveTensors).toBe(liveTensors);
  });

  it("says that it is the input that is refused, whatever is to be done with representations", () => {
    const given = source(60, normal(9, [60, 5]).mul(1e200));
    for (const onRefusal of ["row", "throw"] as const) {
      expect(() => measureFullSetOf("hsic", {}, given, () => {}, onRefusal)).toThrow(/^x: the numbers are too large/);
    }
    given.dispose();
  });
});

describe("a representation with NaN among others", () => {
  it("is refused by every measure where it is handed on, and ends the reading where not", () => {
    const labels = { labels: tensor(BigInt64Array.from({ length: 40 }, (_, i) => BigInt(i % 4))), classes: 4 };
    const z = [1, 2].map((seed) => ({ name: `z${seed}`, tensor: normal(seed, [40, 3]) }));
    z[1]!.tensor.select(0, 7).select(0, 2).fill_(Number.NaN);
    const given = ofArrays(z, { name: "x", tensor: normal(9, [40, 5]) }, labels, "hand-on");
    expect([0, 1].map((at) => given.faultOf!(at))).toEqual([null, "holds NaN at [7, 2]; expected finite numbers"]);
    const quick: Record<string, object> = {
      mine: { steps: 2 },
      "info-nce": { steps: 2 },
      "mlp-probe": { epochs: 1 },
      knn: { k: 3 },
    };
    const optionsOf = (name: string, options: { parse(given: object): unknown }) =>
      options.parse(quick[name] ?? {}) as Record<string, unknown>;
    const taken = [
      ...Object.entries<PairMeasure>(pairMeasures).map(([name, one]) => [
        name,
        measurePairsOf(one, optionsOf(name, one.options), given, 10, () => {}, "row"),
      ]),
      ...Object.entries<SampleMeasure>(sampleMeasures).map(([name, one]) => [
        name,
        measureSamplesOf(one, optionsOf(name, one.options), given, false, () => {}, "row"),
      ]),
      ...Object.entries<ProbeMeasure>(probeMeasures).map(([name, one]) => [
        name,
        measureProbesOf(one, optionsOf(name, one.options), given, given, () => {}, "row"),
      ]),
      ...(["exact", "nystrom", "random-features"] as const).flatMap((approximation) =>
        (["nhsic", "hsic"] as const).map((name) => {
          const options = approximation === "exact" ? { approximation } : { approximation, rank: 10 };
          return [`${name} by ${approximation}`, measureFullSetOf(name, options, given, () => {}, "row")];
        }),
      ),
    ] as [string, Measured[]][];
    for (const [name, rows] of taken) {
      for (const { at, refusal } of rows) expect([name, at, refusal !== undefined]).toEqual([name, at, at === 1]);
      expect(new Set(rows.map(({ at }) => at)), name).toEqual(new Set([0, 1]));
    }
    const strict = ofArrays(z, null, labels);
    expect(() => measurePairsOf(pairMeasures.hsic, optionsOf("hsic", pairMeasures.hsic.options), strict, 10)).toThrow(
      "z2 holds NaN at [7, 2]; expected finite numbers",
    );
    given.dispose();
  });
});

describe("differenceOf", () => {
  it("counts right answers and divides once", () => {
    const test = (right: number): Measured => {
      const terms = Float64Array.from({ length: 1000 }, (_, i) => Number(i < right));
      return { at: 0, what: "test", value: right / 1000, evidence: { of: "samples", terms } };
    };
    expect(0.926 - 0.918).not.toBe(0.008);
    const { difference, interval } = differenceOf(test(926), test(918), { level: 0.95, resamples: 2000 });
    expect(difference).toBe(0.008);
    expect(interval![0]).toBeGreaterThan(0);
    expect(differenceOf(test(918), test(918), { level: 0.95, resamples: 200 })).toEqual({
      difference: 0,
      interval: [0, 0],
    });
  });
});

describe("measurePairsOf", () => {
  it("goes on with the others where one representation is refused in one batch, and tells what is done", () => {
    const given = source(40, normal(9, [40, 5]));
    const refusing: PairMeasure = {
      ...pairMeasures.hsic,
      factor(values, options) {
        if (values.size(1) === 3 && values.select(0, 0).sum().item() < Number.POSITIVE_INFINITY) seen++;
        return pairMeasures.hsic.factor(values.size(1) === 3 && seen === 2 ? values.mul(1e200) : values, options);
      },
    };
    let seen = 0;
    const options = pairMeasures.hsic.options.parse({});
    const done: string[] = [];
    const rows = measurePairsOf(refusing, options, given, 10, (at, total) => void done.push(`${at}/${total}`), "row");
    expect(done).toEqual(["0/40", "10/40", "20/40", "30/40"]);
    expect(seen).toBe(2); // after the refusal it is no more looked at
    expect(rows.map(({ at, refusal }) => [at, refusal === undefined])).toEqual([
      [0, true],
      [1, false],
      [2, true],
    ]);
    expect(rows[1]!.value).toBeNaN();
    expect(rows[0]!.evidence).toMatchObject({ of: "batches", batches: 4 });
    given.dispose();
  });
});

describe("collect", () => {
  it("gives all rows in order, also where nothing is reduced, and frees what it made", () => {
    const given = source(1100, null);
    const { liveTensors } = memory();
    scope(() => {
      const starts: number[] = [];
      const [first, , third] = collect(
        given,
        1050,
        (z) => z,
        (start) => void starts.push(start),
      );
      expect(starts).toEqual([0, 500, 1000]);
      expect([first!.shape, third!.shape, first!.dtype]).toEqual([[1050, 2], [1050, 4], "float32"]);
      given.visit((z, at) => {
        if (at === 2) expect(third!.toNumbers()).toEqual(z.narrow(0, 0, 1050).to("float32").toNumbers());
      });
    });
    expect(memory().liveTensors).toBe(liveTensors);
    let calls = 0;
    const failing = (z: Tensor) => {
      if (++calls === 5) throw new Error("stop");
      return z;
    };
    expect(() => collect(given, 1050, failing)).toThrow("stop");
    expect(memory().liveTensors).toBe(liveTensors);
    given.dispose();
  });
});
