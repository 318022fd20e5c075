// Experiment files: from a parsed file and overrides to one complete set of settings for each run.
//
// The schema is put together from the registries: an entry's own zod options validate what stands beside its name, so
// that a new model or loss needs no change here. Every mistake in the file is found before anything runs. Variants are
// validated after merging, as they would run; a mistake is reported where it is written.
import type { z } from "zod";
import { selectionOptions } from "../contexts/selection.js";
import { learningRateSchedules } from "../optimizers/learning-rate-schedules.js";
import type { Registry } from "../registry.js";
import { type Checked, type Elsewhere, type Mistake, mistakeAt, outside } from "./check.js";
import type { SettingsDocument } from "./document.js";
import { checkNamed, checkObserve, observeOptions } from "./entries.js";
import { dimensionsOf } from "./impossible-measures.js";
import { impossibleParts } from "./impossible-parts.js";
import { mergeLayers } from "./layers.js";
import { meaninglessForRule } from "./meaningless.js";
import { applyOverride } from "./overrides.js";
import { formatProblem, type Problem, SettingsError } from "./problems.js";
import { chosenWeights, publishedFor } from "./reconstruction.js";
import { circleOf, sourceMistake, withSources, withTheirSources } from "./retrain-sources.js";
import {
  contextSchema,
  type DataSettings,
  DEFAULT_BATCHES,
  DEFAULT_IMAGES,
  dataCommon,
  type ImagesSettings,
  nothingCommon,
  type OptimizerSettings,
  optimizerCommon,
  optionsOf,
  plainSettings,
  type RunSettings,
  reconstructionSchema,
  type SampleSettings,
} from "./run-settings.js";
import {
  checkContext,
  checkNhsic,
  checkObjectiveKeys,
  checkPartition,
  checkPlain,
  checkReconstruction,
  OBJECTIVE_KEYS,
} from "./sections.js";
import type { SettingsHooks, SettingsRegistries, SplitSizes } from "./settings-hooks.js";
import { didYouMean, sameWord } from "./suggest.js";
import { impossibleTogether } from "./together.js";
import { depthReached, formatPath, isTree, type Path, type Tree, valueAt } from "./tree.js";
import type { ValidParts } from "./valid-parts.js";
import {
  type Applied,
  asWritten,
  type CheckedLayer,
  checkKeys,
  isShadowed,
  locate,
  splitLayers,
  unrespell,
} from "./written.js";

export type { SettingsHooks, SettingsRegistries };

export interface ExpandOptions {
  /** `epochs=5`, `~observe.probe`: see `overrides.ts`. */
  readonly overrides?: readonly string[];
  /** Only this variant's runs; the others are validated all the same. */
  readonly variant?: string;
}

export interface Experiment {
  readonly name: string;
  /** Variant by variant, in the file's order, each with every seed. */
  readonly runs: readonly RunSettings[];
}

export interface Settings {
  /** @throws SettingsError naming every mistake */
  expand(document: SettingsDocument, options?: ExpandOptions): Experiment;
}

const SECTIONS = ["data", "model", "rule", "partition", "schedule", "objective", "context", "optimizer", "observe"];
const VARIANT_KEYS = [...Object.keys(plainSettings.shape).filter((key) => key !== "name"), ...SECTIONS];
const ONLY_AT_TOP = ["name", "variants"];
const TOP_KEYS = [...ONLY_AT_TOP, ...VARIANT_KEYS];

/** Settings of a variant before its seeds are dealt out. */
type VariantSettings = Omit<RunSettings, "name" | "variant" | "seed"> & { name: string | undefined; seeds: number[] };

/** `settings` only when there are no mistakes. */
interface Resolved {
  readonly settings?: VariantSettings;
  readonly mistakes: readonly Mistake[];
}

export function defineSettings(registries: SettingsRegistries, hooks: SettingsHooks = {}): Settings {
  const elsewhere = settingsElsewhere(registries);
  return { expand: (document, options) => expand(document, options ?? {}, registries, lookingOnce(hooks), elsewhere) };
}

