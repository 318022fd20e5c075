// What a run is called, and when two runs are the same run. `compare` does not repeat a run whose hash is in the store.
import { createHash } from "node:crypto";
import type { ObserveSettings, RunSettings } from "./run-settings.js";

/** Part of every hash. Raise it when the same settings begin to give other numbers, so that old runs are done anew. */
const RESULTS_VERSION = 1;

/**
 * What decides a run's result and whose it is: every setting, the experiment's and the variant's name and the seed, except
 *
 * - `checkpoint`, `parallel`, `data.evaluationBatch`: speed and memory only,
 * - the number of the GPU: `cuda:1` is `cuda` (but `cpu` and `cuda` round differently).
 */
export function decidingSettings(run: RunSettings): Record<string, unknown> {
  const { checkpoint, parallel, data, device, ...deciding } = run;
  const { evaluationBatch, ...decidingData } = data;
  const all = { ...deciding, data: decidingData, device: device.replace(/:\d+$/, ""), resultsVersion: RESULTS_VERSION };
  return withoutLaterDefaults(all);
}

/** Settings that came later are left out where they say what was so before them: runs of before stay the same runs. */
function withoutLaterDefaults(
  all: Omit<RunSettings, "checkpoint" | "parallel" | "data"> & { data: object; resultsVersion: number },
) {
  const { schedule, format, retrain, objective, data, context, gradientCheckpointing, match, observe, ...rest } = all;
  const { nhsic, reconstruction, ...parts } = objective;
  const { augment, ...images } = data as Pick<RunSettings["data"], "augment">;
  const { flip, crop: given, ...views } = augment;
  const crop = given && (given.mode === "black" ? { padding: given.padding } : given);
  const isSet = ([, value]: [string, unknown]) => value !== null && value !== 0;
  return {
    ...rest,
    schedule: schedule.name === "simultaneous" ? schedule.name : schedule,
    ...(rest.classifier === "after" ? { format } : {}),
    ...set({ retrain, context, gradientCheckpointing, match }),
    objective: { ...parts, ...set({ nhsic, reconstruction }) },
    data: { ...images, augment: { flip, crop, ...Object.fromEntries(Object.entries(views).filter(isSet)) } },
    observe: Object.fromEntries(Object.entries(observe).map(([name, when]) => [name, withoutLaterOptions(name, when)])),
  };
}

/** Options that measures of before there were kernels to choose from have since, and what they say of those. */
const LATER_OPTIONS: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  nhsic: { kernel: "rbf", width: "scaled" },
  hsic: { kernel: "rbf", width: "scaled" },
};

function withoutLaterOptions(measure: string, when: ObserveSettings): Record<string, unknown> {
  const later = LATER_OPTIONS[measure] ?? {};
  return Object.fromEntries(Object.entries(when).filter(([key, value]) => later[key] !== value || value === undefined));
}

/** Without what is null. */
function set(settings: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== null));
}

/** SHA-256 over the canonical JSON of the deciding settings, 64 lower-case hexadecimal digits. */
export function settingsHash(run: RunSettings): string {
  return createHash("sha256")
    .update(canonicalJson(decidingSettings(run)))
    .digest("hex");
}

/** `<name>-<variant>-s<seed>-<first 8 digits of the hash>`; safe as a file name everywhere. */
export function runId(run: RunSettings): string {
  return `${slug(run.name)}-${slug(run.variant)}-s${run.seed}-${settingsHash(run).slice(0, 8)}`;
}

/**
 * JSON with keys in order and without undefined: equal data gives equal text.
 * @throws TypeError for what JSON cannot hold exactly (NaN, infinities, functions, ...)
 */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  if (typeof value === "object" && value !== null) {
    const entries = Object.entries(value).filter(([, inner]) => inner !== undefined);
    entries.sort(([a], [b]) => (a < b ? -1 : 1));
    return `{${entries.map(([key, inner]) => `${JSON.stringify(key)}:${canonicalJson(inner)}`).join(",")}}`;
  }
  const exact = value === null || typeof value === "string" || typeof value === "boolean" || Number.isFinite(value);
  if (!exact) throw new TypeError(`canonical JSON: expected plain finite data, got ${String(value)}`);
  return JSON.stringify(value);
}

/** Lower case, letters and digits with single hyphens between, at most 48 characters; `run` where nothing is left. */
export function slug(text: string): string {
  const plain = text
    .normalize("NFKD")
    .replace(/\p{M}/gu, "")
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .slice(0, 48);
  return plain.replace(/^-+|-+$/g, "") || "run";
}
