// A run in full, as text for people: what came out, how to repeat it, on what it ran, every setting.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { Document, isScalar } from "yaml";
import type { MetricPoint, RunEnvironment, RunOrigin, RunRecord, RunSummary } from "../store/index.js";
import { duration } from "./progress.js";
import { shellQuote } from "./shell.js";

/** Lines. @param folder - what `--runs` says, for the commands that are shown; undefined where it is not given */
export function describeRun(record: RunRecord, metrics: readonly MetricPoint[], folder?: string): string[] {
  const { summary, environment, origin } = record;
  const facts: [string, string | null][] = [
    ["status", record.error === null ? record.status : `${record.status}: ${record.error}`],
    ["experiment", `${record.name}, variant ${record.variant}, seed ${record.seed}`],
    ["begun", record.createdAt],
    ["ended", record.finishedAt],
    ...(summary
      ? ([
          ["test accuracy", `${percent(summary.testAccuracy)} (epoch ${summary.epochs})`],
          ["train accuracy", percent(summary.trainAccuracy)],
          ["training", `${duration(summary.seconds)}, ${Math.round(summary.imagesPerSecond)} images/s`],
          [
            "first step",
            summary.secondsToFirstStep == null ? null : `after ${summary.secondsToFirstStep.toFixed(2)} s`,
          ],
          ["peak memory", mebibytes(summary.peakBytes)],
          ["parameters", countsOf(summary.parameters)],
          ["multiply-adds", summary.cost ? multiplyAdds(summary.cost) : null],
        ] as [string, string | null][])
      : []),
    ["width", matchedWidth(record)],
    ["metrics", describeMetrics(metrics)],
  ];
  return [
    record.id,
    ...indented(facts),
    "",
    "repeated by",
    ...indented(repeatedBy(record, folder)),
    ...(origin ? ["", "begun by", ...indented(originFacts(origin))] : []),
    ...(environment ? ["", "ran on", ...indented(environmentFacts(environment))] : []),
    "",
    `settings (hash ${record.settingsHash})`,
    ...settingsText(record)
      .trimEnd()
      .split("\n")
      .map((line) => `  ${line}`),
  ];
}

/** The command that was given where its file is still what it was, and always one that needs no file. */
function repeatedBy({ id, command, origin }: RunRecord, folder: string | undefined): [string, string | null][] {
  const here = folder === undefined ? "" : ` --runs ${shellQuote(folder)}`;
  const alone = `stopgrad runs ${shellQuote(id)}${here} --yaml > run.yaml && stopgrad train run.yaml`;
  const changed = origin?.experiment ? nowDifferent(origin.folder, origin.experiment) !== "" : false;
  if (changed) return [["command", alone]];
  return [
    ["command", command],
    ["in", origin?.folder ?? null],
    ["or alone by", alone],
  ];
}

/** The width of a network that is widened to cost what another does; null where none is. */
function matchedWidth({ settings, summary }: RunRecord): string | null {
  if ((settings.match ?? null) === null) return null;
  const found = summary?.matchedWidth;
  if (found === undefined) return `known when the run is completed (match: ${settings.match})`;
  return `${found}, found by match: ${settings.match}`;
}

/** The settings as they were given, which is what identifies and repeats the run; a width that is not the network's says so. */
function settingsText({ settings, summary }: RunRecord): string {
  const document = new Document(settings);
  const width = document.getIn(["model", "width"], true);
  if ((settings.match ?? null) !== null && isScalar(width)) {
    const found = summary?.matchedWidth;
    width.comment = found === undefined ? " as given; match finds another" : ` as given; match found ${found}`;
  }
  return document.toString();
}

function originFacts({ folder, given, experiment }: RunOrigin): [string, string | null][] {
  return [
    ["command", given],
    ["file", experiment && `${experiment.file}${nowDifferent(folder, experiment)}`],
    ["its SHA-256", experiment?.hash ?? null],
  ];
}

/** Whether the file still holds what it did. */
function nowDifferent(folder: string, { file, hash }: NonNullable<RunOrigin["experiment"]>): string {
  try {
    const now = createHash("sha256")
      .update(readFileSync(resolve(folder, file)))
      .digest("hex");
    return now === hash ? "" : " (it has changed since; --json prints it as it was)";
  } catch {
    return " (it is not there now; --json prints it as it was)";
  }
}

function environmentFacts(environment: RunEnvironment): [string, string | null][] {
  const { instructionSets, processors, memoryBytes, precision } = environment;
  return [
    ["stopgrad", environment.stopgrad],
    ["libtorch", `${environment.libtorch}, BLAS ${environment.blas}`],
    ["Node", environment.node],
    ["device", precision ? `${environment.device}, ${precision}` : environment.device],
    ["threads", processors ? `${environment.threads} of ${processors} processors` : String(environment.threads)],
    ["CPU", environment.cpu],
    ["its sets", instructionSets?.join(" ") || null],
    ["memory", memoryBytes ? `${(memoryBytes / 2 ** 30).toFixed(1)} GiB` : null],
    ["system", environment.os ? `${environment.os} (${environment.platform})` : environment.platform],
    ["git commit", environment.commit ?? "none: outside a repository"],
  ];
}

/** `1234 values of 12 kinds, last at step 782`. */
function describeMetrics(metrics: readonly MetricPoint[]): string {
  const last = metrics.at(-1);
  if (last === undefined) return "none";
  const kinds = new Set(metrics.map(({ key }) => key));
  return `${metrics.length} values of ${kinds.size} kinds, the last at step ${last.step}`;
}

/** Names in one column, what is known in another. */
function indented(facts: readonly (readonly [string, string | null])[]): string[] {
  const known = facts.filter((fact): fact is [string, string] => fact[1] !== null);
  const width = Math.max(...known.map(([name]) => name.length));
  return known.map(([name, value]) => `  ${name.padEnd(width)}  ${value}`);
}

/** Of each kind of network. */
function countsOf({ backbone, heads, contexts }: RunSummary["parameters"]): string {
  return `${backbone} backbone${contexts ? ` + ${contexts} contexts` : ""} + ${heads} heads`;
}

function percent(fraction: number): string {
  return `${(fraction * 100).toFixed(2)} %`;
}

function mebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}

/** For one image. */
function multiplyAdds({ inference, training }: NonNullable<RunSummary["cost"]>): string {
  const extras = inference.extras > 0 ? ` + ${inference.extras}` : "";
  return `${inference.backbone}${extras} an image at inference, ${Math.round(training)} in training`;
}