/** The same, for one file: each data set is looked at once, so that all variants have it as it was then. */
function lookingOnce(hooks: SettingsHooks): SettingsHooks {
  const once = <T>(look: (data: DataSettings) => T) => {
    const seen = new Map<string, T>();
    return (data: DataSettings): T => {
      const key = JSON.stringify(data);
      const found = seen.has(key) ? (seen.get(key) as T) : look(data);
      seen.set(key, found);
      return found;
    };
  };
  return {
    ...hooks,
    datasetSizes: once((data) => hooks.datasetSizes?.(data) ?? null),
    contents: once((data) => hooks.contents?.(data) ?? null),
  };
}

function expand(
  document: SettingsDocument,
  { overrides = [], variant: chosenVariant }: ExpandOptions,
  registries: SettingsRegistries,
  hooks: SettingsHooks,
  elsewhere: Elsewhere,
): Experiment {
  const problems = new Map<string, Problem>();
  const add = (path: string, message: string, location: string) => {
    const problem = { path, message, location };
    problems.set(formatProblem(problem), problem);
  };
  const applied: Applied[] = [];
  /** Variants that an override's mistake is one in, by the problem's text. */
  const inVariants = new Map<string, string[]>();
  const addAt = (path: Path, { message, part }: Mistake, variant?: string) => {
    const problem = {
      path: formatPath(asWritten(document.tree, path)),
      message,
      location: locate(document, applied, path, part),
    };
    const text = formatProblem(problem);
    if (variant !== undefined && problem.location.startsWith("override ")) {
      // What an override does to variants that are not asked for is no matter.
      if (chosenVariant !== undefined && variant !== chosenVariant) return;
      inVariants.set(text, [...(inVariants.get(text) ?? []), variant]);
    }
    problems.set(text, problem);
  };

  const split = splitLayers(document.tree);
  for (const mistake of split.mistakes) addAt(mistake.path, mistake);
  let { layers } = split;
  for (const text of overrides) {
    const result = applyOverride(layers, text);
    if ("message" in result) {
      add(result.path, result.message, `override ${text}`);
    } else {
      applied.push({ override: result.override, before: layers.top, after: result.layers.top });
      layers = result.layers;
    }
  }

  const top = checkKeys(layers.top, TOP_KEYS, [], elsewhere);
  for (const mistake of top.mistakes) addAt(mistake.path, mistake);
  const variants = Object.entries(layers.variants).map(([name, layer]) => {
    const checked = checkKeys(layer, VARIANT_KEYS, ONLY_AT_TOP, elsewhere);
    for (const mistake of checked.mistakes) addAt(["variants", name, ...mistake.path], mistake);
    return { name, layer: checked };
  });

  // A mistake belongs to the layer that holds most of its path: the variant's own setting, or the top level's.
  const report = (mistakes: readonly Mistake[], variant?: { name: string; layer: CheckedLayer }) => {
    for (const mistake of mistakes) {
      const reached = variant ? depthReached(variant.layer.tree, mistake.path) : 0;
      if (variant && reached > 0 && reached >= depthReached(top.tree, mistake.path)) {
        addAt(["variants", variant.name, ...unrespell(variant.layer, mistake.path)], mistake);
      } else {
        addAt(unrespell(top, mistake.path), mistake, variant?.name);
      }
    }
  };
  const resolved = new Map<string, VariantSettings>();
  const keep = (name: string, { settings }: Resolved) => settings && resolved.set(name, settings);
  const topAlone = resolve(top.tree, variants.length > 0, registries, hooks, elsewhere);
  report(topAlone.mistakes);
  if (variants.length === 0) keep("default", topAlone);
  for (const variant of variants) {
    const result = resolve(mergeLayers(top.tree, variant.layer.tree), false, registries, hooks, elsewhere);
    report(result.mistakes, variant);
    keep(variant.name, result);
  }

  const names = variants.length === 0 ? ["default"] : variants.map(({ name }) => name);
  const chosen = names.filter((name) => chosenVariant === undefined || name === chosenVariant);
  if (chosenVariant !== undefined && chosen.length === 0) {
    const hint = didYouMean(chosenVariant, names);
    add("", `unknown variant: ${chosenVariant} (known: ${names.join(", ")})${hint}`, document.file);
  }
  const chosenLayers = variants.filter(({ name }) => chosen.includes(name)).map(({ layer }) => layer.tree);
  for (const one of applied.filter((one) => isShadowed(one, chosenLayers))) {
    const key = one.override.path.join(".");
    const who = chosen.length === 1 ? `variant ${chosen[0]} sets` : "every variant sets";
    const message = `has no effect, because ${who} its own; write variants.${chosen[0]}.${key}=...`;
    add(key, message, `override ${one.override.text}`);
  }

  for (const [variant, { retrain }] of resolved) {
    const wrong = retrain && (circleOf(variant, resolved) ?? sourceMistake(variant, resolved));
    if (wrong) addAt(["variants", variant, "retrain", "from"], mistakeAt([], wrong));
  }

  for (const [text, names] of chosenVariant === undefined ? inVariants : []) {
    const problem = problems.get(text)!;
    const who = `variant${names.length > 1 ? "s" : ""} ${names.join(", ")}`;
    if (names.length < variants.length) problems.set(text, { ...problem, message: `${problem.message} (${who})` });
  }

  if (problems.size > 0) throw new SettingsError(document.file, [...problems.values()].sort(byPlace));
  const runId = hooks.runId ?? (({ variant, seed }: RunSettings) => `${variant}-s${seed}`);
  const runs = withSources(
    [...resolved].flatMap(([variant, { name, seeds, ...settings }]) =>
      seeds.map((seed) => ({ name: name ?? stem(document.file), variant, seed, ...settings })),
    ),
    runId,
  );
  return {
    name: runs[0]?.name ?? stem(document.file),
    runs: withTheirSources(runs, ({ variant }) => chosen.includes(variant), runId),
  };
}

