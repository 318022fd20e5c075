// `stopgrad reproduce`: a table or figure of a paper at a chosen scale, found beside published, and the verdict on its
// claim. Its runs are those of `compare` on the item's experiment files: what is done is not done again.
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { plan, type RunOutcome } from "../experiment/runner.js";
import { writeReport } from "../report/index.js";
import {
  Found,
  findItem,
  findPaper,
  findParts,
  findScale,
  hoursAt,
  type Item,
  judge,
  overridesAt,
  type Paper,
  type Part,
  papers,
  partFile,
  type Reproduction,
  recordedResults,
  renderReproduction,
  reproductionDocument,
  reproductionHtml,
  reproductionMarkdown,
  type Scale,
  scales,
  UnknownNameError,
} from "../reproduce/index.js";
import type { Store } from "../store/index.js";
import { writeWhole } from "../write-whole.js";
import { originOf, trainCommand } from "./command-line.js";
import { describeError, exitCodes, note, print, printJson, runsDirectory, UsageError, WorkError } from "./context.js";
import { runDocument } from "./documents.js";
import { commandToGoOn, type ExecuteOptions, execute, readExperiment, requireData, withStore } from "./execute.js";
import { reportRuns } from "./report-runs.js";
import { shellQuote } from "./shell.js";

export interface ReproduceOptions extends ExecuteOptions {
  list?: boolean;
  scale?: string;
  /** Only these parts of the item. */
  part?: string[];
  out?: string;
}

/** Without an item, or with `list`, it lists what there is. */
export async function reproduce(
  paperName: string | undefined,
  itemName: string | undefined,
  overrides: readonly string[],
  options: ReproduceOptions,
): Promise<void> {
  const paper = paperName === undefined ? undefined : asked(() => findPaper(paperName));
  if (options.list || paper === undefined || itemName === undefined) {
    if (itemName !== undefined) throw new UsageError("--list shows everything; it takes no table or figure");
    list(paper === undefined ? papers : [paper], options);
    return;
  }
  const named = asked(() => findItem(paper, itemName));
  const parts = options.part === undefined ? named.parts : asked(() => findParts(named.item, options.part ?? []));
  const scale = asked(() => findScale(options.scale ?? "small"));
  await train({ paper, item: named.item, parts, scale }, overrides, options);
}

interface Asked {
  readonly paper: Paper;
  readonly item: Item;
  readonly parts: readonly Part[];
  readonly scale: Scale;
}

async function train(what: Asked, given: readonly string[], options: ReproduceOptions): Promise<void> {
  const { paper, item, scale } = what;
  // Every file is checked before any trains, and whether its data set is there.
  const files = what.parts.map((part) => {
    const file = partFile(paper, part);
    const overrides = [...overridesAt(part, scale), ...given];
    return { part, file, overrides, experiment: readExperiment(file, overrides) };
  });
  await withStore(options, async (store) => {
    for (const { part, experiment } of files) {
      const planned = plan(experiment.runs, store, options.fresh);
      await requireData(planned, options, "all").catch((error: Error) => {
        if (files.length === 1) throw error;
        const others = files.filter((file) => file.part !== part).map((file) => file.part.id);
        throw new WorkError(`${error.message}; without ${part.id}: --part ${others.join(" ")}`);
      });
    }
    const outcomes: { part: string; outcome: RunOutcome }[] = [];
    for (const { part, file, overrides, experiment } of files) {
      const runs = experiment.runs.toSorted((a, b) => a.seed - b.seed);
      if (files.length > 1) note(`${item.id}, ${part.id}:`);
      const executed = await execute(runs, trainCommand(file, overrides, options), options, store, originOf(file));
      outcomes.push(...executed.outcomes.map((outcome) => ({ part: part.id, outcome })));
      if (!executed.interrupted) continue;
      note(`interrupted; to go on from the checkpoints: ${commandToGoOn()}`);
      process.exitCode = exitCodes.interrupted;
      if (options.json) printJson({ paper: paper.id, item: item.id, scale, verdict: null, report: null });
      return;
    }
    const variants = new Map(
      files.map(({ part, experiment }) => [part.id, [...new Set(experiment.runs.map(({ variant }) => variant))]]),
    );
    await conclude(what, variants, outcomes, given, options, store);
  });
}

