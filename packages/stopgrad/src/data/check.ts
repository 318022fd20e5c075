// Is a set there, is it whole, is it the official one? Structure decides: a copy that is in another order or packed
// anew has another checksum and is as good to train on, so a differing checksum is said and is no failure.
import { type CheckedFile, DatasetError } from "./dataset.js";
import { type DatasetName, datasets } from "./index.js";
import { classHistogram } from "./subset.js";

export interface SplitCheck {
  readonly images: number;
  /** `[classes]`, images of each class. */
  readonly classCounts: readonly number[];
}

export interface DatasetCheck {
  readonly name: DatasetName;
  /** `drawn`: made on demand, nothing to check; `own`: somebody's own files, of which only an experiment file knows. */
  readonly status: "right" | "damaged" | "absent" | "drawn" | "own";
  /** Folder or archive. */
  readonly found: string | null;
  readonly files: readonly CheckedFile[];
  /** Null unless `right`. */
  readonly train: SplitCheck | null;
  readonly test: SplitCheck | null;
  /** `official`: every file's sum is the official one. Null unless `right`. */
  readonly checksum: CheckedFile["checksum"] | null;
  /** What is wrong and what to do, a sentence each; empty when `right`, `drawn` or `own`. */
  readonly problems: readonly string[];
}

/** Reads all of a set as `load` would find it, and reports instead of throwing. */
export async function checkDataset(name: DatasetName, dataDirs: readonly string[]): Promise<DatasetCheck> {
  const dataset = datasets[name];
  const nothing = { name, found: null, files: [], train: null, test: null, checksum: null, problems: [] };
  if (dataset.wants !== undefined) return { ...nothing, status: "own" };
  if (dataset.files === undefined) return { ...nothing, status: "drawn" };

  const found = dataset.files.find(dataDirs);
  const files = found === null ? [] : await dataset.files.check(found);
  const problems = files.flatMap(({ problem }) => (problem === null ? [] : [problem]));
  if (problems.length > 0) return { ...nothing, status: "damaged", found, files, problems };
  try {
    const { train, test, classes } = await dataset.load({}, { dataDirs });
    return {
      name,
      status: "right",
      found,
      files,
      train: { images: train.count, classCounts: classHistogram(train.labels, classes) },
      test: { images: test.count, classCounts: classHistogram(test.labels, classes) },
      checksum: worst(files.map(({ checksum }) => checksum)),
      problems: [],
    };
  } catch (error) {
    if (!(error instanceof DatasetError)) throw error;
    return { ...nothing, status: found === null ? "absent" : "damaged", found, files, problems: [error.message] };
  }
}

function worst(all: readonly CheckedFile["checksum"][]): CheckedFile["checksum"] {
  return (["differs", "not published"] as const).find((one) => all.includes(one)) ?? "official";
}
