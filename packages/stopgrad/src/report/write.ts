// A report on disk: report.html, and each table and chart as a file of its own for papers and further work.
import { createHash } from "node:crypto";
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { slug } from "../experiment/identity.js";
import { makeFolder } from "../folders.js";
import { writeWhole } from "../write-whole.js";
import { chartNames, overEpochs } from "./charts/index.js";
import type { ReportRun } from "./comparison.js";
import { buildReport, type ReportOptions } from "./html.js";
import { renderCsv, renderMarkdown } from "./table.js";
import { seriesName, tableNames } from "./tables/index.js";

/**
 * The folder name for an experiment's report, safe on every file system: the name itself where it is its own slug,
 * else the slug and the first 8 hexadecimal digits of the exact name's SHA-256, so that names which only differ in
 * what a slug drops (`实验一` and `实验二`, `A` and `a`) do not write over each other.
 */
export function reportFolder(name: string): string {
  const plain = slug(name);
  return plain === name ? plain : `${plain}-${createHash("sha256").update(name).digest("hex").slice(0, 8)}`;
}

/**
 * Writes report.html, tables/NAME.md and .csv (long series as .csv alone), charts/NAME.svg and .vl.json. Each file appears
 * whole or not at all; a table or chart that an earlier report had here and this one has not is removed.
 *
 * @returns the page's path, and every file written, the page last
 */
export async function writeReport(
  directory: string,
  runs: readonly ReportRun[],
  options: ReportOptions = {},
): Promise<{ html: string; files: string[] }> {
  const report = await buildReport(runs, options);
  const page = join(directory, "report.html");
  const contents = new Map<string, string>();
  for (const table of report.tables) {
    contents.set(join(directory, "tables", `${table.name}.md`), renderMarkdown(table));
    contents.set(join(directory, "tables", `${table.name}.csv`), renderCsv(table));
  }
  for (const table of report.series) {
    contents.set(join(directory, "tables", `${table.name}.csv`), renderCsv(table));
  }
  for (const chart of report.charts) {
    contents.set(join(directory, "charts", `${chart.name}.svg`), chart.svg);
    contents.set(join(directory, "charts", `${chart.name}.vl.json`), `${JSON.stringify(chart.spec)}\n`);
  }
  contents.set(page, report.html);
  makeFolder(join(directory, "tables"));
  makeFolder(join(directory, "charts"));
  for (const [file, text] of contents) writeWhole(file, text);
  const earlier = await readdir(join(directory, "charts"));
  const possible = [
    join(directory, "tables", `${seriesName}.csv`),
    ...earlier.filter((name) => ofMeasure.test(name)).map((name) => join(directory, "charts", name)),
    ...[...tableNames, ...formerNames].flatMap((name) =>
      [".md", ".csv"].map((ending) => join(directory, "tables", name + ending)),
    ),
    ...[...chartNames, ...formerNames].flatMap((name) =>
      [".svg", ".vl.json"].map((ending) => join(directory, "charts", name + ending)),
    ),
  ];
  await Promise.all(possible.filter((file) => !contents.has(file)).map((file) => rm(file, { force: true })));
  return { html: page, files: [...contents.keys()] };
}

/** What reports of earlier versions wrote, of charts and tables alike. */
const formerNames = ["measures"];

/** Charts of which there is one a measure. */
const ofMeasure = new RegExp(`^${overEpochs}[a-z0-9-]+\\.(svg|vl\\.json)$`);
