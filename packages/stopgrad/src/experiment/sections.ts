// The sections of an experiment file that are no single registry entry, each checked by itself: what is wrong in it, or
// its values with defaults filled in.
import type { z } from "zod";
import { parseContextCode } from "../contexts/code.js";
import { type Checked, checkMap, type Elsewhere, type Mistake, mistakeAt, outside, unknownKey } from "./check.js";
import { type Partition, parsePartition } from "./partition.js";
import type { WrittenReconstruction } from "./reconstruction.js";
import {
  type ContextSettings,
  contextSchema,
  type NhsicSettings,
  nhsicSchema,
  plainSettings,
  reconstructionSchema,
} from "./run-settings.js";
import type { SettingsRegistries } from "./settings-hooks.js";
import { isTree, show, type Tree, withoutKey } from "./tree.js";

/** The settings that name no registry entry. */
export function checkPlain(tree: Tree, elsewhere: Elsewhere): Checked<z.output<typeof plainSettings>> {
  const mine = Object.fromEntries(Object.entries(tree).filter(([key]) => Object.hasOwn(plainSettings.shape, key)));
  return checkMap(plainSettings, mine, elsewhere);
}

export function checkPartition(value: unknown): Checked<Partition> {
  const partition = parsePartition(value);
  if (typeof partition !== "object" || !("mistakes" in partition)) return { value: partition };
  return { mistakes: partition.mistakes.map(({ at, message }) => mistakeAt(at, message)) };
}

/** `context`: a code that was written out, a map, or nothing. */
export function checkContext(value: unknown, elsewhere: Elsewhere): Checked<Omit<ContextSettings, "fusion"> | null> {
  if (value === undefined || value === null) return { value: null };
  if (!isTree(value)) {
    const example = "none, a code such as R1E, or a map such as { fromInput: true, previousModules: 1 }";
    return { mistakes: [mistakeAt([], `expected ${example}, got ${show(value)}`)] };
  }
  const { fusion: _, ...mine } = value;
  const code = misplacedCode(value);
  const checked = checkMap(contextSchema, code ? withoutKey(mine, "name") : mine, outside("context", elsewhere), [
    "fusion",
  ]);
  const mistakes = [...(code ? [code] : []), ...("mistakes" in checked ? checked.mistakes : [])];
  if (mistakes.length > 0 || "mistakes" in checked) return { mistakes };
  const { fromInput, previousModules } = checked.value;
  if (fromInput || previousModules > 0) return checked;
  const written = Object.keys(value).filter((key) => value[key] !== null);
  const isNone = written.length > 0 && written.every((key) => CONTEXT_SOURCES.includes(key));
  if (isNone) return { value: null };
  const expected = "a source: say fromInput: true or previousModules: 1, or context: none";
  return { mistakes: [mistakeAt([], `missing; expected ${expected}`)] };
}

const CONTEXT_SOURCES = ["fromInput", "previousModules"];

/** A code that stands as a context's name. */
function misplacedCode({ name, ...beside }: Tree): Mistake | undefined {
  const topology = typeof name === "string" ? parseContextCode(name) : undefined;
  if (topology === undefined) return undefined;
  const { fromInput, previousModules } = topology ?? { fromInput: false, previousModules: 0 };
  const isAlone = Object.values(beside).every((value) => value === null);
  const right = isAlone ? `context: ${name}` : `fromInput: ${fromInput}, previousModules: ${previousModules} instead`;
  return mistakeAt(["name"], `unknown key; write ${right}`, "key");
}

/** `objective.reconstruction`: a map or nothing, short forms written out. */
export function checkReconstruction(value: unknown, elsewhere: Elsewhere): Checked<WrittenReconstruction | null> {
  if (value === undefined || value === null) return { value: null };
  if (!isTree(value)) {
    const example = "a map such as { decoder: true, weights: published }";
    return { mistakes: [mistakeAt([], `expected ${example}, got ${show(value)}`)] };
  }
  const checked = checkMap(reconstructionSchema, value, outside("objective", elsewhere));
  if ("mistakes" in checked) return checked;
  return { value: checked.value.decoder ? checked.value : null };
}

export function checkObjectiveKeys(
  objective: unknown,
  registries: SettingsRegistries,
  elsewhere: Elsewhere,
): Checked<Tree> {
  if (!isTree(objective)) {
    return {
      mistakes: [mistakeAt([], `expected a map with the keys ${OBJECTIVE_KEYS.join(", ")}, got ${show(objective)}`)],
    };
  }
  const unknown = Object.keys(objective).filter((key) => !OBJECTIVE_KEYS.includes(key));
  if (unknown.length === 0) return { value: objective };
  /** Options of the loss or the head that stand one level too high. */
  const below = (key: string): Mistake | undefined => {
    for (const part of ["loss", "head"] as const) {
      const { [part]: value } = objective;
      const name = isTree(value) ? value.name : value;
      const registry = part === "loss" ? registries.losses : registries.heads;
      const entry = typeof name === "string" && Object.hasOwn(registry, name) ? registry[name] : undefined;
      if (entry && Object.hasOwn(entry.options.shape, key)) {
        const written = `${part}: { name: ${name}, ${key}: ${show(objective[key])} }`;
        return mistakeAt([key], `options of a ${part} stand beside its name; write ${written}`, "key");
      }
    }
    return undefined;
  };
  return { mistakes: unknown.map((key) => below(key) ?? unknownKey([key], OBJECTIVE_KEYS, elsewhere)) };
}

export const OBJECTIVE_KEYS = ["loss", "head", "nhsic", "reconstruction"];

/** `objective.nhsic`: a map, or nothing. */
export function checkNhsic(value: unknown, elsewhere: Elsewhere): Checked<NhsicSettings | null> {
  if (value === undefined || value === null || value === false) return { value: null };
  if (isTree(value)) return checkMap(nhsicSchema, value, outside("objective", elsewhere));
  const example = "a map such as { weight: 0.1, with: input }";
  return { mistakes: [mistakeAt([], `expected ${example}, got ${show(value)}`)] };
}
