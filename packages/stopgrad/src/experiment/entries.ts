// Settings that name a registry entry: `{ name: lenet5, ...options }`, and the measures under `observe`. The options
// are validated by the entry's own zod schema, so that a new entry needs no change here.
import type { z } from "zod";
import type { Registry, RegistryEntry } from "../registry.js";
import { type Checked, checkMap, type Elsewhere, type Mistake, mistakeAt } from "./check.js";
import {
  imagesCommon,
  type NamedSettings,
  type ObserveSettings,
  observeCommon,
  optionsOf,
  sampleCommon,
} from "./run-settings.js";
import { didYouMean, nearest } from "./suggest.js";
import { isTree, show, type Tree } from "./tree.js";

/**
 * `{ name, ...options }` against the entry of that name.
 * @param kind - as messages call it: `model`
 * @param common - options that every entry of this registry takes beside its own
 */
export function checkNamed<S extends z.ZodObject>(
  kind: string,
  registry: Registry,
  common: S,
  setting: unknown,
  elsewhere: Elsewhere,
): Checked<NamedSettings & z.output<S>> {
  const wanted = `the name of ${/^[aeiou]/.test(kind) ? "an" : "a"} ${kind} (known: ${Object.keys(registry).join(", ")})`;
  if (!isTree(setting)) return { mistakes: [mistakeAt([], `expected ${wanted}, got ${show(setting)}`)] };
  const { name, ...options } = setting;
  if (name === undefined || name === null) {
    // Without a name its options mean nothing yet; a misspelt `name` is worth naming all the same.
    const misspelt = Object.keys(options).filter((key) => nearest(key, ["name"]) !== undefined);
    return {
      mistakes: [
        ...misspelt.map((key) => mistakeAt([key], "unknown key; did you mean name?", "key")),
        mistakeAt(Object.keys(options).length === 0 ? [] : ["name"], `missing; expected ${wanted}`),
      ],
    };
  }
  if (typeof name !== "string") return { mistakes: [mistakeAt(["name"], `expected ${wanted}, got ${show(name)}`)] };
  const entry = entryOf(registry, name);
  if (entry === undefined) return { mistakes: [mistakeAt(["name"], unknownName(kind, name, registry))] };
  const result = checkOptions(entry, common, options, elsewhere, ["name"]);
  return "mistakes" in result ? result : { value: { ...result.value, name } as NamedSettings & z.output<S> };
}

/**
 * A measure's place in the registry; `sampled` unless it says otherwise: it is a mean over mini-batches. Of kind `sample`
 * it looks at a set of images at once.
 */
export type MeasureEntry = RegistryEntry & { readonly sampled?: boolean; readonly kind?: string };

/** What every measure takes beside its own options. */
export function observeOptions(entry: MeasureEntry): z.ZodObject {
  if (entry.kind === "sample") return observeCommon.extend(imagesCommon.shape);
  return (entry.sampled ?? true) ? observeCommon.extend(sampleCommon.shape) : observeCommon;
}

/** `observe`: measure → when and how. Null takes a measure away. */
export function checkObserve(
  measures: Registry<MeasureEntry>,
  observe: unknown,
  elsewhere: Elsewhere,
): Checked<Record<string, ObserveSettings>> {
  if (!isTree(observe)) return { mistakes: [mistakeAt([], `expected a map of measures, got ${show(observe)}`)] };
  const mistakes: Mistake[] = [];
  const checked: [string, ObserveSettings][] = [];
  for (const [measure, setting] of Object.entries(observe)) {
    if (setting === null) continue;
    const entry = entryOf(measures, measure);
    if (entry === undefined) {
      mistakes.push(mistakeAt([measure], unknownName("measure", measure, measures), "key"));
    } else if (!isTree(setting)) {
      mistakes.push(mistakeAt([measure], `expected true or a map of options, got ${show(setting)}`));
    } else {
      const result = checkOptions(entry, observeOptions(entry), setting, elsewhere);
      const found = "mistakes" in result ? result.mistakes : whenMistakes(setting);
      mistakes.push(...found.map((m) => ({ ...m, path: [measure, ...m.path] })));
      if ("value" in result) checked.push([measure, withOneTime(result.value as unknown as ObserveSettings, setting)]);
    }
  }
  return mistakes.length > 0 ? { mistakes } : { value: Object.fromEntries(checked) };
}

function isSet(setting: Tree, key: string): boolean {
  return setting[key] !== undefined && setting[key] !== null;
}

function whenMistakes(setting: Tree): Mistake[] {
  if (isSet(setting, "every") && isSet(setting, "at"))
    return [mistakeAt(["at"], "expected either every or at, got both")];
  if (isSet(setting, "at") && setting.firstEpoch === true) {
    return [mistakeAt(["firstEpoch"], "a measure taken at the end has no first epoch; use every instead of at")];
  }
  return [];
}

/** Leaves `every` or `at`: what the file says, else the measure's default, else every epoch. */
function withOneTime({ every, at, ...rest }: ObserveSettings, setting: Tree): ObserveSettings {
  const atEnd = isSet(setting, "at") || (at !== undefined && !isSet(setting, "every"));
  return atEnd ? { ...rest, at: "end" } : { ...rest, every: every ?? 1 };
}

/** Own entries only: `constructor` is not the name of a model. */
function entryOf(registry: Registry, name: string): RegistryEntry | undefined {
  return Object.hasOwn(registry, name) ? registry[name] : undefined;
}

function unknownName(kind: string, name: string, registry: Registry): string {
  const known = Object.keys(registry);
  return `unknown ${kind}: ${name} (known: ${known.join(", ")})${didYouMean(name, known)}`;
}

/** Options against the entry's own schema, and the common ones; where both know a key, the entry's word holds. */
function checkOptions(
  entry: RegistryEntry,
  common: z.ZodObject,
  settings: Tree,
  elsewhere: Elsewhere,
  also: readonly string[] = [],
): Checked<Tree> {
  const isCommon = (key: string) => Object.hasOwn(common.shape, key) && !Object.hasOwn(entry.options.shape, key);
  const commonKeys = Object.keys(common.shape).filter(isCommon);
  const shared = common.omit(maskOf(Object.keys(common.shape).filter((key) => !isCommon(key))));
  const results = [
    checkMap(shared, Object.fromEntries(Object.entries(settings).filter(([key]) => isCommon(key))), elsewhere),
    checkMap(entry.options, settings, elsewhere, [...commonKeys, ...also]),
  ] as const;
  const [fromCommon, fromEntry] = results;
  if ("mistakes" in fromCommon || "mistakes" in fromEntry) {
    return { mistakes: results.flatMap((result) => ("mistakes" in result ? result.mistakes : [])) };
  }
  return { value: { ...fromCommon.value, ...optionsOf(entry, fromEntry.value) } };
}

function maskOf(keys: readonly string[]): Record<string, true> & Record<number, never> {
  return Object.fromEntries(keys.map((key) => [key, true as const])) as Record<string, true> & Record<number, never>;
}
