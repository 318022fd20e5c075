// The `memory` balance: modules cut so that the one that stores most stores as little as can be. What a module stores is
// a function that is given (measured bytes, in rules/stored-bytes.ts); here is only the search, which is exact.
//
// arXiv 2101.10832 and 2312.07636 ship memory-balanced cuts as lists; this is their rule as a function of backbone and K.

/** What a module of the stages `from` to before `end` costs, in bytes or any other unit. */
export type ModuleCost = (from: number, end: number) => number;

/** A way to cut the first stages. */
interface Cut {
  /** Of its modules, the largest first. */
  readonly costs: readonly number[];
  /** Stages of each module, first to last. */
  readonly sizes: readonly number[];
}

/**
 * How many stages each module holds, so that the largest cost is as small as can be; among those, so that the second
 * largest is, and so on. Where cuts cost the same throughout, the last one lies as early as can be, then the one
 * before it.
 *
 * Dynamic programming over stages: the best way to end a module after a stage has the best way up to its beginning in it,
 * since one more cost leaves the order of two sorted lists as it is. The cost need not grow with a module.
 *
 * @param stages - of the network
 * @param modules - K, from 1 to `stages`
 * @param cost - a number for every module of one stage or more; asked once for each
 * @returns K sizes whose sum is `stages`
 * @throws RangeError when there are fewer stages than modules, or a cost is NaN
 * Time O(K² · stages²). Source: section 6 of the specification, `memory`.
 */
export function balancedSizes(stages: number, modules: number, cost: ModuleCost): number[] {
  if (!(modules >= 1 && modules <= stages)) {
    throw new RangeError(`balancedSizes: expected from 1 to ${stages} modules of ${stages} stages, got ${modules}`);
  }
  const known = Array.from({ length: stages }, (_, from) =>
    Array.from({ length: stages - from }, (_, more) => numberFrom(cost, from, from + more + 1)),
  );
  /** By the stages that are cut so far. */
  let best: (Cut | undefined)[] = [{ costs: [], sizes: [] }];
  for (let count = 1; count <= modules; count++) {
    const longer: (Cut | undefined)[] = [];
    for (let end = count; end <= stages - (modules - count); end++) {
      for (let from = count - 1; from < end; from++) {
        const before = best[from];
        if (before === undefined) continue;
        const costs = withCost(before.costs, known[from]![end - from - 1]!);
        const rival = longer[end];
        if (rival && !isSmaller(costs, rival.costs)) continue;
        longer[end] = { costs, sizes: [...before.sizes, end - from] };
      }
    }
    best = longer;
  }
  return [...best[stages]!.sizes];
}

function numberFrom(cost: ModuleCost, from: number, end: number): number {
  const value = cost(from, end);
  if (Number.isNaN(value)) throw new RangeError(`balancedSizes: the cost of stages ${from + 1} to ${end} is NaN`);
  return value;
}

/** `costs` with one more, the largest first. */
function withCost(costs: readonly number[], more: number): number[] {
  const at = costs.findIndex((one) => one < more);
  return at < 0 ? [...costs, more] : [...costs.slice(0, at), more, ...costs.slice(at)];
}

/** Whether the first cost that differs is smaller. Both lists are as long. */
function isSmaller(costs: readonly number[], others: readonly number[]): boolean {
  const at = costs.findIndex((one, i) => one !== others[i]);
  return at >= 0 && costs[at]! < others[at]!;
}
