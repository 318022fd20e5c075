// From an experiment file and overrides to finished runs: what `train`, `compare` and `resume` share.
import type { Dataset } from "../data/dataset.js";
import { datasets } from "../data/index.js";
import { loadDocument } from "../experiment/load.js";
import { entryOf, settingsSchema } from "../experiment/registries.js";
import { optionsOf, type RunSettings } from "../experiment/run-settings.js";
import { type PlannedRun, plan, type RunOutcome, runAll, sideBySide } from "../experiment/runner.js";
import type { Experiment } from "../experiment/settings.js";
import { openStore, type RunOrigin, type Store } from "../store/index.js";
import { type CommonOptions, dataFolders, exitCodes, note, runsDirectory } from "./context.js";
import { showProgress } from "./progress.js";
import { shellQuote } from "./shell.js";

/** Ctrl-C, `kill`, and the end of the terminal. */
const ENDING_SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

export interface ExecuteOptions extends CommonOptions {
  jobs?: number;
  fresh?: boolean;
}

/** A signal that comes this soon after the first is the same one: npm passes on what the terminal sent to all. */
const SAME_SIGNAL_MS = 250;

/** Reads and validates an experiment file. @throws SettingsError naming every mistake */
export function readExperiment(file: string, overrides: readonly string[], variant?: string): Experiment {
  return settingsSchema.expand(loadDocument(file), { overrides, ...(variant === undefined ? {} : { variant }) });
}

/** The command line that goes on with this one: the same, except that it does not start again. */
export function commandToGoOn(): string {
  return ["stopgrad", ...process.argv.slice(2).filter((word) => word !== "--fresh")].map(shellQuote).join(" ");
}

export interface Executed {
  outcomes: RunOutcome[];
  /** Ctrl-C ended it. */
  interrupted: boolean;
}

/**
 * Trains what is not done, with progress; Ctrl-C once checkpoints and ends, twice ends at once.
 * @param origin - null for runs that go on: theirs is recorded
 * @throws DatasetError before any work when a data set is not there
 */
export async function execute(
  runs: readonly RunSettings[],
  commandFor: (settings: RunSettings) => string,
  options: ExecuteOptions,
  store: Store,
  origin: RunOrigin | null = null,
): Promise<Executed> {
  const planned: PlannedRun[] = plan(runs, store, options.fresh ?? false);
  const done = planned.filter((run) => run.done).length;
  if (done > 0) {
    note(`${done} of ${planned.length} runs ${done === 1 ? "is" : "are"} already done (--fresh starts again)`);
  }
  await requireData(planned, options, "any");
  const waiting = planned.filter((run) => !run.done);
  const jobs = sideBySide(
    waiting.map(({ settings }) => settings),
    options.jobs,
  );
  const progress = showProgress(planned, jobs);
  const abort = new AbortController();
  let askedAt = 0;
  const onSignal = () => {
    if (abort.signal.aborted) {
      if (performance.now() - askedAt < SAME_SIGNAL_MS) return;
      progress.stop(); // gives the terminal its cursor back
      note(`stopped at once: the last checkpoints stay; to go on: ${commandToGoOn()}`);
      process.exit(exitCodes.interrupted);
    }
    note("\nstopping: each run writes a checkpoint (again: at once, without)");
    askedAt = performance.now();
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
      origin,
      onEvent: (run, event) => progress.onEvent(run, event),
      signal: abort.signal,
    });
    return { outcomes, interrupted: abort.signal.aborted };
  } finally {
    progress.stop();
    for (const signal of ENDING_SIGNALS) process.off(signal, onSignal);
  }
}

/**
 * Data sets of the runs to do are looked for once, rather than missed by each run. Looks only at names.
 * @param needed - `any`: where some runs have theirs, they are trained, and the others fail; `all`: every one is wanted
 * @throws DatasetError naming one that is not there and how to get it
 */
export async function requireData(
  planned: readonly PlannedRun[],
  options: CommonOptions,
  needed: "any" | "all",
): Promise<void> {
  const dataDirs = dataFolders(options);
  const wanted = new Map(planned.filter((run) => !run.done).map(({ settings }) => [settings.data.name, settings.data]));
  const missing = [...wanted.values()].filter(({ name }) => {
    const dataset: Dataset = entryOf(datasets, name);
    return dataset.files?.find(dataDirs) === null;
  });
  const [data] = missing;
  if (data === undefined || (needed === "any" && missing.length < wanted.size)) return;
  const dataset: Dataset = entryOf(datasets, data.name);
  await dataset.load(optionsOf(dataset, data), { dataDirs });
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
