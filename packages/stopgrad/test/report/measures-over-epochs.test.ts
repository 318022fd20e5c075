import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { compareRuns } from "../../src/report/comparison.js";
import {
  buildReport,
  measuresOverEpochsCharts,
  measuresOverEpochsTable,
  type ReportRun,
  renderCsv,
  renderSvg,
  writeReport,
} from "../../src/report/index.js";
import { inWords } from "../../src/report/measure-names.js";
import { syntheticRuns } from "./synthetic.js";

// biome-ignore lint/suspicious/noExplicitAny: specifications are walked as the JSON they are.
type Json = any;

const panelsOf = (spec: Json): Json[] => spec.concat ?? spec.vconcat?.flatMap((part: Json) => panelsOf(part)) ?? [spec];

type Rule = (epoch: number, depth: number, seed: number, variant: string) => number;

/** Runs that took these measures at these epochs of every stage, and left the last in their summary. */
function observing(
  measures: Record<string, Rule>,
  { epochs = [0, 1, 2, 3], stages = ["a", "b"], seeds = [1, 2, 3] } = {},
): ReportRun[] {
  const runs = syntheticRuns({ stages, seeds, epochs: 3, nhsic: false });
  for (const { record, metrics } of runs) {
    for (const [key, rule] of Object.entries(measures)) {
      for (const [depth, stage] of stages.entries()) {
        for (const epoch of epochs) {
          const value = rule(epoch, depth, record.seed, record.variant);
          metrics.push({ epoch, step: 10 * epoch, key, stage, value, standardError: key === "ckaXZ" ? 0.5 : null });
        }
        const summary = record.summary!.stages[depth]!;
        summary.measures = { ...summary.measures, [key]: metrics.at(-1)!.value };
      }
    }
  }
  return runs;
}

const rising: Rule = (epoch, depth, seed, variant) => 10 * depth + epoch + 0.1 * seed + (variant === "e2e" ? 0 : 5);

const chartsOf = (runs: readonly ReportRun[]) => measuresOverEpochsCharts(compareRuns(runs));

