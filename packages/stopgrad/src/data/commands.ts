// `stopgrad data list | fetch | check`: what each does and says. A result is plain data for `--json`, lines for people,
// and whether it went well; the command line around it decides where they go.
import { closest } from "fastest-levenshtein";
import { checkDataset, type DatasetCheck } from "./check.js";
import { DatasetError } from "./dataset.js";
import { type FetchedFile, type FetchOptions, fetchFile } from "./fetch.js";
import { type DatasetName, datasets } from "./index.js";

export interface CommandResult<T> {
  /** What `--json` prints. */
  readonly data: T;
  readonly lines: readonly string[];
  /** False: exit code 1. */
  readonly ok: boolean;
}

export interface ListedDataset {
  readonly name: DatasetName;
  readonly summary: string;
  /** With the set's default options; null where there are none. */
  readonly shape: readonly number[] | null;
  readonly classes: number | null;
  readonly train: number | null;
  readonly test: number | null;
  /** `drawn`, `own` (it lies where an experiment file says), the folder or archive it would be read from, or null. */
  readonly found: string | null;
}

export interface FetchedDataset {
  readonly name: DatasetName;
  /** `drawn`, `own`: nothing to fetch; `present`: a whole set was there; `failed`: see `problem`. */
  readonly status: "downloaded" | "present" | "drawn" | "own" | "failed";
  readonly found: string | null;
  readonly files: readonly FetchedFile[];
  readonly problem: string | null;
}

/** A name that is no data set: wrong usage, not a failure of the work. */
export class UnknownDatasetError extends DatasetError {}

/** @throws UnknownDatasetError naming the nearest known name */
export function parseDatasetNames(names: readonly string[]): DatasetName[] {
  const known = Object.keys(datasets);
  for (const name of names) {
    if (known.includes(name)) continue;
    throw new UnknownDatasetError(
      `unknown data set: ${name}; did you mean ${closest(name, known)}? (known: ${known.join(", ")})`,
    );
  }
  return [...new Set(names)] as DatasetName[];
}

/** Every set there is and where it would be read from; opens no file. */
export function listDatasets(dataDirs: readonly string[]): CommandResult<{ datasets: ListedDataset[] }> {
  const listed = (Object.keys(datasets) as DatasetName[]).map((name) => listOne(name, dataDirs));
  const rows = listed.map(({ name, shape, classes, train, test, found, summary }) => [
    name,
    shape?.join("x") ?? "any size",
    classes === null ? "any classes" : `${classes} classes`,
    train === null ? "any number" : `${train} + ${test}`,
    found === "own" ? "your own files" : (found ?? `not found (stopgrad data fetch ${name})`),
    found === "own" ? `${summary}; write ${datasets[name].wants}` : summary,
  ]);
  return { data: { datasets: listed }, lines: aligned(rows), ok: true };
}

function listOne(name: DatasetName, dataDirs: readonly string[]): ListedDataset {
  const dataset = datasets[name];
  const { summary, wants, files } = dataset;
  if (wants !== undefined) return { name, summary, shape: null, classes: null, train: null, test: null, found: "own" };
  const options = dataset.options.parse({});
  return {
    name,
    summary,
    shape: dataset.shape(options),
    classes: dataset.classes(options),
    train: dataset.trainCount(options),
    test: dataset.testCount(options),
    found: files === undefined ? "drawn" : files.find(dataDirs),
  };
}

/** Checks the named sets, or with no name all there are; a set that is absent fails only when it was named. */
export async function checkDatasets(
  names: readonly string[],
  dataDirs: readonly string[],
): Promise<CommandResult<{ datasets: DatasetCheck[] }>> {
  const asked = names.length > 0 ? parseDatasetNames(names) : (Object.keys(datasets) as DatasetName[]);
  const checked: DatasetCheck[] = [];
  for (const name of asked) checked.push(await checkDataset(name, dataDirs));
  const failed = checked.some(({ status }) => status === "damaged" || (status === "absent" && names.length > 0));
  return { data: { datasets: checked }, lines: checked.flatMap(checkLines), ok: !failed };
}

