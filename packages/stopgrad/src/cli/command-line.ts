// Which command repeats a run, and where a run comes from.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { settingsHash } from "../experiment/identity.js";
import { loadDocument } from "../experiment/load.js";
import { SettingsError } from "../experiment/problems.js";
import { settingsSchema } from "../experiment/registries.js";
import type { RunSettings } from "../experiment/run-settings.js";
import type { RunOrigin } from "../store/index.js";
import { shellQuote } from "./shell.js";

/**
 * The command that repeats one run of a file: the same file and overrides, this variant and this seed. Overrides that
 * another variant needed and this one has its own setting for are left out, since they would be refused.
 *
 * @param options - `dataDir` where one was named on the command line
 */
export function trainCommand(
  file: string,
  overrides: readonly string[],
  options: { readonly dataDir?: string } = {},
): (settings: RunSettings) => string {
  const document = loadDocument(file);
  const own = overrides.filter((override) => !/^\s*(\+\+|\+|~)?\s*seeds\s*(=|$)/.test(override));
  const named = file.startsWith("-") ? `./${file}` : file;
  /** The runs of these overrides, or the places of the mistakes in them. */
  const expand = (overrides: readonly string[], variant?: string): readonly RunSettings[] | { mistakes: string[] } => {
    try {
      return settingsSchema.expand(document, { overrides, ...(variant === undefined ? {} : { variant }) }).runs;
    } catch (error) {
      if (error instanceof SettingsError) return { mistakes: error.problems.map(({ location }) => location) };
      throw error;
    }
  };
  return (settings) => {
    const { variant, seed } = settings;
    const gives = (given: readonly string[]) => {
      const runs = expand(given, variant);
      const own = "mistakes" in runs ? [] : runs.filter((run) => run.variant === variant); // and what it starts from
      return own.length === 1 && settingsHash(own[0]!) === settingsHash(settings);
    };
    const alone = expand(own, variant);
    const heard =
      "mistakes" in alone ? own.filter((override) => !alone.mistakes.includes(`override ${override}`)) : own;
    // A variant may have seeds of its own, which seeds of the top level do not change.
    const seeds = [`seeds=[${seed}]`, `variants.${variant}.seeds=[${seed}]`];
    const found = seeds.map((last) => [...heard, last]).find(gives) ?? [...heard, seeds[0]!];
    const without = expand(found);
    const isOnly = variant === "default" && !("mistakes" in without) && without.length === 1;
    const choice = isOnly ? [] : ["--variant", variant];
    const data = options.dataDir === undefined ? [] : ["--data-dir", options.dataDir];
    return ["stopgrad", "train", named, ...choice, ...data, ...found].map(shellQuote).join(" ");
  };
}

/** Where the runs of this command come from. @param file - the experiment file as named on the command line */
export function originOf(file: string): RunOrigin {
  const bytes = readFileSync(file);
  return {
    folder: process.cwd(),
    given: ["stopgrad", ...process.argv.slice(2)].map(shellQuote).join(" "),
    experiment: {
      file,
      hash: createHash("sha256").update(bytes).digest("hex"),
      text: new TextDecoder().decode(bytes),
    },
  };
}