describe("measures over epochs", () => {
  it("a chart a measure, a panel a stage: the mean over seeds at each epoch, its interval as a band", async () => {
    const charts = chartsOf(observing({ effectiveRank: rising, snn: rising }));
    expect(charts.map(({ name, title }) => [name, title])).toEqual([
      ["over-epochs-effective-rank", "Effective rank"],
      ["over-epochs-snn", "Soft nearest neighbour loss"],
    ]);
    const panels = panelsOf(charts[0]!.spec);
    expect(panels.map(({ title }) => title.text)).toEqual(["a", "b"]);
    const { layer, data } = panels[1];
    expect(layer.map(({ mark }: Json) => mark.type)).toEqual(["area", "line", "circle"]);
    expect(layer[1].encoding.x.field).toBe("epoch");
    expect(layer[1].encoding.color.scale.domain).toEqual([":e2e", ":layer-wise"]);
    const points = data.values.filter(({ variant }: Json) => variant === "layer-wise");
    // Seeds add 0.1, 0.2 and 0.3: mean 0.2, half-width 4.302653 · 0.1 / √3 = 0.248414.
    expect(points.map(({ epoch, mean, n }: Json) => [epoch, mean, n])).toEqual([
      [0, 15.2, 3],
      [1, 16.2, 3],
      [2, 17.2, 3],
      [3, 18.2, 3],
    ]);
    expect(points[0].low).toBeCloseTo(15.2 - 0.248414, 4);
    expect(points[0].high).toBeCloseTo(15.2 + 0.248414, 4);
    expect(charts[0]!.caption).toContain("mean over seeds; bands: its 95 % interval");
    expect(await renderSvg(charts[0]!.spec)).not.toMatch(/NaN|Infinity|undefined/);
  });

  it("input and label are two rows of one chart, training and test images two lines, in percent", () => {
    const share: Rule = (epoch, depth, seed) => 0.1 * epoch + 0.05 * depth + 0.01 * seed;
    const charts = chartsOf(observing({ ckaXZ: rising, ckaYZ: rising, knnTrain: share, knnTest: share, knn: rising }));
    expect(charts.map(({ name }) => name)).toEqual(["over-epochs-cka", "over-epochs-knn", "over-epochs-knn-2"]);
    const cka = panelsOf(charts[0]!.spec);
    expect(cka.map(({ title, layer }) => [title.text, layer[1].encoding.y.axis.title])).toEqual([
      ["a", "CKA(X, Z)"],
      ["b", null],
      ["a", "CKA(Y, Z)"],
      ["b", null],
    ]);
    expect(charts[0]!.caption).toMatch(/^HSIC of input and stage .* Above with the input, below with the label\./);
    const [knn] = panelsOf(charts[1]!.spec);
    expect(new Set(knn.data.values.map(({ split }: Json) => split))).toEqual(new Set(["train", "test"]));
    expect(knn.layer[1].encoding.strokeDash.scale.domain).toEqual(["train", "test"]);
    expect(knn.layer[1].encoding.y.axis.title).toBe("accuracy (%)");
    expect(knn.data.values.find(({ epoch }: Json) => epoch === 3).mean).toBeCloseTo(32, 5);
    expect(charts[1]!.caption).toMatch(/^Accuracy of a vote .* Train dashed, test solid\./);
  });

  it("probes too, and runs that are not done; nothing of modules and workers", () => {
    const runs = observing({ probeTest: (epoch) => 0.2 * epoch, localLoss: rising, workerPeakBytes: rising });
    expect(chartsOf(runs).map(({ title }) => title)).toEqual(["Linear probe"]);
    for (const { record } of runs) Object.assign(record, { status: "running", summary: null });
    expect(chartsOf(runs).map(({ title }) => title)).toEqual(["Linear probe"]);
  });

  it("only what has more than one time, and what changes", async () => {
    const runs = observing({ nc1: rising, skipped: () => 0 });
    expect(chartsOf(runs).map(({ name }) => name)).toEqual(["over-epochs-nc1"]);
    const { html } = await buildReport(runs, { interactive: false });
    expect(html).toContain("Not drawn, because at every stage and time the same: skipped 0.");
    const once = observing({ nc1: rising, skipped: () => 0 }, { epochs: [3] });
    expect(chartsOf(once)).toEqual([]);
    expect((await buildReport(once, { interactive: false })).html).not.toContain("Measures over epochs");
    expect(measuresOverEpochsTable(compareRuns(once)).rows).toEqual([]);
  });

  it("no band for one seed; values that are not finite are left out; every stage in its place", async () => {
    const stages = ["conv1", "conv2", "fc1", "fc2", "fc3", "fc4", "fc5", "fc6", "fc7"];
    const runs = observing(
      { uniformity: (epoch, depth, seed, variant) => (epoch === 2 ? Number.NaN : rising(epoch, depth, seed, variant)) },
      { stages, seeds: [1] },
    );
    const [chart] = chartsOf(runs);
    const panels = panelsOf(chart!.spec);
    expect(panels.map(({ title }) => title.text)).toEqual(stages);
    for (const { data, layer } of panels) {
      expect(data.values.map(({ epoch }: Json) => epoch)).toEqual([0, 1, 3, 0, 1, 3]);
      expect(layer.map(({ mark }: Json) => mark.type)).not.toContain("area");
      const [low, high] = layer[0].encoding.y.scale.domain;
      for (const { mean } of data.values) expect(mean).toSatisfy((y: number) => y > low && y < high);
    }
    expect(await renderSvg(chart!.spec)).not.toMatch(/NaN|Infinity|undefined/);
  });

  it("two seeds are drawn as lines of their own, three as a band; few times as dots", () => {
    const marks = (runs: readonly ReportRun[]) => panelsOf(chartsOf(runs)[0]!.spec)[0].layer;
    const two = marks(observing({ alignment: rising }, { seeds: [4, 7] }));
    expect(two.map(({ mark }: Json) => mark.type)).toEqual(["line", "line", "circle"]);
    const own = two[0].data.values.filter(({ variant }: Json) => variant === "e2e");
    expect(own.map(({ seed, epoch, mean }: Json) => [seed, epoch, mean])).toEqual(
      [4, 7].flatMap((seed) => [0, 1, 2, 3].map((epoch) => [seed, epoch, Number((epoch + 0.1 * seed).toFixed(6))])),
    );
    expect(two[0].encoding.detail.field).toBe("seed");
    expect(two[0].mark.strokeWidth).toBeLessThan(two[1].mark.strokeWidth);
    const three = marks(observing({ alignment: rising }));
    expect(three[2].mark.opacity).toBe(1);
    const epochs = Array.from({ length: 11 }, (_, epoch) => epoch);
    expect(marks(observing({ alignment: rising }, { epochs }))[2].mark.opacity).toBe(0);
  });

  it("an interval many times as wide as the lines differ is cut off", () => {
    const runs = observing({ alignment: (epoch, _, seed) => epoch + (seed === 1 ? 0 : 0.5) }, { seeds: [1, 2] });
    const [panel] = panelsOf(chartsOf(runs)[0]!.spec);
    expect(panel.data.values[0].high).toBeGreaterThan(3); // 0.25 ± 12.7062 · 0.25
    const [low, high] = panel.layer[0].encoding.y.scale.domain;
    expect(high - low).toBeLessThan(6.1); // means range over 3
    for (const { mark } of panel.layer) expect(mark.clip).toBe(true);
  });

  it("the whole series as CSV: every value of every run, nHSIC among them, exact", () => {
    const runs = observing({ nhsicXZ: rising, ckaXZ: rising, localLoss: rising }, { epochs: [0, 0.5], seeds: [1] });
    const [header, ...lines] = renderCsv(measuresOverEpochsTable(compareRuns(runs)))
      .trim()
      .split("\r\n");
    expect(header).toBe("variant,seed,run,measure,stage,epoch,step,value,standardError");
    expect(lines.slice(0, 6)).toEqual([
      "e2e,1,run-e2e-1,nhsicXZ,a,0,0,0.1,",
      "e2e,1,run-e2e-1,nhsicXZ,a,0.5,5,0.6,",
      "e2e,1,run-e2e-1,nhsicXZ,b,0,0,10.1,",
      "e2e,1,run-e2e-1,nhsicXZ,b,0.5,5,10.6,",
      "e2e,1,run-e2e-1,ckaXZ,a,0,0,0.1,0.5",
      "e2e,1,run-e2e-1,ckaXZ,a,0.5,5,0.6,0.5",
    ]);
    expect(lines).toHaveLength(2 * 8);
  });

  it("names of measures: a word within another's name stays a word", () => {
    expect(inWords("labelBound")).toBe("label bound");
    expect(inWords("bound")).toBe("bound on L");
    expect(inWords("mlpProbeTest")).toBe("MLP probe test");
  });
});

