// `stopgrad activations`: each stage's output of a run's network, or of one from elsewhere, on disk for any other program.
import { existsSync, statSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { parse } from "yaml";
import type { z } from "zod";
import { datasets } from "../data/index.js";
import {
  type ActivationFormat,
  type ActivationType,
  MANIFEST,
  type WrittenArray,
  writeActivations,
} from "../experiment/activations.js";
import type { Representations } from "../experiment/representations.js";
import { didYouMean } from "../experiment/suggest.js";
import { backboneRepresentations, loadBackbone } from "../experiment/torchvision-weights.js";
import { loadImages, openTrained } from "../experiment/trained-network.js";
import { models } from "../models/index.js";
import type { RegistryEntry } from "../registry.js";
import { openStore } from "../store/index.js";
import {
  type CommonOptions,
  dataFolders,
  exitCodes,
  note,
  print,
  printJson,
  runsDirectory,
  UsageError,
  WorkError,
} from "./context.js";
import { startTicker } from "./ticker.js";

export interface ActivationsOptions extends CommonOptions {
  data?: string;
  model?: string;
  set?: string[];
  epoch?: string;
  split: "test" | "train";
  samples?: number;
  stages?: string[];
  dtype: ActivationType;
  format: ActivationFormat;
  out: string;
  /** Replace files that are there already. */
  force?: boolean;
}

const ENDING_SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** Thrown between two batches, when a signal asked for the end. */
class Interrupted extends Error {}

/** @param from - a run's id or the beginning of it, or a safetensors file */
export async function activations(from: string, options: ActivationsOptions): Promise<void> {
  const isFile = /\.safetensors$/i.test(from) || (existsSync(from) && statSync(from).isFile());
  let isAsked = false;
  const onSignal = () => {
    isAsked = true;
  };
  for (const signal of ENDING_SIGNALS) process.on(signal, onSignal);
  const ticker = startTicker();
  const breathe = (done: number, total: number) => {
    if (isAsked) throw new Interrupted();
    ticker.tick(`activations of ${from}, images`, done, total);
  };
  try {
    const written = isFile ? await ofFile(from, options, breathe) : await ofRun(from, options, breathe);
    ticker.end();
    tell(written, options);
  } catch (error) {
    ticker.end();
    if (!(error instanceof Interrupted)) throw error;
    if (options.json) printJson({ error: "interrupted: nothing was written" });
    note("interrupted: nothing was written");
    process.exitCode = exitCodes.interrupted;
  } finally {
    for (const signal of ENDING_SIGNALS) process.off(signal, onSignal);
  }
}

type Breathe = (done: number, total: number) => void;

async function ofRun(run: string, options: ActivationsOptions, breathe: Breathe): Promise<WrittenArray[]> {
  const { model, set } = options;
  if (model !== undefined) throw new UsageError("--model is for weights in a file; a run has its own network");
  if (set !== undefined) throw new UsageError("--set is for weights in a file; a run has its own settings");
  const store = openStore(runsDirectory(options), { readonly: true });
  try {
    const network = await openTrained(store, runsDirectory(options), run, { dataDirs: dataFolders(options) });
    try {
      const { data } = network.settings;
      if (options.data !== undefined && options.data !== data.name) {
        throw new UsageError(`--data ${options.data}: run ${network.id} is of ${data.name}; leave --data out`);
      }
      const [epoch, ...more] = network.epochs(options.epoch ?? "last");
      if (more.length > 0) throw new UsageError("--epoch: expected one epoch, or last");
      network.load(epoch!);
      const origin = { run: network.id, epoch: network.epoch, model: network.settings.model, data: data.name };
      return await write(network.representations(choiceOf(options)), origin, options, breathe);
    } finally {
      network.dispose();
    }
  } finally {
    store.close();
  }
}

async function ofFile(file: string, options: ActivationsOptions, breathe: Breathe): Promise<WrittenArray[]> {
  const { data, model, set = [], epoch } = options;
  if (epoch !== undefined) throw new UsageError("--epoch is for runs; a file has one set of weights");
  if (data === undefined) throw new UsageError("expected the images to take it on, as in --data cifar10");
  if (model === undefined) throw new UsageError("expected the network the weights are of, as in --model resnet18");
  const given = parseOptions(set);
  const dataOptions = checked("data", datasets, data, given.data);
  const modelOptions = checked("model", models, model, given.model);
  const settings = { data: { name: data, train: null, test: null, ...dataOptions }, device: "cpu" };
  const images = await loadImages(settings, dataFolders(options));
  const backbone = loadBackbone(file, model, modelOptions, images);
  try {
    const origin = {
      weights: relative(resolve(options.out), resolve(file)),
      model: { name: model, ...modelOptions },
      data,
    };
    return await write(backboneRepresentations(backbone, images, choiceOf(options)), origin, options, breathe);
  } finally {
    backbone.dispose();
  }
}

function choiceOf({ split, samples, stages }: ActivationsOptions) {
  return { split, ...(samples === undefined ? {} : { samples }), ...(stages === undefined ? {} : { stages }) };
}

async function write(
  source: Representations,
  origin: Readonly<Record<string, unknown>>,
  { out, dtype, format, split, force }: ActivationsOptions,
  breathe: Breathe,
): Promise<WrittenArray[]> {
  try {
    if (!force)
      requireNew(
        resolve(out),
        [...source.names, "x", "labels"].map((name) => `${name}.${format}`),
      );
    return await writeActivations(source, {
      folder: resolve(out),
      dtype,
      format,
      breathe,
      origin: { ...origin, split },
    });
  } finally {
    source.dispose();
  }
}

/** @throws WorkError for the first file that is there already: it may be another network's, or of another type */
function requireNew(folder: string, names: readonly string[]): void {
  const there = [...names, MANIFEST]
    .map((name) => join(folder, name))
    .find((path) => statSync(path, { throwIfNoEntry: false })?.isFile());
  if (there === undefined) return;
  throw new WorkError(`activations: ${there} is there already; choose another --out, or replace it with --force`);
}

function tell(written: readonly WrittenArray[], { json, out }: ActivationsOptions): void {
  if (json) {
    printJson({ folder: resolve(out), arrays: written });
    return;
  }
  const width = Math.max(...written.map(({ name }) => name.length));
  print(resolve(out));
  for (const { name, shape, dtype } of written) print(`  ${name.padEnd(width)}  ${dtype} [${shape.join(", ")}]`);
}

/** `model.width=16 data.path=images` → what belongs to each. */
function parseOptions(given: readonly string[]): Record<"model" | "data", Record<string, unknown>> {
  const options: Record<"model" | "data", Record<string, unknown>> = { model: {}, data: {} };
  for (const text of given) {
    const [, section, key, value] = /^(model|data)\.([^=]+)=(.*)$/s.exec(text) ?? [];
    if (section === undefined) {
      throw new UsageError(`--set: expected model.option=value or data.option=value, got ${text}`);
    }
    options[section as "model" | "data"][key!] = parse(value!);
  }
  return options;
}

/** Options of a registry entry, defaults filled in. @throws UsageError for an unknown name or a wrong option */
function checked(
  what: string,
  registry: Readonly<Record<string, RegistryEntry>>,
  name: string,
  given: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const known = Object.keys(registry);
  if (!Object.hasOwn(registry, name)) {
    throw new UsageError(`unknown ${what}: ${name} (known: ${known.join(", ")})${didYouMean(name, known)}`);
  }
  const parsed = registry[name]!.options.safeParse(given);
  if (parsed.success) return parsed.data;
  const issue = (parsed.error as z.ZodError).issues[0]!;
  throw new UsageError(`--set ${[what, ...issue.path].join(".")}: ${issue.message}`);
}
