// `stopgrad sensitivity`: does a conclusion from nHSIC change with kernel, width, ridge, batch size, split or distance?
// Of runs: their paths through the information plane, from the weights they kept. Of files: the order of representations.
import { join, resolve } from "node:path";
import { type NamedArray, openArray, openArrays, readLabels } from "../data/arrays.js";
import { ofArrays, type Representations } from "../experiment/representations.js";
import {
  measureSettings,
  pathOfArrays,
  pathsOfRun,
  piecesOf,
  requirePath,
  type SensitivitySetting,
  type Split,
  type SplitPlan,
  sensitivitySettings,
} from "../experiment/sensitivity.js";
import { openTrained, type TrainedNetwork } from "../experiment/trained-network.js";
import { makeFolder } from "../folders.js";
import {
  renderCsv,
  renderMarkdown,
  renderSvg,
  sensitivityChart,
  sensitivitySummary,
  sensitivityTable,
  sensitivityValuesTable,
} from "../report/index.js";
import {
  type Conclusion,
  describeVerdicts,
  FEWEST_BATCHES,
  orderConclusions,
  type PathValues,
  planeConclusions,
  type VariantPaths,
} from "../statistics/index.js";
import { openStore, type RunRecord } from "../store/index.js";
import { writeWhole } from "../write-whole.js";
import {
  type CommonOptions,
  dataFolders,
  describeError,
  print,
  printJson,
  runsDirectory,
  UsageError,
  WorkError,
} from "./context.js";
import { startTicker, type Ticker } from "./ticker.js";

export interface SensitivityOptions extends CommonOptions {
  x?: string;
  y?: string;
  z?: string[];
  epochs?: string;
  stages?: string[];
  samples?: number;
  batch: number;
  grid?: boolean;
  out?: string;
}

/** What a sweep found. */
interface Found {
  readonly title: string;
  readonly settings: readonly SensitivitySetting[];
  readonly conclusions: readonly Conclusion[];
  /** Sentences: samples, settings that were left out, values that are missing. */
  readonly notes: readonly string[];
}

export async function sensitivity(runs: readonly string[], options: SensitivityOptions): Promise<void> {
  requireOptions(runs, options);
  const ticker = startTicker();
  let found: Found;
  try {
    found = runs.length > 0 ? await ofRuns(runs, options, ticker) : ofFiles(options, ticker);
  } finally {
    ticker.end();
  }
  const files = options.out === undefined ? [] : await write(resolve(options.out), found);
  if (options.json) printJson({ ...asJson(found), files });
  else {
    print(sensitivitySummary(found.conclusions, found.title, found.notes, process.stdout.columns));
    for (const file of files) print(`written: ${file}`);
  }
}

function requireOptions(runs: readonly string[], { x, y, z, epochs, stages, batch }: SensitivityOptions): void {
  const ofFiles = z !== undefined || x !== undefined || y !== undefined;
  if (runs.length > 0 && ofFiles) throw new UsageError("sensitivity: expected runs or files (--x, --y, --z), got both");
  if (batch < 8 || batch % 2 !== 0) {
    throw new UsageError(`sensitivity: --batch: expected an even number, at least 8, got ${batch}`);
  }
  if (runs.length > 0) return;
  if (z === undefined) {
    throw new UsageError(
      "sensitivity: expected runs, or representations with --x or --y, as in --y Y.npy --z Z1.npy Z2.npy",
    );
  }
  if (x === undefined && y === undefined) {
    throw new UsageError("sensitivity: expected an input (--x X.npy), labels (--y Y.npy) or both");
  }
  if (epochs !== undefined) throw new UsageError("sensitivity: --epochs is for runs; files have none");
  if (stages !== undefined) throw new UsageError("sensitivity: --stages is for runs; --z names the files to look at");
}

// --- files -----------------------------------------------------------------------------------------------------------

