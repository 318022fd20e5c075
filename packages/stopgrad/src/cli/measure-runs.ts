// `stopgrad measure --run`: the stages of a finished run at chosen epochs, and of another one beside it.
import { setThreads } from "@stopgrad/torch";
import { createObserver } from "../experiment/observer.js";
import {
  DEFAULT_BATCHES,
  DEFAULT_IMAGES,
  type ImagesSettings,
  type ObserveSettings,
  type SampleSettings,
} from "../experiment/run-settings.js";
import { openTrained, type TrainedNetwork } from "../experiment/trained-network.js";
import type { MeasureName } from "../measures/index.js";
import { openStore } from "../store/index.js";
import { dataFolders, note, runsDirectory, WorkError } from "./context.js";
import { BATCH, type Found, noteLeftOut, type Row, type Task, take } from "./measure-task.js";

/** @throws TrainedNetworkError for what the run has not, MeasureError where the measure refuses all stages */
export async function measureRun(task: Task, run: string): Promise<Found> {
  const { options } = task;
  const store = openStore(runsDirectory(options), { readonly: true });
  const networks: TrainedNetwork[] = [];
  try {
    const open = async (id: string) => {
      const [first] = networks;
      const shared = first ? { imagesOf: first } : {};
      const network = await openTrained(store, runsDirectory(options), id, {
        dataDirs: dataFolders(options),
        ...shared,
      });
      networks.push(network);
      return network;
    };
    const network = await open(run);
    addUsual(task, network);
    if (options.batch === undefined) task.batch = observedOf(task, network).batch ?? BATCH;
    const other = options.against === undefined ? null : await open(options.against);
    return measureNetworks(task, network, other);
  } finally {
    for (const network of networks.reverse()) network.dispose();
    store.close();
  }
}

/** Options that were not given, as in a run's own settings; they are printed with the others. */
function addUsual({ entry, settings, options: { set = [] } }: Task, { images }: TrainedNetwork): void {
  const dimensions = images.shape.reduce((product, size) => product * size, 1);
  for (const [option, value] of Object.entries(entry.usual?.(settings, { images: null, dimensions }) ?? {})) {
    if (!set.some((text) => text.startsWith(`${option}=`))) settings[option] = value;
  }
}

/** Which images a run observed a measure of. */
type Observed = Partial<SampleSettings & ImagesSettings>;

/** As the run observed this measure, so that it is measured again of the same images; nothing where it did not. */
function observedOf({ name, options }: Task, { settings }: TrainedNetwork): Observed {
  return options.full ? {} : ((settings.observe[name] ?? {}) as Observed); // no run observes all samples at once
}

/** Every epoch of one network; of two, those stages that both have. */
function measureNetworks(task: Task, network: TrainedNetwork, other: TrainedNetwork | null): Found {
  const { options, entry } = task;
  const wanted = options.epochs ?? "last";
  const epochs = network.epochs(wanted);
  const others = other ? (wanted === "last" ? other.epochs("last") : epochs) : [];
  if (other) for (const epoch of others) other.epochs(String(epoch));
  const both = other ? network.stages.filter((stage) => other.stages.includes(stage)) : network.stages;
  if (both.length === 0) {
    throw new WorkError(`runs ${network.id} and ${other!.id} have no stage of the same name`);
  }
  for (const one of [network, other]) one?.stagesAt(options.stages);
  const stages = options.stages ?? both;
  const rows: Row[] = [];
  for (const [at, epoch] of epochs.entries()) {
    network.load(epoch);
    other?.load(others[at]!);
    const found = measureStages(task, network, stages, `${network.id}, epoch ${epoch}`);
    const against = other ? measureStages(task, other, stages, `${other.id}, epoch ${others[at]}`) : null;
    for (const row of found) {
      const same = against?.find(({ of, what }) => of === row.of && what === row.what);
      rows.push({ ...row, epoch, ...(same ? { against: same } : {}) });
    }
  }
  if (entry.kind === "streamed") return { rows, samples: null };
  const samples = samplesOf(task, network);
  if (entry.kind === "pair" && !options.full) noteLeftOut(samples, task.batch);
  return { rows, samples, split: splitOf(task, network) };
}

/** Of a run's images: what was asked for, what the run observed, or the test images. */
function splitOf(task: Task, network: TrainedNetwork): "test" | "train" {
  return (task.options.split ?? observedOf(task, network).split) === "train" ? "train" : "test";
}

/** Of a run's images that are measured: what was asked for, what the run observed, or an observer's usual number. */
function samplesOf(task: Task, network: TrainedNetwork): number {
  const { options, entry } = task;
  const { count } = network.images[splitOf(task, network)];
  if (options.samples !== undefined) return options.samples;
  if (entry.kind === "probe") return count;
  const { batch = BATCH, batches, images } = observedOf(task, network);
  const usual = entry.kind === "pair" ? batch * (batches ?? DEFAULT_BATCHES) : (images ?? DEFAULT_IMAGES);
  return Math.min(usual, count);
}

/**
 * What is trained by small steps shows how sums were rounded, which the number of threads decides: it is taken on as many
 * as the run has, as the run's own observer takes it. Other measures take all that there are.
 */
function useThreadsOf({ entry }: Task, { settings }: TrainedNetwork): void {
  if (Object.hasOwn(entry.options.shape, "learningRate")) setThreads(settings.threads);
}

function measureStages(task: Task, network: TrainedNetwork, stages: readonly string[], where: string): Row[] {
  const { entry, ticker, name } = task;
  const breathe = (done: number, total: number) => ticker.tick(`${name} of ${where}`, done, total);
  useThreadsOf(task, network);
  if (entry.kind === "streamed") return observed(task, network, stages, where);
  const split = splitOf(task, network);
  const source = network.representations({ split, stages, samples: samplesOf(task, network) });
  const training = entry.kind === "probe" ? network.representations({ split: "train", stages }) : null;
  try {
    const found = take(task, { source, training }, breathe);
    return found.map((row) => ({ ...row, of: source.names[row.at]!, epoch: network.epoch }));
  } finally {
    training?.dispose();
    source.dispose();
  }
}

/** A measure that is trained while images pass: as a run's observer takes it. */
function observed(task: Task, network: TrainedNetwork, stages: readonly string[], where: string): Row[] {
  const { name, settings, ticker } = task;
  const when = { ...settings, firstEpoch: false } as unknown as ObserveSettings;
  const observer = createObserver(name as MeasureName, when, network.images);
  let steps = 0;
  try {
    const found = observer.observe(network.rule, () => ticker.tick(`${name} of ${where}, batches`, ++steps, 0));
    return found
      .filter(({ stage }) => stages.includes(stage))
      .map(({ stage, key, value, problem }) => {
        if (problem !== null) note(`${stage}, ${key}: ${problem}`);
        const at = stages.indexOf(stage);
        return { at, what: key, value, of: stage, epoch: network.epoch, evidence: { of: "nothing" } };
      });
  } finally {
    observer.dispose();
  }
}
