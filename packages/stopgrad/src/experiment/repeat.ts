// From a recorded run back to an experiment file that gives this run and no other.
import { stringify } from "yaml";
import type { RunSettings } from "./run-settings.js";
import type { Tree } from "./tree.js";

/** Every setting of a run in the form of an experiment file; validating it gives the same run, with the same hash. */
export function experimentOf({ name, variant, seed, ...settings }: RunSettings): Tree {
  const { objective, gradientCheckpointing } = settings;
  const reconstruction = objective.reconstruction && { weights: objective.reconstruction };
  const file = {
    name,
    seeds: [seed],
    ...settings,
    objective: { ...objective, reconstruction },
    gradientCheckpointing: gradientCheckpointing === "square-root" ? true : gradientCheckpointing,
  };
  return variant === "default" ? file : { ...file, variants: { [variant]: {} } };
}

/** The same as the text of a file. @param remarks - lines to stand above it, as comments */
export function experimentText(settings: RunSettings, remarks: readonly string[] = []): string {
  return (
    remarks.map((line) => `# ${line}\n`).join("") + stringify(experimentOf(settings), { aliasDuplicateObjects: false })
  );
}
