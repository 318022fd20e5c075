// Where variants that start from another run's weights get them: which variant, run or file, and which runs are trained
// for it.
import type { NamedSettings, RunSettings } from "./run-settings.js";
import { didYouMean } from "./suggest.js";
import { show } from "./tree.js";

/** What is asked of a variant here. */
type Variant = Pick<RunSettings, "retrain" | "model" | "data"> & { readonly seeds: readonly number[] };

/** Whether a variant starts from itself, by way of others. */
export function circleOf(variant: string, variants: ReadonlyMap<string, Variant>): string | null {
  const way = [variant];
  for (let at = variants.get(variant)?.retrain?.from; at !== undefined; at = variants.get(at)?.retrain?.from) {
    if (way.includes(at)) return `expected a variant that is trained before, got ${[...way, at].join(" → ")}`;
    way.push(at);
  }
  return null;
}

/** A run's id ends so; a checkpoint's name has a dot or a folder. */
const RUN_OR_FILE = /(-s\d+-[0-9a-f]{8}$)|[./\\]/;

/** Why a variant cannot start from another, as far as the file tells. */
export function sourceMistake(variant: string, variants: ReadonlyMap<string, Variant>): string | null {
  const { retrain, seeds, model, data } = variants.get(variant)!;
  const from = retrain!.from;
  const source = variants.get(from);
  if (!source) {
    if (RUN_OR_FILE.test(from)) return null;
    const others = [...variants.keys()].filter((name) => name !== variant);
    const known = others.length > 0 ? ` (known: ${others.join(", ")})` : "";
    return `unknown variant: ${from}${known}${didYouMean(from, others)}; or give a run's id or a checkpoint file`;
  }
  const missing = seeds.filter((seed) => !source.seeds.includes(seed));
  if (missing.length > 0)
    return `${from} is not trained with seed ${missing.join(", ")}; its seeds are ${source.seeds.join(", ")}`;
  const [mine, its] = [describeNetwork(model), describeNetwork(source.model)];
  if (mine === its && data.name === source.data.name) return null;
  return `${from} is another network: ${its} on ${source.data.name}, and this is ${mine} on ${data.name}`;
}

/** `mlp, width 8`; dropout has no weights. */
function describeNetwork({ name, dropout: _, ...options }: NamedSettings): string {
  return [
    name,
    ...Object.entries(options)
      .sort()
      .map(([key, value]) => `${key} ${show(value)}`),
  ].join(", ");
}

/** Chosen runs, and those that they start from, after them. */
export function withTheirSources(
  runs: readonly RunSettings[],
  isChosen: (run: RunSettings) => boolean,
  runId: (run: RunSettings) => string,
): RunSettings[] {
  const byId = new Map(runs.map((run) => [runId(run), run]));
  const wanted = new Set(runs.filter(isChosen));
  for (const run of wanted) {
    const source = byId.get(run.retrain?.from ?? "");
    if (source) wanted.add(source);
  }
  return [...wanted];
}

/** Runs that start from a variant of the file start from its run of the same seed: its id, which says all its settings. */
export function withSources(runs: readonly RunSettings[], runId: (run: RunSettings) => string): RunSettings[] {
  const found = new Map<RunSettings, RunSettings>();
  const resolve = (run: RunSettings): RunSettings => {
    const { retrain } = run;
    if (!retrain) return run;
    const done = found.get(run);
    if (done) return done;
    const source = runs.find(({ variant, seed }) => variant === retrain.from && seed === run.seed);
    const resolved = source ? { ...run, retrain: { ...retrain, from: runId(resolve(source)) } } : run;
    found.set(run, resolved);
    return resolved;
  };
  return runs.map(resolve);
}