/**
 * Downloads the named sets into the first data directory. A set that is whole anywhere is left as it is; one that
 * fails does not stop the others.
 *
 * @param options.force - download although a whole set is there (files with the official checksum stay)
 * @throws UnknownDatasetError for an unknown name, or none; the reason of `options.signal` when stopped
 */
export async function fetchDatasets(
  names: readonly string[],
  dataDirs: readonly string[],
  options: Omit<FetchOptions, "directory"> & { readonly force?: boolean } = {},
): Promise<CommandResult<{ datasets: FetchedDataset[] }>> {
  if (names.length === 0) {
    const known = (Object.keys(datasets) as DatasetName[]).filter((name) => datasets[name].files !== undefined);
    throw new UnknownDatasetError(
      `data fetch: expected the names of the sets to download (${known.join(", ")}), got none`,
    );
  }
  const fetched: FetchedDataset[] = [];
  for (const name of parseDatasetNames(names)) fetched.push(await fetchOne(name, dataDirs, options));
  return {
    data: { datasets: fetched },
    lines: fetched.map(fetchLine),
    ok: fetched.every(({ status }) => status !== "failed"),
  };
}

async function fetchOne(
  name: DatasetName,
  dataDirs: readonly string[],
  options: Omit<FetchOptions, "directory"> & { readonly force?: boolean },
): Promise<FetchedDataset> {
  const nothing = { name, found: null, files: [], problem: null };
  const before = await checkDataset(name, dataDirs);
  if (before.status === "drawn" || before.status === "own") return { ...nothing, status: before.status };
  if (before.status === "right" && options.force !== true)
    return { ...nothing, status: "present", found: before.found };
  const files: FetchedFile[] = [];
  try {
    for (const file of datasets[name].files!.remote) {
      files.push(await fetchFile(name, file, { ...options, directory: dataDirs[0]! }));
    }
  } catch (error) {
    if (!(error instanceof DatasetError)) throw error;
    return { ...nothing, status: "failed", files, problem: error.message };
  }
  // A damaged copy that is looked at first would hide what was just fetched: say so now, not at the next run.
  const { status, found, problems } = await checkDataset(name, dataDirs);
  return status === "right"
    ? { ...nothing, status: "downloaded", found, files }
    : { ...nothing, status: "failed", found, files, problem: problems[0] ?? null };
}

function fetchLine({ name, status, found, files, problem }: FetchedDataset): string {
  switch (status) {
    case "drawn":
      return `${name}: drawn on demand, nothing to fetch`;
    case "own":
      return `${name}: your own files, nothing to fetch; write ${datasets[name].wants}`;
    case "present":
      return `${name}: already in ${found}`;
    case "downloaded": {
      const bytes = files.reduce((sum, file) => sum + (file.status === "downloaded" ? file.bytes : 0), 0);
      return `${name}: downloaded ${(bytes / 1e6).toFixed(1)} MB, checksums right, in ${found}`;
    }
    case "failed":
      return problem!;
  }
}

function checkLines(check: DatasetCheck): string[] {
  const { name, status, found, train, test, checksum, problems } = check;
  switch (status) {
    case "drawn":
      return [`${name}: drawn on demand, nothing to check`];
    case "own":
      return [`${name}: your own files, checked when a run reads them; write ${datasets[name].wants}`];
    case "right":
      return [
        `${name}: right, in ${found}; ${checksumWords[checksum!]}`,
        `  train ${train!.images} images, ${perClass(train!.classCounts)}; test ${test!.images} images, ${perClass(test!.classCounts)}`,
      ];
    case "damaged":
    case "absent":
      return [...problems];
  }
}

const checksumWords: Record<NonNullable<DatasetCheck["checksum"]>, string> = {
  official: "the official files",
  differs: "structure is right, checksum differs from the official files",
  "not published": "structure is right (no official checksum of unpacked files to compare with)",
};

function perClass(counts: readonly number[]): string {
  const least = Math.min(...counts);
  const most = Math.max(...counts);
  return least === most ? `${least} a class` : `${least} to ${most} a class`;
}

function aligned(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column]!))
      .join("  ")
      .trimEnd(),
  );
}
