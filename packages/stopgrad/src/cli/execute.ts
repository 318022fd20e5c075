// From an experiment file and overrides to finished runs: what `train`, `compare` and `resume` share.
import type { Dataset } from "../data/dataset.js";
import { datasets } from "../data/index.js";
import { loadDocument } from "../experiment/load.js";
import { entryOf, settingsSchema } from "../experiment/registries.js";
import { optionsOf, type RunSettings } from "../experiment/run-settings.js";
import { type PlannedRun, plan, type RunOutcome, runAll, sideBySide } from "../experiment/runner.js";
import type { Experiment } from "../experiment/settings.js";
import { openStore, type Store } from "../store/index.js";
import { type CommonOptions, dataFolders, exitCodes, note, runsDirectory } from "./context.js";
import { showProgress } from "./progress.js";

/** Ctrl-C, `kill`, and the end of the terminal. */
const ENDING_SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

export interface ExecuteOptions extends CommonOptions {
  jobs?: number;
  fresh?: boolean;
}

/** Reads and validates an experiment file. @throws SettingsError naming every mistake */
export function readExperiment(file: string, overrides: readonly string[], variant?: string): Experiment {
  return settingsSchema.expand(loadDocument(file), { overrides, ...(variant === undefined ? {} : { variant }) });
}

/** A word of a command line as a shell needs it. */
export function shellQuote(word: string): string {
  return /^[\w./:=,@%+-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** The command that repeats one run of a file. */
export function trainCommand(file: string, overrides: readonly string[]): (settings: RunSettings) => string {
  return ({ variant, seed }) => {
    const own = overrides.filter((override) => !/^\+?seeds=/.test(override));
    const choice = variant === "default" ? [] : ["--variant", variant];
    return ["stopgrad", "train", file, ...choice, ...own, `seeds=[${seed}]`].map(shellQuote).join(" ");
  };
}

export interface Executed {
  outcomes: RunOutcome[];
  /** Ctrl-C ended it. */
  interrupted: boolean;
}

/**
 * Trains what is not done, with progress; Ctrl-C once checkpoints and ends, twice ends at once.
 * @throws DatasetError before any work when a data set is not there
 */
export async function execute(
  runs: readonly RunSettings[],
  commandFor: (settings: RunSettings) => string,
  options: ExecuteOptions,
  store: Store,
): Promise<Executed> {
  const planned: PlannedRun[] = plan(runs, store, options.fresh ?? false);
  const done = planned.filter((run) => run.done).length;
  if (done > 0) {
    note(`${done} of ${planned.length} runs ${done === 1 ? "is" : "are"} already done (--fresh starts again)`);
  }
  await requireData(planned, options);
  const waiting = planned.filter((run) => !run.done);
  const jobs = sideBySide(
    waiting.map(({ settings }) => settings),
    options.jobs,
  );
  const progress = showProgress(planned, jobs);
  const abort = new AbortController();
  const onSignal = () => {
    if (abort.signal.aborted) {
      progress.stop(); // gives the terminal its cursor back
      process.exit(exitCodes.interrupted);
    }
    note("\nstopping: each run writes a checkpoint (again: at once, without)");
    abort.abort();
  };
  for (const signal of ENDING_SIGNALS) process.on(signal, onSignal);
  try {
    const outcomes = await runAll(planned, {
      store,
      runsDir: runsDirectory(options),
      dataDirs: dataFolders(options),
      ...(options.jobs === undefined ? {} : { jobs: options.jobs }),
      ...(options.fresh === undefined ? {} : { fresh: options.fresh }),
      commandFor,
      onEvent: (run, event) => progress.onEvent(run, event),
      signal: abort.signal,
    });
    return { outcomes, interrupted: abort.signal.aborted };
  } finally {
    progress.stop();
    for (const signal of ENDING_SIGNALS) process.off(signal, onSignal);
  }
}

/** Data sets of the runs to do are looked for once, rather than missed by each run. Looks only at names. */
async function requireData(planned: readonly PlannedRun[], options: CommonOptions): Promise<void> {
  const dataDirs = dataFolders(options);
  const wanted = new Map(planned.filter((run) => !run.done).map(({ settings }) => [settings.data.name, settings.data]));
  for (const data of wanted.values()) {
    const dataset: Dataset = entryOf(datasets, data.name);
    if (dataset.files?.find(dataDirs) === null) await dataset.load(optionsOf(dataset, data), { dataDirs });
  }
}

/** Opens the store for the time of `body`. */
export async function withStore<R>(options: CommonOptions, body: (store: Store) => Promise<R>): Promise<R> {
  const store = openStore(runsDirectory(options));
  try {
    return await body(store);
  } finally {
    store.close();
  }
}