/**
 * Validates merged settings.
 * @param partial - this is the top level of a file with variants: what is missing may come from them, and what is
 * impossible together may be replaced by them
 */
function resolve(
  tree: Tree,
  partial: boolean,
  registries: SettingsRegistries,
  hooks: SettingsHooks,
  elsewhere: Elsewhere,
): Resolved {
  const mistakes: Mistake[] = [];
  const take = <T>(checked: Checked<T>, at: Path = []): T | undefined => {
    if ("value" in checked) return checked.value;
    const counted = checked.mistakes.filter(({ message }) => !(partial && message.startsWith("missing")));
    mistakes.push(...counted.map((mistake) => ({ ...mistake, path: [...at, ...mistake.path] })));
    return undefined;
  };
  const named = <S extends z.ZodObject>(
    at: string[],
    kind: string,
    registry: Registry,
    common: S,
    fallback?: string,
  ) => {
    const value = valueAt(tree, at) ?? {};
    const unnamed = fallback !== undefined && isTree(value) && (value.name ?? null) === null;
    const setting = unnamed ? { ...value, name: fallback } : value;
    return take(checkNamed(kind, registry, common, setting, outside(at[0] ?? "", elsewhere)), at);
  };

  const plain = take(checkPlain(tree, elsewhere));
  const givenData = named(["data"], "dataset", registries.datasets, dataCommon) as DataSettings | undefined;
  const model = named(["model"], "model", registries.models, nothingCommon);
  const rule = named(["rule"], "rule", registries.rules, nothingCommon, "partitioned");
  const schedule = named(["schedule"], "schedule", registries.schedules, nothingCommon, "simultaneous");
  const optimizer = named(["optimizer"], "optimizer", registries.optimizers, optimizerCommon, "adam");
  const partition = take(checkPartition(tree.partition ?? 1), ["partition"]);
  take(checkObjectiveKeys(tree.objective ?? {}, registries, elsewhere), ["objective"]);
  const loss = named(["objective", "loss"], "loss", registries.losses, nothingCommon, "cross-entropy");
  const lossEntry = loss && registries.losses[loss.name];
  const usualHead = lossEntry?.heads?.[0] ?? "linear";
  const head = named(["objective", "head"], "head", registries.heads, nothingCommon, usualHead);
  const nhsic = take(checkNhsic(valueAt(tree, ["objective", "nhsic"]), elsewhere), ["objective", "nhsic"]);
  const reconstruction = take(checkReconstruction(valueAt(tree, ["objective", "reconstruction"]), elsewhere), [
    "objective",
    "reconstruction",
  ]);
  const context = take(checkContext(tree.context, elsewhere), ["context"]);
  const fusion = isTree(tree.context)
    ? named(["context", "fusion"], "fusion", registries.fusions, nothingCommon, "add")
    : undefined;
  const checkedObserve = take(checkObserve(registries.measures, tree.observe ?? {}, outside("observe", elsewhere)), [
    "observe",
  ]);
  const looked = givenData && lookAt(givenData, hooks);
  if (looked?.mistake) mistakes.push(looked.mistake);
  const data = looked?.mistake ? undefined : givenData;
  const sizes = looked?.sizes ?? null;
  const contents = looked?.contents ?? null;
  const filled = data && {
    ...data,
    ...(contents === null ? {} : { contents }),
    train: data.train ?? sizes?.train ?? null,
    test: data.test ?? sizes?.test ?? null,
    evaluationBatch: data.evaluationBatch ?? data.batch,
  };
  const shape = data ? (hooks.imageShape?.(data) ?? null) : null;
  const observe = checkedObserve && withUsual(checkedObserve, tree.observe, shape, registries);
  const separable = model === undefined ? true : (hooks.hasClassifier?.(model) ?? true);
  const classifies = lossEntry?.classifies ?? true;
  if (plain?.classifier !== undefined && plain.classifier !== "attached" && !separable && classifies) {
    const message = `${model?.name} has no classifier apart from its last stage, which gives the class scores; leave it out`;
    mistakes.push(mistakeAt(["classifier"], message));
  }
  const apart = !classifies || (partition === "stage" && separable);
  const classifier = plain && (plain.classifier ?? (apart ? "detached" : "attached"));
  if (!partial) {
    const given = (path: Path) => valueAt(tree, path) ?? null;
    const parts: ValidParts = {
      data: filled,
      model,
      rule,
      partition,
      classifier,
      schedule,
      loss,
      head,
      nhsic,
      observe,
      device: plain?.device,
      format: plain?.format,
      retrain: plain?.retrain,
      context,
      reconstruction,
      match: plain?.match,
      gradientCheckpointing: plain?.gradientCheckpointing,
      parallel: plain?.parallel,
      epochs: plain?.epochs,
      optimizer: optimizer as OptimizerSettings | undefined,
    };
    mistakes.push(...impossibleTogether(parts, sizes, registries, hooks));
    mistakes.push(...impossibleParts(parts, registries));
    mistakes.push(...meaninglessForRule(rule, registries, given));
  }
  if (mistakes.length > 0 || !plain || !filled || !model || !rule || !partition || !classifier) return { mistakes };
  if (!optimizer || !loss || !head || !observe || !schedule || nhsic === undefined) return { mistakes };
  if (reconstruction === undefined || context === undefined || (context && !fusion)) return { mistakes };
  const settings: VariantSettings = {
    ...plain,
    name: plain.name,
    data: filled,
    model,
    rule,
    partition,
    classifier,
    schedule,
    objective: {
      loss,
      head,
      nhsic,
      reconstruction: reconstruction && chosenWeights(reconstruction, publishedFor(model, filled, partition)),
    },
    context: context && { ...context, fusion: fusion! },
    optimizer: optimizer as OptimizerSettings,
    observe: withCounts(observe, filled),
  };
  return { settings, mistakes };
}

