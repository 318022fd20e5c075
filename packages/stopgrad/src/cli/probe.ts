// `stopgrad probe`: how separable the classes are at each stage of a finished run, on its training and its test images.
import { type IntervalOptions, intervalOf, measureProbesOf } from "../experiment/measured.js";
import { openTrained, type TrainedNetwork } from "../experiment/trained-network.js";
import { type Measure, MeasureError, measures, type ProbeMeasure } from "../measures/index.js";
import { openStore } from "../store/index.js";
import { type CommonOptions, dataFolders, print, printJson, runsDirectory, UsageError, WorkError } from "./context.js";
import { parseSettings } from "./measure-settings.js";
import { startTicker, type Ticker } from "./ticker.js";

/** What `--kind` says → the measure's name. */
export const probeKinds = { linear: "probe", mlp: "mlp-probe", knn: "knn" } as const;

/** What experiment files call these → the flag that says it here. */
const flags = { images: "--samples", samples: "--samples", epochs: "--epochs", stages: "--stages", level: "--level" };

export interface ProbeOptions extends CommonOptions {
  kind: keyof typeof probeKinds;
  epochs?: string;
  stages?: string[];
  samples?: number;
  set?: string[];
  level: number;
}

/** Percentage points of test accuracy below the best stage within which a stage counts as saturated. */
const SATURATED_WITHIN = 0.01;

interface ProbedStage {
  readonly name: string;
  readonly probeTrain: number;
  readonly probeTest: number;
  /** Of the test accuracy. */
  readonly interval: readonly [number, number] | null;
}

interface ProbedEpoch {
  readonly epoch: number;
  /** Name of the first stage whose test accuracy is within a point of the best one's. */
  readonly saturation: string;
  readonly stages: readonly ProbedStage[];
}

export async function probe(run: string, options: ProbeOptions): Promise<void> {
  const name = probeKinds[options.kind];
  const entry = (measures as Readonly<Record<string, Measure>>)[name];
  if (entry?.kind !== "probe") throw new UsageError(`probe --kind ${options.kind}: there is no such measure`);
  const settings = parseSettings(`probe --kind ${options.kind}`, entry, options.set ?? [], flags);
  const store = openStore(runsDirectory(options), { readonly: true });
  const ticker = startTicker();
  try {
    const network = await openTrained(store, runsDirectory(options), run, { dataDirs: dataFolders(options) });
    try {
      const epochs = network.epochs(options.epochs ?? "last").map((epoch) => {
        network.load(epoch);
        return probeEpoch(network, entry, settings, options, ticker);
      });
      ticker.end();
      tell(network, epochs, name, settings, options);
    } finally {
      network.dispose();
    }
  } catch (error) {
    ticker.end();
    if (error instanceof MeasureError) throw new WorkError(`probe of ${run}: ${error.message}`);
    throw error;
  } finally {
    store.close();
  }
}

function probeEpoch(
  network: TrainedNetwork,
  entry: ProbeMeasure,
  settings: Readonly<Record<string, unknown>>,
  { stages, samples, level }: ProbeOptions,
  ticker: Ticker,
): ProbedEpoch {
  const choice = stages === undefined ? {} : { stages };
  const train = network.representations({ split: "train", ...choice });
  const test = network.representations({ split: "test", ...choice, ...(samples === undefined ? {} : { samples }) });
  const intervals: IntervalOptions = { level, resamples: 2000 };
  try {
    const breathe = (done: number, total: number) =>
      ticker.tick(`probes of ${network.id}, epoch ${network.epoch}, images`, done, total);
    const rows = measureProbesOf(entry, settings, train, test, breathe);
    const probed = train.names.map((name, place): ProbedStage => {
      const of = (what: string) => rows.find((row) => row.at === place && row.what === what)!;
      return {
        name,
        probeTrain: of("train").value,
        probeTest: of("test").value,
        interval: intervalOf(of("test"), intervals),
      };
    });
    return { epoch: network.epoch, saturation: saturationOf(probed), stages: probed };
  } finally {
    train.dispose();
    test.dispose();
  }
}

/** The first stage whose test accuracy is within one point of the highest of all stages. */
export function saturationOf(stages: readonly Pick<ProbedStage, "name" | "probeTest">[]): string {
  const best = Math.max(...stages.map(({ probeTest }) => probeTest));
  return stages.find(({ probeTest }) => probeTest >= best - SATURATED_WITHIN - 1e-12)!.name;
}

function tell(
  network: TrainedNetwork,
  epochs: readonly ProbedEpoch[],
  measure: string,
  settings: Readonly<Record<string, unknown>>,
  { json, kind, level }: ProbeOptions,
): void {
  if (json) {
    const { stages, saturation } = epochs.at(-1)!;
    printJson({ run: network.id, kind, measure, options: settings, level, saturation, stages, epochs });
    return;
  }
  const percent = (share: number) => (100 * share).toFixed(2).padStart(6);
  for (const { epoch, stages, saturation } of epochs) {
    const width = Math.max(...stages.map(({ name }) => name.length), "stage".length);
    print(`${network.id}, epoch ${Number(epoch.toFixed(3))}: ${kind} probes, accuracy in %`);
    print(`  ${"stage".padEnd(width)}   train    test`);
    for (const { name, probeTrain, probeTest, interval } of stages) {
      const range = interval ? `  [${interval.map((end) => (100 * end).toFixed(2)).join(", ")}]` : "";
      print(`  ${name.padEnd(width)}  ${percent(probeTrain)}  ${percent(probeTest)}${range}`);
    }
    print(`  saturated from ${saturation} on: test accuracy within one point of the best stage`);
  }
}