function ofFiles(options: SensitivityOptions, ticker: Ticker): Found {
  const source = openFiles(options);
  try {
    if (source.names.length < 2) {
      throw new UsageError(
        "sensitivity: expected two representations or more (--z Z1.npy Z2.npy), as their order is judged",
      );
    }
    const samples = samplesOf(options, source.count, "there are");
    const wanted = sensitivitySettings({ batch: options.batch, splits: ["test"], grid: options.grid ?? false });
    const { settings, notes } = fitting(wanted, { test: samples, train: 0 });
    const total = piecesOf(settings, samples, source.names.length);
    let done = 0;
    const values = measureSettings(source, settings, samples, () => ticker.tick("sensitivity", ++done, total));
    const labels = settings.map(({ label }) => label);
    const paths = values.map(
      (value): VariantPaths => ({
        label: "files",
        stages: source.names,
        runs: [{ seed: 0, paths: pathOfArrays(value) }],
      }),
    );
    const problems = values.flatMap(({ problem }, at) => (problem === null ? [] : [`${labels[at]}: ${problem}.`]));
    return {
      title: `Do ${source.names.length} representations keep their order under ${settings.length} settings of nHSIC?`,
      settings,
      conclusions: orderConclusions(labels, paths),
      notes: [`${samples} samples. ${explanation}`, ...notes, ...fewBatches(settings, { test: samples }), ...problems],
    };
  } finally {
    source.dispose();
  }
}

function openFiles({ x: inputFile, y: labelFile, z: files = [] }: SensitivityOptions): Representations {
  const x = inputFile === undefined ? null : openArray(inputFile);
  const labels = labelFile === undefined ? null : readLabels(labelFile);
  if (labels && labels.classes < 2) {
    throw new WorkError(`${labels.name} holds a single class; expected labels of at least two`);
  }
  const z = files.flatMap(openArrays);
  requireSameSamples([...(x ? [x] : []), ...(labels ? [{ name: labels.name, tensor: labels.labels }] : []), ...z]);
  return ofArrays(z, x, labels);
}

function requireSameSamples(arrays: readonly NamedArray[]): void {
  const first = arrays[0]!;
  const other = arrays.find(({ tensor }) => tensor.size(0) !== first.tensor.size(0));
  if (other === undefined) return;
  throw new WorkError(
    `${other.name} holds ${other.tensor.size(0)} samples, ${first.name} holds ${first.tensor.size(0)}; they must be the same samples`,
  );
}

// --- runs ------------------------------------------------------------------------------------------------------------

/** A run that was measured. */
interface Measured {
  readonly record: RunRecord;
  readonly stages: readonly string[];
  readonly paths: ReadonlyMap<SensitivitySetting, PathValues>;
}

async function ofRuns(wanted: readonly string[], options: SensitivityOptions, ticker: Ticker): Promise<Found> {
  const folder = runsDirectory(options);
  const store = openStore(folder, { readonly: true });
  let first: TrainedNetwork | null = null;
  try {
    const ids = [...new Set(wanted.map((run) => store.getRun(run).id))];
    const measured: Measured[] = [];
    const problems: string[] = [];
    let plan: Plan | null = null;
    for (const [at, id] of ids.entries()) {
      const network: TrainedNetwork = await openTrained(store, folder, id, {
        dataDirs: dataFolders(options),
        ...(first ? { imagesOf: first } : {}),
      });
      first ??= network;
      try {
        plan ??= planOf(network, options);
        const epochs = network.epochs(options.epochs ?? "all");
        requirePath(network, epochs);
        const stages = network.stagesAt(options.stages).map((place) => network.stages[place]!);
        const perEpoch = plan.splits
          .map(({ settings, samples }) => piecesOf(settings, samples, stages.length))
          .reduce((sum, pieces) => sum + pieces, 0);
        let done = 0;
        const what = `run ${at + 1} of ${ids.length}`;
        const breathe = () => ticker.tick(what, ++done, perEpoch * epochs.length);
        const { paths, problems: missing } = pathsOfRun(network, epochs, plan.splits, stages, breathe);
        measured.push({ record: network.record, stages, paths });
        for (const [{ label }, problem] of missing) problems.push(`Run ${id}, ${label}, ${problem}.`);
      } finally {
        if (network !== first) network.dispose();
      }
    }
    const { settings, notes, sizes } = plan!;
    const labels = settings.map(({ label }) => label);
    const groups = variantsOf(measured);
    const variants = settings.map((setting) => groups.map((group) => pathsUnder(group, setting)));
    return {
      title: `Do conclusions about ${groups.map(({ label }) => label).join(", ")} hold under ${settings.length} settings of nHSIC?`,
      settings,
      conclusions: planeConclusions(labels, variants),
      notes: [
        `${sizes} images. ${explanation}`,
        ...seedNotes(groups),
        ...stageNotes(options.stages, measured),
        ...notes,
        ...(groups.some(({ runs }) => runs.length === 1) ? fewBatches(settings, plan!.samples) : []),
        ...problems,
      ],
    };
  } finally {
    first?.dispose();
    store.close();
  }
}

