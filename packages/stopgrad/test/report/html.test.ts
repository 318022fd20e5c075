import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { compareRuns, renderReport, reportCharts, reportTables } from "../../src/report/index.js";
import { greedyVariants, syntheticRuns, twoVariants } from "./synthetic.js";

/** Tags of a page outside its scripts and styles. */
const tagsOf = (html: string, tag: string) => html.match(new RegExp(`<${tag}[\\s>]`, "g"))?.length ?? 0;

describe("the report page", () => {
  it("holds headline, tables, drawn charts, their specifications and the library, and asks for nothing", async () => {
    const html = await renderReport(syntheticRuns(), { command: "stopgrad compare lenet5.yaml" });
    expect(html).toMatch(/^<!doctype html>/);
    expect(html).toContain("<h1>lenet5-cifar10</h1>");
    expect(html).toContain("End to end reaches");
    expect(html).toContain("stopgrad compare lenet5.yaml");
    expect(tagsOf(html, "figure")).toBe(4);
    expect(html.match(/<svg role="img"/g)).toHaveLength(4);
    expect(tagsOf(html, "script")).toBe(4 + 2 + 1); // specifications, library, the page's own
    expect(html).toContain('download="results.csv" href="data:text/csv;charset=utf-8,variant%2CtestAccuracyMean');
    expect(html).toContain("Redistribution and use in source and binary forms"); // the library's licence travels along
    expect(html).toContain("default-src 'none'");
    expect(html).not.toMatch(/<(?:link|img|iframe)\b|\ssrc=|@import|url\(http/);
    const specs = [...html.matchAll(/<script type="application\/json">(.*?)<\/script>/g)];
    for (const [, text] of specs) expect(JSON.parse(text!).$schema).toContain("vega-lite/v6");
  });

  it("treats names as text everywhere", async () => {
    const hostile = `</script><script>alert("1")</script><img src=x onerror='alert(2)'>&amp;`;
    const runs = syntheticRuns({
      name: hostile,
      stages: [hostile, "fc"],
      variants: [{ ...twoVariants[0]!, name: hostile }, twoVariants[1]!],
      seeds: [1],
      epochs: 2,
      probes: true,
    });
    runs[1]!.record = { ...runs[1]!.record, status: "failed", summary: null, error: hostile, command: hostile };
    const html = await renderReport(runs, { command: hostile, interactive: false });
    expect(html).not.toContain("<img");
    expect(html).not.toContain("<script>alert");
    expect(html).not.toContain('</script><script>alert("1")');
    expect(html).toContain("&lt;img src=x onerror=&#39;alert(2)&#39;&gt;&amp;amp;");
    expect(html.match(/<script[\s>]/g)).toHaveLength(html.match(/<\/script>/g)!.length);
  });

  it("shows memory by module and what the modules keep, whatever names there are", async () => {
    const hostile = `</script><img src=x>"'\\ \u2028`;
    const variants = greedyVariants.map((variant) => ({
      ...variant,
      own: {
        ...variant.own,
        ...(variant.own?.memory
          ? { memory: { ...variant.own.memory, modules: variant.own.memory.modules.map(renamed) } }
          : {}),
      },
    }));
    function renamed<M extends { module: string }>(module: M): M {
      return { ...module, module: hostile + module.module };
    }
    const runs = syntheticRuns({ variants, stages: ["a", hostile], seeds: [1, 2], epochs: 2, information: true });
    const html = await renderReport(runs, { interactive: false });
    for (const name of ["information", "memory-of-modules"]) expect(html).toContain(`data-chart="${name}"`);
    expect(html).toContain('id="information"');
    expect(html).toContain("Where the memory goes");
    expect(html).toContain("Context paths that were selected");
    expect(html).not.toContain("<img");
    expect(html.match(/<script[\s>]/g)).toHaveLength(html.match(/<\/script>/g)!.length);
  });

  it("leaves no chart and no table out", async () => {
    const runs = syntheticRuns({ seeds: [1, 2], epochs: 2, information: true, probes: true });
    for (const { record } of runs) {
      const { stages } = record.summary!;
      for (const [at, stage] of stages.entries())
        stage.measures = { effectiveRank: 10 - at + record.seed, ksgYZ: null, skipped: 0, own: at };
    }
    const comparison = compareRuns(runs);
    const html = await renderReport(runs, { interactive: false });
    const charts = reportCharts(comparison).map(({ name }) => name);
    expect(charts).toContain("measures-geometry");
    expect(charts).toContain("measures-other");
    for (const name of charts) expect(html).toContain(`data-chart="${name}"`);
    const tables = reportTables(comparison).map(({ title }) => title);
    expect(tables).toContain("Differences in the information plane");
    expect(tables).toContain("Geometry");
    expect(tables).not.toContain("Mutual information");
    for (const title of tables) expect(html).toContain(title);
    expect(html).toContain("effective rank");
    expect(html).toContain("<dt>Effective rank (directions)</dt><dd>Exponential of the entropy");
    expect(html).toContain("Not drawn, because at every stage the same: skipped 0.");
    expect(charts).not.toContain("measures-entanglement"); // nothing varies
    expect(html).not.toContain("KSG");
  });

  it("says that nHSIC is missing, lists failures, and works with nothing at all", async () => {
    const runs = syntheticRuns({ nhsic: false, seeds: [1, 2] });
    runs[0]!.record = { ...runs[0]!.record, status: "failed", summary: null, error: "cifar10: file is truncated" };
    const html = await renderReport(runs, { interactive: false });
    expect(html).toContain("nHSIC was not measured in these runs");
    expect(html).toContain("cifar10: file is truncated");
    expect(html).not.toContain('id="dynamics"');
    expect(await renderReport([], { interactive: false })).toContain("No run has finished.");
  });

  it("is the same text for the same runs", async () => {
    const options = { interactive: false };
    expect(await renderReport(syntheticRuns({ epochs: 3 }), options)).toBe(
      await renderReport(syntheticRuns({ epochs: 3 }), options),
    );
  });
});

describe("what the report needs", () => {
  const folder = (name: string) => fileURLToPath(new URL(`../../src/${name}`, import.meta.url));
  const serverOnly = new Set(["html.ts", "write.ts", "index.ts"]);

  it.each(["statistics", "report"])("%s runs in a browser: no engine, no Node modules, no eager library", (name) => {
    const files = readdirSync(folder(name), { recursive: true, encoding: "utf8" });
    for (const file of files.filter((one) => one.endsWith(".ts"))) {
      const text = readFileSync(join(folder(name), file), "utf8");
      expect(text).not.toContain("@stopgrad/torch");
      const imports = [...text.matchAll(/^(?:import|export) (?!type )[^;]*? from "([^"]+)"/gm)].map(
        ([, from]) => from!,
      );
      expect(imports.filter((from) => /^vega/.test(from))).toEqual([]);
      if (!serverOnly.has(file)) expect(imports.filter((from) => !from.startsWith("."))).toEqual([]);
    }
  });
});
