// Partitions: where a backbone's stages are cut into gradient-isolated modules. K = 1 is end-to-end training, one
// module a stage is layer-wise, anything between is block-wise (arXiv 2312.07636 calls the modules K).
import { balancedSizes, type ModuleCost } from "./balance.js";
import { didYouMean } from "./suggest.js";
import { isTree, show, type Tree } from "./tree.js";

/**
 * K modules of as many stages as can be; one module a stage; a module's end after each of these stages (from 1); or K
 * modules, two or more, of which the one that stores most stores as little as can be (balance.ts).
 */
export type Partition =
  | number
  | "stage"
  | { readonly cuts: readonly number[] }
  | { readonly modules: number; readonly balance: "memory" };

const EXPECTED =
  "1 (end to end), a number of modules, stage (layer-wise), { cuts: [3, 6] } (after these stages) or { modules: 4, balance: memory }";

const BALANCES = ["equal", "memory"];

interface Mistakes {
  readonly mistakes: { at: (string | number)[]; message: string }[];
}

/**
 * Reads `partition` of an experiment file; `at` is where below it a mistake stands. One thing has one form: equal
 * modules are their number, and one module is 1 however it would be balanced.
 */
export function parsePartition(value: unknown): Partition | Mistakes {
  const mistake = (message: string, at: (string | number)[] = []) => ({ mistakes: [{ at, message }] });
  if (value === "stage") return value;
  if (typeof value === "number") {
    return isCount(value) ? value : mistake(`expected ${EXPECTED}, got ${show(value)}`);
  }
  if (typeof value === "string")
    return mistake(`expected ${EXPECTED}, got ${show(value)}${didYouMean(value, ["stage", "1"])}`);
  if (!isTree(value)) return mistake(`expected ${EXPECTED}, got ${show(value)}`);
  return "modules" in value || "balance" in value ? parseBalanced(value) : parseCuts(value);
}

/** `{ modules: 4, balance: memory }`. */
function parseBalanced(value: Tree): Partition | Mistakes {
  const mistakes = unknownKeys(value, ["modules", "balance"]);
  const { modules, balance } = value;
  if (!isCount(modules))
    mistakes.push({ at: ["modules"], message: `expected a positive integer, got ${show(modules)}` });
  if (balance !== undefined && balance !== null && !BALANCES.includes(balance as string)) {
    const hint = typeof balance === "string" ? didYouMean(balance, BALANCES) : "";
    mistakes.push({ at: ["balance"], message: `expected one of ${BALANCES.join(", ")}, got ${show(balance)}${hint}` });
  }
  if (mistakes.length > 0 || !isCount(modules)) return { mistakes };
  return balance === "memory" && modules > 1 ? { modules, balance } : modules;
}

/** `{ cuts: [3, 6] }`. */
function parseCuts(value: Tree): Partition | Mistakes {
  const unknown = unknownKeys(value, ["cuts"]);
  if (unknown.length > 0) return { mistakes: unknown };
  const { cuts } = value;
  if (!Array.isArray(cuts) || cuts.length === 0) {
    const message = `expected a list of stages to cut after, such as [3, 6], got ${show(cuts)}`;
    return { mistakes: [{ at: ["cuts"], message }] };
  }
  const mistakes = cuts.flatMap((cut, i) => {
    const at = ["cuts", i];
    if (!isCount(cut)) {
      return [{ at, message: `expected a positive integer (cuts are counted from 1), got ${show(cut)}` }];
    }
    if (cuts.indexOf(cut) < i) return [{ at, message: `${cut} stands twice; each cut can stand only once` }];
    if (i > 0 && cut < cuts[i - 1])
      return [{ at, message: `expected ascending stages, got ${cut} after ${cuts[i - 1]}` }];
    return [];
  });
  return mistakes.length > 0 ? { mistakes } : { cuts };
}