interface Plan {
  readonly splits: SplitPlan[];
  readonly settings: readonly SensitivitySetting[];
  readonly notes: string[];
  readonly samples: Readonly<Record<Split, number>>;
  /** `1024 test and 2048 train`. */
  readonly sizes: string;
}

function planOf({ id, images }: TrainedNetwork, options: SensitivityOptions): Plan {
  const samples = {
    test: samplesOf(options, images.test.count, `run ${id} has of its test images`),
    train: samplesOf(options, images.train.count, `run ${id} has of its training images`),
  };
  const wanted = sensitivitySettings({ batch: options.batch, grid: options.grid ?? false });
  const { settings, notes } = fitting(wanted, samples);
  const splits = (["test", "train"] as const).map((split) => ({
    split,
    samples: samples[split],
    settings: settings.filter((setting) => setting.split === split),
  }));
  return { splits, settings, notes, samples, sizes: `${samples.test} test and ${samples.train} training` };
}

/** Runs of the same experiment and variant, which differ by seed, in the order they were named. */
function variantsOf(measured: readonly Measured[]): { label: string; runs: Measured[] }[] {
  const experiments = new Set(measured.map(({ record }) => record.name));
  const groups = new Map<string, Measured[]>();
  for (const run of measured) {
    const { name, variant } = run.record;
    const label = experiments.size > 1 ? `${name}/${variant}` : variant;
    groups.set(label, [...(groups.get(label) ?? []), run]);
  }
  for (const [label, runs] of groups) {
    const seeds = runs.map(({ record }) => record.seed);
    if (new Set(seeds).size < seeds.length) {
      throw new UsageError(
        `sensitivity: expected runs of ${label} with different seeds, got seeds ${seeds.join(", ")}: runs that differ by ` +
          "settings need different variant names to be told apart",
      );
    }
  }
  return [...groups].map(([label, runs]) => ({ label, runs }));
}

function pathsUnder({ label, runs }: { label: string; runs: Measured[] }, setting: SensitivitySetting): VariantPaths {
  return {
    label,
    stages: runs[0]!.stages,
    runs: runs.map(({ record, paths }) => ({ seed: record.seed, paths: paths.get(setting)! })),
  };
}

function seedNotes(groups: readonly { label: string; runs: Measured[] }[]): string[] {
  return groups.flatMap(({ label, runs }) => {
    const epochs = runs[0]!.paths.values().next().value!.epochs;
    const range = `${label}: ${epochs.length} epochs from ${epochs[0]} to ${epochs.at(-1)}`;
    if (runs.length === 1)
      return [`${range}, one seed: intervals are over mini-batches (jackknife) and say nothing of other seeds.`];
    return [`${range}, seeds ${runs.map(({ record }) => record.seed).join(", ")}: t-intervals over seeds.`];
  });
}

/** What is over all stages is over the chosen ones. */
function stageNotes(wanted: readonly string[] | undefined, [first]: readonly Measured[]): string[] {
  if (wanted === undefined) return [];
  const names = first!.stages.join(", ");
  return [
    `Only stages ${names}: role differentiation, uniformity and the order are of these; "the last" is their last.`,
  ];
}

// --- both ------------------------------------------------------------------------------------------------------------

