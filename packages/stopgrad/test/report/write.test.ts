import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { reportFolder, writeReport } from "../../src/report/index.js";
import { syntheticRuns } from "./synthetic.js";

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "stopgrad-report-"));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

describe("a report on disk", () => {
  it("has a folder of its own for each experiment name", () => {
    expect(reportFolder("lenet5-cifar10")).toBe("lenet5-cifar10");
    expect(reportFolder("abc ")).toBe("abc-5488613c"); // sha256sum of "abc "
    const names = ["实验一", "实验二", "run", "Run", "a b", "a-b", "a_b", "-a-b", "", "x".repeat(48), "x".repeat(60)];
    const folders = names.map(reportFolder);
    expect(new Set(folders).size).toBe(names.length);
    for (const folder of folders) expect(folder).toMatch(/^[a-z0-9][a-z0-9-]{0,56}$/);
    expect(reportFolder("实验一")).toMatch(/^run-[0-9a-f]{8}$/);
  });

  it("is the page and a file for each table and chart", async () => {
    const target = join(directory, "deep", "report");
    const { html, files } = await writeReport(target, syntheticRuns({ epochs: 3 }), { interactive: false });
    expect(html).toBe(join(target, "report.html"));
    expect((await readdir(target)).sort()).toEqual(["charts", "report.html", "tables"]);
    expect((await readdir(join(target, "charts"))).sort()).toEqual(
      ["cost", "information-plane", "learning-curves", "nhsic-over-epochs"].flatMap((name) => [
        `${name}.svg`,
        `${name}.vl.json`,
      ]),
    );
    expect(await readdir(join(target, "tables"))).toContain("results.csv");
    for (const file of files) expect((await stat(file)).size).toBeGreaterThan(0);
    const spec = JSON.parse(await readFile(join(target, "charts", "cost.vl.json"), "utf8"));
    expect(spec.$schema).toContain("vega-lite");
    expect(await readFile(join(target, "tables", "results.md"), "utf8")).toContain("| layer-wise |");
  });

  it("replaces an earlier report, takes away what no longer applies, leaves other files alone", async () => {
    await writeReport(directory, syntheticRuns({ epochs: 3 }), { interactive: false });
    await writeFile(join(directory, "charts", "mine.svg"), "mine");
    await writeReport(directory, syntheticRuns({ epochs: 3, nhsic: false }), { interactive: false });
    expect((await readdir(join(directory, "charts"))).sort()).toEqual([
      "cost.svg",
      "cost.vl.json",
      "learning-curves.svg",
      "learning-curves.vl.json",
      "mine.svg",
    ]);
  });
});
