import { describe, expect, test } from "vitest";
import { balancedSizes, type ModuleCost } from "../../src/experiment/balance.js";

/** Numbers from 0 to `below` − 1, the same each time. */
function drawn(seed: number, below: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** A cost for every module, anything at all. */
function drawnCost(stages: number, draw: () => number): ModuleCost {
  const table = Array.from({ length: stages }, () => Array.from({ length: stages + 1 }, draw));
  return (from, end) => table[from]![end]!;
}

/** Every way to cut `stages` into `modules`. */
function waysToCut(stages: number, modules: number): number[][] {
  if (modules === 1) return [[stages]];
  return Array.from({ length: stages - modules + 1 }, (_, at) => at + 1).flatMap((first) =>
    waysToCut(stages - first, modules - 1).map((rest) => [first, ...rest]),
  );
}

function costsOf(sizes: readonly number[], cost: ModuleCost): number[] {
  let from = 0;
  return sizes.map((size) => {
    from += size;
    return cost(from - size, from);
  });
}

function compare(a: readonly number[], b: readonly number[]): number {
  const at = a.findIndex((one, i) => one !== b[i]);
  return at < 0 ? 0 : a[at]! - b[at]!;
}

/** Costs, the largest first, and then the cuts, the last one first: the smallest of all ways is the answer. */
function byBruteForce(stages: number, modules: number, cost: ModuleCost): number[] {
  const ranked = waysToCut(stages, modules).map((sizes) => {
    const ends = sizes.map((_, at) => sizes.slice(0, at + 1).reduce((a, b) => a + b));
    return { sizes, rank: [...costsOf(sizes, cost).sort((a, b) => b - a), ...ends.reverse()] };
  });
  return ranked.reduce((best, one) => (compare(one.rank, best.rank) < 0 ? one : best)).sizes;
}

const cases = Array.from({ length: 9 }, (_, i) => i + 1).flatMap((stages) =>
  Array.from({ length: stages }, (_, i) => ({ stages, modules: i + 1 })),
);

describe.each([
  { costs: "many equal", below: 3 },
  { costs: "few equal", below: 1000 },
])("$costs", ({ below }) => {
  test.each(cases)("$stages stages in $modules modules: the best of all ways to cut them", ({ stages, modules }) => {
    for (let seed = 1; seed <= 20; seed++) {
      const cost = drawnCost(stages, drawn(100 * stages + 10_000 * modules + seed, below));
      expect(balancedSizes(stages, modules, cost)).toEqual(byBruteForce(stages, modules, cost));
    }
  });
});

test("the largest of sums is as small as any limit allows", () => {
  const draw = drawn(7, 50);
  for (let round = 0; round < 30; round++) {
    const bytes = Array.from({ length: 55 }, () => 1 + draw());
    const sum: ModuleCost = (from, end) => bytes.slice(from, end).reduce((a, b) => a + b, 0);
    const modules = 2 + (round % 15);
    const sizes = balancedSizes(55, modules, sum);
    const largest = Math.max(...costsOf(sizes, sum));
    // Filling modules one after the other up to a limit needs the fewest modules under it.
    const needed = (limit: number) => {
      let [count, filled] = [1, 0];
      for (const one of bytes) {
        if (filled + one > limit) [count, filled] = [count + 1, 0];
        filled += one;
      }
      return Math.max(...bytes) > limit ? Number.POSITIVE_INFINITY : count;
    };
    expect(sizes).toHaveLength(modules);
    expect(sizes.reduce((a, b) => a + b)).toBe(55);
    expect(needed(largest)).toBeLessThanOrEqual(modules);
    expect(needed(largest - 1)).toBeGreaterThan(modules);
  }
});

test("the smaller modules are balanced too", () => {
  const bytes = [9, 1, 1, 1, 1];
  const sum: ModuleCost = (from, end) => bytes.slice(from, end).reduce((a, b) => a + b, 0);
  expect(balancedSizes(5, 3, sum)).toEqual([1, 2, 2]);
  // All alike: the last cut is as early as can be, then the one before it.
  expect(balancedSizes(4, 2, () => 1)).toEqual([1, 3]);
});

test("what cannot be cut is refused", () => {
  expect(() => balancedSizes(3, 4, () => 1)).toThrow(/expected from 1 to 3 modules of 3 stages, got 4/);
  expect(() => balancedSizes(3, 0, () => 1)).toThrow(RangeError);
  expect(() => balancedSizes(3, 2, (from) => (from === 1 ? Number.NaN : 1))).toThrow(/stages 2 to 2 is NaN/);
});