/** Samples that are looked at unless `--samples` says, or as many as there are. */
const SAMPLES = 2048;

/** @throws WorkError where more are asked for than there are */
function samplesOf({ samples }: SensitivityOptions, count: number, owner: string): number {
  if (samples === undefined) return Math.min(SAMPLES, count);
  if (samples <= count) return samples;
  throw new WorkError(`sensitivity: --samples: expected 1 to ${count}, as many as ${owner}, got ${samples}`);
}

const explanation =
  "A conclusion holds where the 95 % interval of its number lies on the default's side of the threshold, flips where it " +
  "lies on the other side, and cannot be told where it lies on both. Default: RBF kernel of width 5 √D, squared distance, " +
  "epsilon 1e-5.";

/** The settings whose batches can be filled at least twice, so that there is an interval; a sentence for the others. */
function fitting(
  settings: readonly SensitivitySetting[],
  samples: Readonly<Record<Split, number>>,
): { settings: SensitivitySetting[]; notes: string[] } {
  const kept = settings.filter(({ batch, split }) => 2 * batch <= samples[split]);
  if (kept[0] !== settings[0]) {
    const { batch, split } = settings[0]!;
    throw new WorkError(
      `the default setting needs two batches of ${batch}, and there are ${samples[split]} samples; --batch chooses a smaller one`,
    );
  }
  const left = settings.filter((setting) => !kept.includes(setting));
  if (left.length === 0) return { settings: kept, notes: [] };
  const names = left.length <= 4 ? left.map(({ label }) => label).join(", ") : `${left.length} settings`;
  return { settings: kept, notes: [`Left out, as there are not two whole batches of samples: ${names}.`] };
}

/** What to do where intervals over mini-batches are of too few of them. */
function fewBatches(
  settings: readonly SensitivitySetting[],
  samples: Readonly<Partial<Record<Split, number>>>,
): string[] {
  const few = settings.filter(({ batch, split }) => Math.floor(samples[split]! / batch) < FEWEST_BATCHES);
  if (few.length === 0) return [];
  const which =
    few.length === settings.length
      ? "in any setting"
      : `with ${few.length <= 4 ? few.map(({ label }) => label).join(", ") : `${few.length} settings`}`;
  return [
    `Cannot be told ${which}, as there are fewer than ${FEWEST_BATCHES} mini-batches. Take more --samples or a ` +
      "smaller --batch.",
  ];
}

function asJson({ settings, conclusions, notes }: Found): object {
  return {
    settings: settings.map(({ label, options, batch, split }) => ({ label, ...options, batch, split })),
    conclusions: conclusions.map((conclusion) => ({ ...conclusion, verdict: describeVerdicts(conclusion) })),
    notes,
  };
}

/** Markdown, CSV of every number, the picture and its specification. Returns their paths. */
async function write(folder: string, { title, settings, conclusions, notes }: Found): Promise<string[]> {
  const values = sensitivityValuesTable(conclusions);
  const shown = settings.filter(({ changes }) => changes < 2).map(({ label }) => label);
  const chart = sensitivityChart(conclusions, shown);
  const picture = chart === null ? "" : `\n![${chart.title}](sensitivity.svg)\n\n${chart.caption}\n`;
  const contents: [string, string][] = [
    [
      "sensitivity.md",
      `${renderMarkdown(sensitivityTable(conclusions, title, notes))}${picture}\n${renderMarkdown(values)}`,
    ],
    ["sensitivity.csv", renderCsv(values)],
    ...(chart === null
      ? []
      : ([
          ["sensitivity.svg", await renderSvg(chart.spec)],
          ["sensitivity.vl.json", `${JSON.stringify(chart.spec)}\n`],
        ] as [string, string][])),
  ];
  try {
    makeFolder(folder);
    return contents.map(([name, text]) => {
      const file = join(folder, name);
      writeWhole(file, text);
      return file;
    });
  } catch (error) {
    throw new WorkError(
      `the results cannot be written to ${folder}: ${describeError(error).message}; --out chooses another folder`,
    );
  }
}