function unknownKeys(value: Tree, known: readonly string[]): Mistakes["mistakes"] {
  return Object.keys(value)
    .filter((key) => !known.includes(key))
    .map((key) => ({
      at: [key],
      message: `unknown key${didYouMean(key, known) || ` (known: ${known.join(", ")})`}`,
    }));
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 1;
}

/**
 * How many stages each module holds, first to last; their sum is `stages`.
 *
 * For K: as equal as can be. One stage too many goes to the first module; several go to the last ones, one each. This
 * is the rule behind the published lists for ResNet-32 and ResNet-110 (16 stages: 8 8, 6 5 5, ...; 55: 13 14 14 14).
 *
 * @param stages - of the backbone, the stem counted as one
 * @param frozen - stages from the first that no module holds; cuts and costs count from the first stage all the same
 * @param cost - what a module stores, needed for a balance by memory
 * @throws RangeError when there are fewer stages than modules, or a cut is not before the last stage
 */
export function moduleSizes(partition: Partition, stages: number, frozen = 0, cost?: ModuleCost): number[] {
  requireModules(partition, stages, frozen);
  const trained = stages - frozen;
  if (partition === "stage") return Array<number>(trained).fill(1);
  if (typeof partition === "number") return equalSizes(partition, trained);
  if ("modules" in partition) {
    if (cost === undefined) throw new TypeError("moduleSizes: a balance by memory needs to know what modules store");
    return balancedSizes(trained, partition.modules, (from, end) => cost(frozen + from, frozen + end));
  }
  const ends = [...partition.cuts, stages];
  return ends.map((end, i) => end - (ends[i - 1] ?? frozen));
}

function equalSizes(modules: number, stages: number): number[] {
  const least = Math.floor(stages / modules);
  const extra = stages % modules;
  return Array.from({ length: modules }, (_, i) => {
    const larger = extra === 1 ? i === 0 : i >= modules - extra;
    return larger ? least + 1 : least;
  });
}

/**
 * How many modules there are of a network, and that it can be cut so: as `moduleSizes`, without asking what they cost.
 * @throws RangeError when there are fewer stages than modules, or a cut is not before the last stage
 */
export function requireModules(partition: Partition, stages: number, frozen = 0): number {
  const count = moduleCount(partition) ?? stages - frozen;
  if (typeof partition === "object" && "cuts" in partition) {
    const beyond = partition.cuts.find((cut) => cut >= stages);
    if (beyond !== undefined) {
      throw new RangeError(
        `no cut after stage ${beyond}: the model has ${stages} stages, so the last cut is ${stages - 1}`,
      );
    }
    const below = partition.cuts.find((cut) => cut <= frozen);
    if (below !== undefined) {
      throw new RangeError(
        `no cut after stage ${below}: the first ${frozen} stages are frozen, so the first cut is ${frozen + 1}`,
      );
    }
  } else if (count > stages - frozen) {
    const there = frozen === 0 ? `the model has ${stages}` : `the model has ${stages}, of which ${frozen} are frozen`;
    throw new RangeError(`${count} modules need as many stages; ${there}`);
  }
  return count;
}

/** Number of modules, where it is known without the model: not for `stage`. */
export function moduleCount(partition: Partition): number | null {
  if (partition === "stage") return null;
  if (typeof partition === "number") return partition;
  return "modules" in partition ? partition.modules : partition.cuts.length + 1;
}

/**
 * Where modules end, as arXiv 2101.10832 and 2312.07636 write it: `(group, block)` of the last block, the groups from 1
 * and blocks from 0, the stem `(0,0)`; other stages by their names. The last module's end is none.
 * @param names - of all stages: `stem`, `layer1.0`, ...
 * @param frozen - stages before the first module
 */
export function cutNames(sizes: readonly number[], names: readonly string[], frozen = 0): string[] {
  let end = frozen;
  return sizes.slice(0, -1).map((size) => {
    end += size;
    const name = names[end - 1]!;
    const [, group, block] = name === "stem" ? ["", "0", "0"] : (/^layer(\d+)\.(\d+)$/.exec(name) ?? []);
    return group === undefined ? name : `(${group},${block})`;
  });
}
