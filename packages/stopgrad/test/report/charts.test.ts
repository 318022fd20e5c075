import { compile } from "vega-lite";
import { describe, expect, it } from "vitest";
import { compareRuns } from "../../src/report/comparison.js";
import {
  informationChart,
  informationPlaneChart,
  linearSeparabilityChart,
  measuresCharts,
  memoryChart,
  type ReportRun,
  renderSvg,
  reportCharts,
  variantColours,
} from "../../src/report/index.js";
import { greedyVariants, syntheticRuns } from "./synthetic.js";

// biome-ignore lint/suspicious/noExplicitAny: specifications are walked as the JSON they are.
type Json = any;

const panelsOf = (spec: Json): Json[] => spec.concat ?? spec.vconcat?.flatMap((part: Json) => panelsOf(part)) ?? [spec];

const manyVariants = (n: number) =>
  Array.from({ length: n }, (_, index) => ({
    name: index === 0 ? "e2e" : `variant ${index} with a long name`,
    settings: { partition: index + 1 },
  }));

const manyStages = (n: number) => Array.from({ length: n }, (_, index) => `layer${index + 1}`);

describe("charts of a report", () => {
  it.each([
    [2, 1, 1],
    [5, 2, 3],
    [9, 4, 1],
    [20, 8, 2],
    [2, 26, 2],
  ])("draw %i stages, %i variants, %i seeds without a warning", async (stages, variants, seeds) => {
    const runs = syntheticRuns({
      stages: manyStages(stages),
      variants: manyVariants(variants),
      seeds: Array.from({ length: seeds }, (_, index) => index + 1),
      epochs: 8,
      probes: true,
    });
    const charts = reportCharts(compareRuns(runs));
    expect(charts.map((chart) => chart.name)).toEqual([
      "information-plane",
      "nhsic-over-epochs",
      "learning-curves",
      "linear-separability",
      "cost",
    ]);
    for (const chart of charts) {
      const before = JSON.stringify(chart.spec);
      expect(before).not.toMatch(/NaN|Infinity|undefined/);
      expect(JSON.parse(before)).toEqual(chart.spec); // plain JSON: nothing lost
      const warnings: unknown[] = [];
      const collect = (...args: unknown[]) => {
        warnings.push(args);
        return logger;
      };
      const quiet = () => logger;
      const logger: Json = { level: quiet, warn: collect, error: collect, info: quiet, debug: quiet };
      compile(JSON.parse(before), { logger });
      expect(warnings).toEqual([]);
      const svg = await renderSvg(chart.spec);
      expect(JSON.stringify(chart.spec)).toBe(before);
      expect(svg).toMatch(/^<svg /);
      expect(svg).not.toMatch(/NaN|Infinity|undefined/);
      // Variants are named by a legend, an axis or the panels; long names may be broken over lines.
      expect(svg.replace(/<[^>]*>/g, " ")).toContain("e2e");
      if (chart.name.startsWith("information")) {
        expect(panelsOf(chart.spec)).toHaveLength(stages * variants);
        for (const stage of manyStages(stages)) expect(svg).toContain(`>${stage}<`);
      }
    }
  });

  it("information plane: equal ranges for a stage over variants, own ranges between stages, in network order", () => {
    const panels = panelsOf(informationPlaneChart(compareRuns(syntheticRuns()))!.spec as Json);
    expect(panels.map((panel) => [panel.title.text, panel.title.subtitle[0]]).slice(0, 6)).toEqual([
      ["conv1", "e2e"],
      ["conv2", "e2e"],
      ["fc1", "e2e"],
      ["fc2", "e2e"],
      ["fc3", "e2e"],
      ["conv1", "layer-wise"],
    ]);
    const ranges = (panel: Json) =>
      panel.layer.map((layer: Json) => [layer.encoding.x.scale.domain, layer.encoding.y.scale.domain]);
    expect(ranges(panels[0])[0]).toEqual(ranges(panels[5])[0]);
    expect(ranges(panels[0])[0]).not.toEqual(ranges(panels[4])[0]);
    const [low, high] = ranges(panels[0])[0][0];
    for (const panel of [panels[0], panels[5]]) {
      for (const layer of panel.layer) {
        for (const point of layer.data.values) expect(point.x).toSatisfy((x: number) => x >= low && x <= high);
      }
    }
  });

  it("information plane: the dots are the mean over seeds, start marked, direction shown", () => {
    const runs = syntheticRuns();
    const panel = panelsOf(informationPlaneChart(compareRuns(runs))!.spec as Json)[0];
    const dots = panel.layer.find((layer: Json) => layer.mark.type === "circle").data.values;
    const at = (run: ReportRun, key: string) =>
      run.metrics.find((point) => point.key === key && point.stage === "conv1" && point.epoch === 7)!.value;
    const mean = (key: string) => (at(runs[0]!, key) + at(runs[1]!, key) + at(runs[2]!, key)) / 3;
    const dot = dots.find((point: Json) => point.epoch === 7);
    expect(dot.x).toBeCloseTo(mean("nhsicXZ"), 2);
    expect(dot.y).toBeCloseTo(mean("nhsicYZ"), 3);
    const epochs = dots.map((point: Json) => point.epoch);
    expect(epochs).toEqual([...epochs].sort((a: number, b: number) => a - b));
    expect(epochs[0]).toBe(0);
    expect(panel.layer.at(-1).data.values).toEqual([dots[0]]);
    const heads = panel.layer.find((layer: Json) => layer.encoding.angle !== undefined).data.values;
    expect(heads.at(-1)).toMatchObject({ x: dots.at(-1).x, y: dots.at(-1).y });
    expect(heads[0].angle).toBeGreaterThan(0); // right and up: both dependences rise at first
    expect(heads[0].angle).toBeLessThan(90);
  });

  it("information: mean of seeds at each measured stage, of label above and image below, nHSIC at the right", async () => {
    const stages = ["stem", "a", "b", "c"];
    const runs = syntheticRuns({ variants: greedyVariants, stages, seeds: [1, 2], epochs: 2, information: true });
    for (const { record } of runs) {
      for (const stage of record.summary!.stages) {
        const isMeasured = stage.name === "c" || (stage.name === "a" && record.variant !== "e2e");
        if (!isMeasured) stage.informationAccuracy = stage.reconstructionError = stage.informationY = null;
      }
    }
    const spec = informationChart(compareRuns(runs))!.spec as Json;
    const panels = panelsOf(spec);
    expect(panels.map(({ title }) => title.text)).toEqual([
      "Label: accuracy of a classifier (%)",
      "Label: nHSIC(Y,Z)",
      "Image: error of a decoder (nats)",
      "Image: nHSIC(X,Z)",
    ]);
    const names = panels.map(({ layer }) => layer[1].encoding.x.axis.labelExpr);
    expect(new Set(names)).toEqual(new Set(['slice([":a",":c"][datum.value], 1)'])); // measured by some variant, in network order
    const of = (panel: number, variant: string) =>
      panels[panel].data.values.filter((point: Json) => point.variant === variant);
    expect(of(0, "e2e").map((point: Json) => point.stage)).toEqual(["c"]);
    expect(of(0, "dgl").map((point: Json) => Math.abs(Math.round(point.position)))).toEqual([0, 1]);
    const value = (seed: number, stage: string) =>
      runs
        .find(({ record }) => record.variant === "dgl" && record.seed === seed)!
        .record.summary!.stages.find(({ name }) => name === stage)!;
    const [first] = of(0, "dgl");
    expect(first.mean).toBeCloseTo(50 * (value(1, "a").informationAccuracy! + value(2, "a").informationAccuracy!), 3);
    expect(of(2, "dgl")[0].mean).toBeCloseTo(
      0.5 * (value(1, "a").reconstructionError! + value(2, "a").reconstructionError!),
      4,
    );
    expect(first.low).toBeLessThan(first.mean);
    for (const { data, layer } of panels) {
      const [low, high] = layer[1].encoding.y.scale.domain;
      for (const { mean } of data.values) expect(mean).toSatisfy((y: number) => y > low && y < high);
    }
    const svg = await renderSvg(spec);
    for (const stage of ["a", "c"]) expect(svg).toContain(`>${stage}<`);
    expect(svg).not.toContain(">b<");
  });

  it("information: one column without nHSIC, none at all where it was not measured", () => {
    const options = { variants: greedyVariants, seeds: [1], epochs: 2, information: true, nhsic: false };
    expect(panelsOf(informationChart(compareRuns(syntheticRuns(options)))!.spec as Json)).toHaveLength(2);
    expect(informationChart(compareRuns(syntheticRuns({ probes: true })))).toBeNull();
  });

  it("linear separability: variants beside each other; two seeds by what they have, more by their interval", () => {
    const chart = (seeds: number[]) => {
      const runs = syntheticRuns({ seeds, probes: true, nhsic: false });
      for (const { record } of runs) {
        for (const stage of record.summary!.stages) stage.probeTest = 0.5 + 0.01 * record.seed;
      }
      return linearSeparabilityChart(compareRuns(runs))!;
    };
    const points = (seeds: number[]) =>
      (chart(seeds).spec as Json).data.values.filter(({ split }: Json) => split === "test");
    const [e2e] = points([1, 3]);
    expect(e2e).toMatchObject({ stage: "conv1", mean: 52, from: 51, to: 53, low: 39.2938 }); // 52 ± 12.7062
    const layerWise = points([1, 3]).find(({ variant }: Json) => variant === "layer-wise");
    expect(layerWise.position - e2e.position).toBeCloseTo(0.06, 10);
    expect(points([1, 2, 3])[0]).toMatchObject({ from: 49.5159, to: 54.4841 });
    expect(chart([1, 3]).caption).toContain("vertical lines: from one seed to the other.");
    expect(chart([1, 2, 3]).caption).toContain("95 % interval, cut off");
  });

  it("measures: a chart a family, a panel a quantity with its unit; nothing that is everywhere the same", async () => {
    const runs = syntheticRuns({ seeds: [1, 2, 3], stages: ["a", "constructor"], nhsic: false });
    for (const { record } of runs) {
      record.summary!.stages.forEach((stage, depth) => {
        stage.measures = {
          J: 1e-5 * (depth + record.seed),
          entropyLimit: Math.log(10),
          knnTest: 0.1 * depth,
          own: depth,
        };
      });
    }
    const charts = measuresCharts(compareRuns(runs));
    expect(charts.map(({ name }) => name)).toEqual(["measures-probes", "measures-entanglement", "measures-other"]);
    const panels = charts.flatMap(({ spec }) => panelsOf(spec as Json));
    expect(panels.map(({ title, layer }) => [title.text, layer[1].encoding.y.axis.title])).toEqual([
      ["Nearest neighbours test", "%"],
      ["J", "nats"],
      ["Own", null],
    ]);
    expect(panels[0].data.values.map(({ mean }: Json) => mean)).toEqual([0, 10, 0, 10]);
    for (const { spec } of charts) expect(await renderSvg(spec)).toContain(">constructor");
    expect(await renderSvg(charts[1]!.spec)).toMatch(/>[1-9](\.\d)?e-5</);
  });

  it("memory: a panel a variant on one scale, a bar a module in network order, its parts and its peak", async () => {
    const chart = memoryChart(compareRuns(syntheticRuns({ variants: greedyVariants, seeds: [1, 2], nhsic: false })))!;
    const panels = panelsOf(chart.spec as Json);
    expect(panels.map(({ title }) => title.text)).toEqual(["e2e", "dgl", "contsup"]); // matched has none
    const [bars, peaks] = panels[2].layer;
    expect(bars.encoding.y.scale.domain).toEqual([":conv1-conv2", ":fc1-fc3"]);
    const sizes = bars.data.values.filter((bar: Json) => bar.module === "fc1-fc3");
    expect(sizes.map(({ part }: Json) => part)).toEqual(["activations", "head", "context"]);
    expect(sizes.map(({ size }: Json) => size)).toEqual(
      [900, 10, 47_000].map((kibibytes) => Number((kibibytes / 1024).toPrecision(6))),
    );
    expect(peaks.data.values[1].peak).toBeCloseTo(50_000 / 1024, 3);
    const domains = panels.map(({ layer }) => layer[0].encoding.x.scale.domain);
    expect(new Set(domains.map(String)).size).toBe(1);
    expect(domains[0][1]).toBeGreaterThan(61_000 / 1024);
    expect(await renderSvg(chart.spec)).toMatch(/>conv1-conv2</);
    const whole = syntheticRuns({ variants: greedyVariants.slice(0, 1) });
    expect(memoryChart(compareRuns(whole))).toBeNull();
  });

  it.each([1, 3])("draws both for sixteen modules of nine variants without a warning, %i seeds", async (seeds) => {
    const names = manyStages(16);
    const variants = manyVariants(9).map((variant, at) => {
      const modules = names.map((module, depth) => ({
        module: `${module}-${module}.5`,
        activations: 1e6 * (16 - depth),
        head: 1e5,
        context: at > 4 ? 2e5 : 0,
        decoder: at > 6 ? 3e5 : 0,
        peak: 1.1e6 * (17 - depth),
      }));
      const memory = { parameters: 1, heads: 1, contexts: 0, gradients: 1, optimizer: 1, modules };
      return { ...variant, own: { memory } };
    });
    const list = Array.from({ length: seeds }, (_, at) => at + 1);
    const runs = syntheticRuns({ variants, stages: names, seeds: list, epochs: 2, information: true });
    for (const chart of [informationChart(compareRuns(runs))!, memoryChart(compareRuns(runs))!]) {
      const text = JSON.stringify(chart.spec);
      expect(text).not.toMatch(/NaN|Infinity|undefined/);
      const warnings: unknown[] = [];
      const collect = (...args: unknown[]) => {
        warnings.push(args);
        return logger;
      };
      const quiet = () => logger;
      const logger: Json = { level: quiet, warn: collect, error: collect, info: quiet, debug: quiet };
      compile(JSON.parse(text), { logger });
      expect(warnings).toEqual([]);
      expect(await renderSvg(chart.spec)).not.toMatch(/NaN|Infinity|undefined/);
    }
  });

  it("no two variants look the same: twenty colours, and shapes where there are more than eight", async () => {
    expect(new Set(variantColours).size).toBe(20);
    const looks = (spec: Json) => {
      const found = new Map<string, string>();
      const walk = (part: Json): void => {
        if (part?.encoding?.shape) {
          const { color, shape } = part.encoding;
          shape.scale.domain.forEach((name: string, at: number) => {
            expect(color.scale.domain[at]).toBe(name);
            found.set(name, `${color.scale.range[at]} ${shape.scale.range[at]}`);
          });
          for (const name of shape.scale.domain) {
            const { values } = part.data ?? { values: null };
            if (values) expect(values.some((point: Json) => point.variantKey === name)).toBe(true);
          }
        }
        for (const inner of [part?.layer, part?.concat, part?.vconcat]) for (const one of inner ?? []) walk(one);
      };
      walk(spec);
      return found;
    };
    for (const n of [8, 9, 20, 60]) {
      const options = { variants: manyVariants(n), stages: ["a", "b"], seeds: [1], epochs: 4, probes: true };
      const charts = reportCharts(compareRuns(syntheticRuns(options)));
      for (const name of ["nhsic-over-epochs", "learning-curves", "linear-separability"]) {
        const found = looks(charts.find((chart) => chart.name === name)!.spec);
        expect(found.size).toBe(n <= 8 ? 0 : n);
        expect(new Set(found.values()).size).toBe(found.size);
      }
    }
  });

  it("draws intervals as far as values can be, and hardly more of an axis", () => {
    const runs = syntheticRuns({ seeds: [1, 2], epochs: 3, probes: true });
    for (const { record, metrics } of runs) {
      const first = record.seed === 1;
      for (const point of metrics) {
        if (point.key.endsWith("Accuracy")) point.value = first ? 0.02 : 0.98;
        if (point.key.startsWith("nhsic")) point.value = first ? 0.5 : 20;
      }
      for (const stage of record.summary!.stages) stage.probeTest = first ? 0.02 : 0.98;
      record.summary!.peakBytes = first ? 1e6 : 1e8;
    }
    const charts = reportCharts(compareRuns(runs)).filter(({ name }) => name !== "information-plane");
    expect(charts).toHaveLength(4);
    for (const { name, spec } of charts) {
      let lowest = 0;
      for (const panel of panelsOf(spec as Json)) {
        const percent = name === "linear-separability" || panel.title?.text === "Accuracy";
        if (panel.title?.text === "Loss") continue;
        for (const { low, high } of panel.data.values) {
          expect(low).toBeGreaterThanOrEqual(0);
          if (percent) expect(high).toBeLessThanOrEqual(100);
          if (low === 0) lowest++;
        }
        const domain = panel.layer[0].encoding.y.scale.domain;
        if (name !== "cost" && domain) expect(domain[0]).toBeGreaterThan(-0.04 * domain[1]);
        if (panel.title?.text === "Accuracy") expect(domain).toEqual([-1.44, 101.44]);
      }
      expect(lowest).toBeGreaterThan(0);
    }
  });

  it("says what an epoch is where trainings with phases are longer than others", () => {
    const captions = (epochs: number) => {
      const runs = syntheticRuns({ seeds: [1], epochs: 4 });
      runs[1]!.record.summary!.epochs = epochs;
      return reportCharts(compareRuns(runs)).map(({ caption }) => caption);
    };
    const sentence = " Epochs of all phases of a training together: e2e 4; layer-wise 20.";
    expect(captions(20).filter((caption) => caption.endsWith(sentence))).toHaveLength(3);
    for (const caption of captions(4)) expect(caption).not.toContain("phases");
  });

  it("leaves out what was not measured, and bands where there is one seed", () => {
    const runs = syntheticRuns({ nhsic: false, seeds: [1] });
    const charts = reportCharts(compareRuns(runs));
    expect(charts.map((chart) => chart.name)).toEqual(["learning-curves", "cost"]);
    expect(JSON.stringify(charts[0]!.spec)).not.toContain('"area"');
    expect(JSON.stringify(reportCharts(compareRuns(syntheticRuns()))[2]!.spec)).toContain('"area"');
    expect(reportCharts(compareRuns([]))).toEqual([]);
  });

  it("draws variants and stages of any name under that name", async () => {
    const names = ["constructor", "toString", "__proto__", "a.b", "x[0]", 'it\'s "so"', "back\\slash\\n"];
    const readable = (svg: string) =>
      svg
        .replace(/&quot;/g, '"')
        .replace(/&#39;|&apos;/g, "'")
        .replace(/&amp;/g, "&");
    for (const own of [names, ...names.map((name) => [name])]) {
      const runs = syntheticRuns({
        variants: own.map((name, index) => ({ name, settings: { partition: index + 1 } })),
        stages: own.length === 1 ? [own[0]!, "fc"] : own,
        seeds: [1, 2],
        epochs: 2,
        probes: true,
      });
      const charts = reportCharts(compareRuns(runs));
      expect(charts).toHaveLength(5);
      for (const chart of charts) {
        const svg = readable(await renderSvg(chart.spec));
        for (const name of own) expect(svg.replaceAll(" </text>", "</text>")).toContain(`>${name}</text>`);
        expect(svg).not.toMatch(/NaN|Infinity|undefined|>:/);
      }
      // The bars are there, one a variant, not only their names.
      const bars = (await renderSvg(charts[4]!.spec)).match(/<g class="mark-rect[^>]*>(?:<path[^>]*>(?:<\/path>)?)*/g);
      expect(bars!.map((group) => group.match(/<path/g)?.length)).toContain(own.length);
    }
  });

  it("draws runs that diverged or measured a single moment", async () => {
    const runs = syntheticRuns({ seeds: [1], epochs: 3 });
    for (const run of runs) {
      run.metrics = run.metrics
        .filter((point) => point.key.startsWith("nhsic") === false || point.epoch === 0)
        .map((point) => (point.key === "trainLoss" ? { ...point, value: Number.NaN } : point));
    }
    for (const chart of reportCharts(compareRuns(runs))) {
      expect(await renderSvg(chart.spec)).not.toMatch(/NaN|Infinity|undefined/);
    }
  });
});