/** Report, verdict, and what failed. */
async function conclude(
  what: Asked,
  variants: ReadonlyMap<string, readonly string[]>,
  outcomes: readonly { part: string; outcome: RunOutcome }[],
  given: readonly string[],
  options: ReproduceOptions,
  store: Store,
): Promise<void> {
  const runs = outcomes.map(({ part, outcome }) => {
    const [run] = reportRuns([outcome.record.id], store);
    return { part, run: run! };
  });
  const reproduction = judge(what, variants, new Found(runs), given);
  const { item, scale, paper } = what;
  const folder = resolve(options.out ?? join(runsDirectory(options), "reports", `${paper.id}-${item.id}-${scale}`));
  const command = ["stopgrad", ...process.argv.slice(2)].map(shellQuote).join(" ");
  const title = `${item.title} (${paper.source}, ${item.id}, scale ${scale})`;
  const reported = runs.map(({ run }) => run);
  // The verdict is there whether or not the report can be written.
  const { html, problem } = await writeReport(folder, reported, {
    title,
    command,
    preface: reproductionHtml(reproduction),
  }).then(
    ({ html }) => ({ html, problem: writeVerdict(folder, reproduction) }),
    (error: unknown) => ({ html: null, problem: describeError(error) }),
  );
  const failed = outcomes.filter(({ outcome }) => outcome.record.status !== "completed");
  if (options.json) {
    printJson({
      ...reproductionDocument(reproduction),
      runs: outcomes.map(({ part, outcome }) => ({ part, ...runDocument(outcome.record, outcome.problem) })),
      report: html,
      ...(problem === null ? {} : { error: `the report in ${folder} cannot be written: ${problem.message}` }),
    });
  } else {
    print(`\n${renderReproduction(reproduction, { bold: process.stdout.isTTY })}`);
    if (html !== null) print(`\nreport:  ${html}\n         ${pathToFileURL(html)}`);
    if (html !== null && problem === null) print(`verdict: ${join(folder, "reproduction.md")}`);
  }
  if (problem !== null) {
    note(`the report in ${folder} cannot be written: ${problem.trace ?? problem.message}`);
    process.exitCode = exitCodes.failure;
  }
  if (failed.length > 0) {
    for (const { outcome } of failed) note(`${outcome.record.id}: ${outcome.problem ?? outcome.record.status}`);
    note(`${failed.length} of ${outcomes.length} runs failed; to do only what is missing: ${commandToGoOn()}`);
    process.exitCode = exitCodes.failure;
  }
}

/** `reproduction.json` and `reproduction.md` beside the report. Returns why they cannot be written, or null. */
function writeVerdict(folder: string, reproduction: Reproduction): ReturnType<typeof describeError> | null {
  try {
    const document = JSON.stringify(reproductionDocument(reproduction), null, 2);
    writeWhole(join(folder, "reproduction.json"), `${document}\n`);
    writeWhole(join(folder, "reproduction.md"), reproductionMarkdown(reproduction));
    return null;
  } catch (error) {
    return describeError(error);
  }
}

function list(chosen: readonly Paper[], options: ReproduceOptions): void {
  if (options.json) {
    printJson({
      papers: chosen.map((paper) => ({
        id: paper.id,
        title: paper.title,
        source: paper.source,
        items: paper.items.map((item) => ({
          id: item.id,
          aliases: Object.keys(item.aliases ?? {}),
          title: item.title,
          claim: item.claim,
          parts: item.parts.map(({ id, file }) => ({ id, file })),
          scales: scales.map((scale) => ({ name: scale, hours: hoursAt(item, scale) })),
          recorded: recordedResults(paper, item),
        })),
      })),
    });
    return;
  }
  for (const paper of chosen) {
    print(`${paper.id}\n  ${paper.title} (${paper.source})\n`);
    for (const item of paper.items) {
      const others = Object.keys(item.aliases ?? {});
      const times = scales.map((scale) => `${scale} ${duration(hoursAt(item, scale))}`).join(", ");
      const parts = item.parts.length > 1 ? [`parts: ${item.parts.map(({ id }) => id).join(", ")}`] : [];
      const recorded = recordedResults(paper, item);
      print(`  ${[item.id, ...others].join(", ")}: ${item.title}`);
      for (const line of [
        `claim: ${item.claim}`,
        ...parts,
        `time on two processors: ${times}`,
        `recorded: ${recorded.join(", ") || "nothing yet"}`,
      ]) {
        print(`    ${line}`);
      }
    }
  }
  print(`\nstopgrad reproduce ${chosen[0]?.id} ITEM --scale small runs one (scales: ${scales.join(", ")})`);
}

/** `about 1 min`, `about 45 min`, `about 8 h`, `about 60 days`. */
function duration(hours: number): string {
  if (hours < 1) return `about ${Math.max(1, Math.round(60 * hours))} min`;
  return hours < 72 ? `about ${Math.round(hours)} h` : `about ${Math.round(hours / 24)} days`;
}

function asked<T>(find: () => T): T {
  try {
    return find();
  } catch (error) {
    if (error instanceof UnknownNameError) throw new UsageError(error.message);
    throw error;
  }
}