describe("measures over epochs on disk", () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "stopgrad-series-"));
  });
  afterEach(() => rm(directory, { recursive: true, force: true }));

  it("charts and CSV are written, and taken away with the measure", async () => {
    const options = { interactive: false };
    await writeReport(directory, observing({ nc1: rising, snn: rising }, { seeds: [1] }), options);
    await writeFile(join(directory, "charts", "over-epochs.txt"), "mine");
    await writeFile(join(directory, "tables", "measures.md"), "of an earlier version");
    const { html } = await writeReport(directory, observing({ snn: rising }, { seeds: [1] }), options);
    const charts = await readdir(join(directory, "charts"));
    expect(charts.filter((name) => name.startsWith("over-epochs"))).toEqual([
      "over-epochs-snn.svg",
      "over-epochs-snn.vl.json",
      "over-epochs.txt",
    ]);
    const tables = await readdir(join(directory, "tables"));
    expect(tables.filter((name) => name.startsWith("measures"))).toEqual([
      "measures-entanglement.csv",
      "measures-entanglement.md",
      "measures-over-epochs.csv",
    ]);
    const page = await readFile(html, "utf8");
    expect(page).toContain('data-chart="over-epochs-snn"');
    expect(page).toContain("tables/measures-over-epochs.csv");
    await writeReport(directory, observing({}), options);
    expect(await readdir(join(directory, "tables"))).not.toContain("measures-over-epochs.csv");
  });
});