/** What only the data set itself can tell. */
interface Looked {
  readonly sizes: SplitSizes | null;
  readonly contents: string | null;
  /** Its own options name something that is not there, or the settings name other images than there are. */
  readonly mistake: Mistake | null;
}

function lookAt(data: DataSettings, hooks: SettingsHooks): Looked {
  try {
    const [sizes, contents] = [hooks.datasetSizes?.(data) ?? null, hooks.contents?.(data) ?? null];
    const expected = data.contents ?? contents;
    if (expected === contents) return { sizes, contents, mistake: null };
    const where = data.path === undefined ? "" : ` in ${data.path}`;
    const message = `the images${where} have changed since (contents ${contents}, expected ${expected}); leave it out to take them as they are`;
    return { sizes, contents, mistake: mistakeAt(["data", "contents"], message) };
  } catch (error) {
    const path = "path" in data ? ["data", "path"] : ["data"];
    return { sizes: null, contents: null, mistake: mistakeAt(path, (error as Error).message) };
  }
}

/**
 * With options that were not given as they usually are on such images.
 * @param written - `observe` as it was written
 * @param shape - `[C, H, W]` of the images; null where it is not known
 */
function withUsual(
  observe: RunSettings["observe"],
  written: unknown,
  shape: readonly number[] | null,
  { measures }: SettingsRegistries,
): RunSettings["observe"] {
  const sample = { images: null, dimensions: dimensionsOf(shape) };
  const filled = Object.entries(observe).map(([measure, settings]) => {
    const entry = measures[measure]!;
    const usual = Object.entries(entry.usual?.(optionsOf(entry, settings), sample) ?? {});
    const missing = usual.filter(([option]) => (valueAt(written, [measure, option]) ?? null) === null);
    return [measure, { ...settings, ...Object.fromEntries(missing) }];
  });
  return Object.fromEntries(filled);
}

