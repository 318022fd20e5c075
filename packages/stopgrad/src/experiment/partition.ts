// Partitions: where a backbone's stages are cut into gradient-isolated modules. K = 1 is end-to-end training, one
// module a stage is layer-wise, anything between is block-wise (arXiv 2312.07636 calls the modules K).
import { didYouMean } from "./suggest.js";
import { isTree, show } from "./tree.js";

/** K modules of as many stages as can be; one module a stage; or a module's end after each of these stages (from 1). */
export type Partition = number | "stage" | { readonly cuts: readonly number[] };

const EXPECTED = "1 (end to end), a number of modules, stage (layer-wise), or { cuts: [3, 6] } (after these stages)";

/** Reads `partition` of an experiment file; `at` is where below it a mistake stands. */
export function parsePartition(
  value: unknown,
): Partition | { mistakes: { at: (string | number)[]; message: string }[] } {
  const mistake = (message: string, at: (string | number)[] = []) => ({ mistakes: [{ at, message }] });
  if (value === "stage") return value;
  if (typeof value === "number") {
    return Number.isSafeInteger(value) && value >= 1 ? value : mistake(`expected ${EXPECTED}, got ${show(value)}`);
  }
  if (typeof value === "string")
    return mistake(`expected ${EXPECTED}, got ${show(value)}${didYouMean(value, ["stage", "1"])}`);
  if (!isTree(value)) return mistake(`expected ${EXPECTED}, got ${show(value)}`);
  if ("modules" in value || "balance" in value) {
    const modules = Number.isSafeInteger(value.modules) ? String(value.modules) : "K";
    return mistake(`balanced partitions are not available yet; use partition: ${modules}, or cuts`);
  }
  const unknown = Object.keys(value).filter((key) => key !== "cuts");
  if (unknown.length > 0) {
    return {
      mistakes: unknown.map((key) => ({
        at: [key],
        message: `unknown key${didYouMean(key, ["cuts"]) || " (known: cuts)"}`,
      })),
    };
  }
  const { cuts } = value;
  if (!Array.isArray(cuts) || cuts.length === 0) {
    return mistake(`expected a list of stages to cut after, such as [3, 6], got ${show(cuts)}`, ["cuts"]);
  }
  const mistakes = cuts.flatMap((cut, i) => {
    const at = ["cuts", i];
    if (!Number.isSafeInteger(cut) || cut < 1) {
      return [{ at, message: `expected a positive integer (cuts are counted from 1), got ${show(cut)}` }];
    }
    if (cuts.indexOf(cut) < i) return [{ at, message: `${cut} stands twice; each cut can stand only once` }];
    if (i > 0 && cut < cuts[i - 1])
      return [{ at, message: `expected ascending stages, got ${cut} after ${cuts[i - 1]}` }];
    return [];
  });
  return mistakes.length > 0 ? { mistakes } : { cuts };
}

/**
 * How many stages each module holds, first to last; their sum is `stages`.
 *
 * For K: as equal as can be. One stage too many goes to the first module; several go to the last ones, one each. This
 * is the rule behind the published lists for ResNet-32 and ResNet-110 (16 stages: 8 8, 6 5 5, ...; 55: 13 14 14 14).
 *
 * @param stages - of the backbone, the stem counted as one
 * @param frozen - stages from the first that no module holds; cuts count from the first stage all the same
 * @throws RangeError when there are fewer stages than modules, or a cut is not before the last stage
 */
export function moduleSizes(partition: Partition, stages: number, frozen = 0): number[] {
  const trained = stages - frozen;
  if (partition === "stage") return Array<number>(trained).fill(1);
  if (typeof partition === "number") {
    if (partition > trained) {
      const there = frozen === 0 ? `the model has ${stages}` : `the model has ${stages}, of which ${frozen} are frozen`;
      throw new RangeError(`${partition} modules need as many stages; ${there}`);
    }
    const least = Math.floor(trained / partition);
    const extra = trained % partition;
    return Array.from({ length: partition }, (_, i) => {
      const larger = extra === 1 ? i === 0 : i >= partition - extra;
      return larger ? least + 1 : least;
    });
  }
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
  const ends = [...partition.cuts, stages];
  return ends.map((end, i) => end - (ends[i - 1] ?? frozen));
}

/** Number of modules, where it is known without the model: not for `stage`. */
export function moduleCount(partition: Partition): number | null {
  if (partition === "stage") return null;
  return typeof partition === "number" ? partition : partition.cuts.length + 1;
}
