// Full-set measures and features of representations that are not in memory together: what is made once, and what is left.
import "../support/one-thread.js";
import { Generator, memory, randn, scope, type Tensor } from "@stopgrad/torch";
import { describe, expect, it } from "vitest";
import { measureFullSetOf, measurePairsOf } from "../../src/experiment/measured.js";
import { collect, ofArrays, type Representations } from "../../src/experiment/representations.js";
import { fullSet, type PairMeasure, pairMeasures } from "../../src/measures/index.js";

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