/** Mini-batches and images that were not counted: 8 and 1000, or as many as the split holds. */
function withCounts(observe: RunSettings["observe"], data: DataSettings): RunSettings["observe"] {
  const filled = Object.entries(observe).map(([measure, settings]) => {
    const { batches, batch, images, split } = settings as unknown as SampleSettings & ImagesSettings;
    const held = data[split] ?? Number.POSITIVE_INFINITY;
    if (batches === null)
      return [measure, { ...settings, batches: Math.min(DEFAULT_BATCHES, Math.floor(held / batch)) }];
    if (images === null) return [measure, { ...settings, images: Math.min(DEFAULT_IMAGES, held) }];
    return [measure, settings]; // counted, or taken otherwise
  });
  return Object.fromEntries(filled);
}

/** Where a setting that is not known here does exist: `learningRate` at the top level → `optimizer.learningRate`. */
function settingsElsewhere(registries: SettingsRegistries): Elsewhere {
  const places = new Map<string, string>();
  const add = (section: string, keys: readonly string[]) => {
    for (const key of keys) if (!places.has(key)) places.set(key, `${section}${key}`);
  };
  const optionsIn = (registry: Registry) =>
    Object.values(registry).flatMap((entry) => Object.keys(entry.options.shape));
  add("", TOP_KEYS);
  add("optimizer.", [...Object.keys(optimizerCommon.shape), ...optionsIn(registries.optimizers)]);
  add("optimizer.schedule.", optionsIn(learningRateSchedules));
  add("data.", [...Object.keys(dataCommon.shape), ...optionsIn(registries.datasets)]);
  add("data.augment.", ["preset", "flip", "crop", "resizedCrop", "jitter", "grey", "views"]);
  add("model.", optionsIn(registries.models));
  add("objective.", OBJECTIVE_KEYS);
  add("context.", [...Object.keys(contextSchema.shape), "fusion"]);
  add("context.selection.", Object.keys(selectionOptions.shape));
  add("objective.reconstruction.", Object.keys(reconstructionSchema.shape));
  add("observe.", Object.keys(registries.measures));
  for (const [measure, entry] of Object.entries(registries.measures)) {
    add(`observe.${measure}.`, Object.keys({ ...observeOptions(entry).shape, ...entry.options.shape }));
  }
  return (key) => places.get(sameWord(key, places.keys()) ?? "");
}

/** By line and column; overrides and what has no line first. */
function byPlace(a: Problem, b: Problem): number {
  const order = ({ location }: Problem) => {
    const [, line, column] = /:(\d+):(\d+)$/.exec(location) ?? [];
    return [Number(line ?? -1), Number(column ?? -1)] as const;
  };
  const [lineA, columnA] = order(a);
  const [lineB, columnB] = order(b);
  return lineA - lineB || columnA - columnB;
}

/** `papers/demo/glyphs.yaml` → `glyphs`. */
function stem(file: string): string {
  const base = file.split(/[/\\]/).at(-1) ?? file;
  return base.replace(/\.[^.]+$/, "") || "experiment";
}
