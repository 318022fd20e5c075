import { describe, expect, it } from "vitest";
import { compareRuns } from "../../src/report/comparison.js";
import { headline } from "../../src/report/headline.js";
import {
  contextsTable,
  costsTable,
  informationTable,
  linearSeparabilityTable,
  memoryTable,
  moduleMemoryTable,
  type ReportRun,
  renderComparison,
  renderCsv,
  reportTables,
  resultsTable,
  type Table,
} from "../../src/report/index.js";
import { greedyVariants, syntheticRuns, twoVariants } from "./synthetic.js";

/** Runs whose test accuracy and peak memory are given. */
function runsWith(accuracies: Record<string, number[]>, seeds = [1, 2, 3]): ReportRun[] {
  return syntheticRuns({ seeds }).flatMap((run) => {
    const accuracy = accuracies[run.record.variant]?.[seeds.indexOf(run.record.seed)];
    if (accuracy === undefined) return [];
    const summary = { ...run.record.summary!, testAccuracy: accuracy, trainAccuracy: accuracy + 0.1 };
    summary.peakBytes = (run.record.variant === "e2e" ? 80 : 50) * 2 ** 20;
    summary.imagesPerSecond = run.record.variant === "e2e" ? 10_000 : 8_000;
    summary.seconds = run.record.variant === "e2e" ? 100 : 125;
    return [{ ...run, record: { ...run.record, summary } }];
  });
}

const accuracies = { e2e: [0.641, 0.646, 0.651], "layer-wise": [0.635, 0.637, 0.642] };
const texts = (table: Table) => table.rows.map((row) => row.map((cell) => cell.text));

describe("tables of a report", () => {
  it("results: mean, spread, paired difference, ratios; what is clearly best in bold", () => {
    const table = resultsTable(compareRuns(runsWith(accuracies)));
    // Differences −0.6, −0.9, −0.9 points: mean −0.8, s = 0.173205, half-width 4.302653 · 0.1 = 0.430265.
    expect(texts(table)).toEqual([
      ["e2e", "64.60 ± 0.50", "3", "–", "74.60 ± 0.50", "80.0 (100 %)", "10,000 ± 0 (1.00 ×)", "100.0 ± 0.0"],
      [
        "layer-wise",
        "63.80 ± 0.36",
        "3",
        "−0.80 [−1.23, −0.37]",
        "73.80 ± 0.36",
        "50.0 (63 %)",
        "8,000 ± 0 (0.80 ×)",
        "125.0 ± 0.0",
      ],
    ]);
    const best = table.rows.map((row) =>
      row.flatMap((cell, index) => (cell.best ? [table.columns[index]!.title] : [])),
    );
    expect(best).toEqual([["test accuracy"], ["peak memory"]]); // speed and time have no spread to judge by
    expect(table.notes[0]).toContain("Accuracy at the last epoch");
    expect(table.notes[0]).toContain(
      "Bold: better than every other variant by more than the 95 % interval of their difference over seeds; of peak memory",
    );
    expect(table.notes[1]).toContain("3 shared seeds");
    expect(table.columns[3]!.title).toBe("difference to e2e");
  });

  it("CSV of the results keeps fractions, bytes and both ends of the interval", () => {
    const [header, , second] = renderCsv(resultsTable(compareRuns(runsWith(accuracies)))).split("\r\n");
    const record = Object.fromEntries(header!.split(",").map((name, index) => [name, second!.split(",")[index]]));
    expect(Number(record.testAccuracyMean)).toBeCloseTo(0.638, 10);
    expect(Number(record.differenceLow)).toBeCloseTo(-0.0123027, 6);
    expect(record).toMatchObject({ differenceMethod: "paired", peakBytesMean: "52428800" });
  });

  const costsOf = (runs: readonly ReportRun[]) => costsTable(compareRuns(runs));
  const withoutLabels = (table: Table) => texts(table).map((row) => row.slice(1));

  it("costs: parameters, multiply-adds of training with their ratio, of inference in two parts; exact in CSV", () => {
    const table = costsOf(runsWith(accuracies));
    expect(texts(table)).toEqual([
      ["e2e", "62,006 + 0", "1.60 M (1.00 ×)", "1.60 T (1.00 ×)", "0.65 + 0 M"], // a million images in 100 s
      ["layer-wise", "62,006 + 25,400", "1.37 M (0.85 ×)", "1.37 T (0.85 ×)", "0.65 + 0 M"],
    ]);
    expect(table.columns.map(({ title, unit }) => `${title}: ${unit ?? ""}`)).toEqual([
      "variant: ",
      "parameters: backbone + heads",
      "training multiply-adds: for an image, ratio to e2e",
      "whole training: all images, ratio to e2e",
      "inference multiply-adds: for an image, backbone + extras",
    ]);
    expect(table.rows.map((row) => row.map(({ best }) => best === true))).toEqual([
      [false, false, false, false, false],
      [false, false, true, true, false],
    ]);
    expect(table.notes[1]).toMatch(/ Bold: the lowest; they are counted, not sampled\.$/);
    expect(costsOf(runsWith({ e2e: [0.6] })).notes[1]).not.toContain("Bold");
    expect(renderCsv(table).split("\r\n").slice(0, 3)).toEqual([
      "variant,parametersBackbone,parametersHeads,trainingMultiplyAdds,trainingMultiplyAddsOfReference," +
        "wholeTrainingMultiplyAdds,wholeTrainingMultiplyAddsOfReference," +
        "inferenceMultiplyAddsBackbone,inferenceMultiplyAddsExtras",
      "e2e,62006,0,1602360,1,1602360000000,1,651720,0",
      `layer-wise,62006,25400,1365780,${1_365_780 / 1_602_360},1365780000000,${1_365_780 / 1_602_360},651720,0`,
    ]);
    const alone = costsOf(runsWith({ e2e: [0.6] }));
    expect(alone.columns[2]!.unit).toBe("for an image");
    expect(table.notes[1]).not.toContain("not trained for the same");
  });

  it("costs: dashes for runs that were stored without multiply-adds, a later seed's where the first has none", () => {
    const old = runsWith(accuracies);
    for (const { record } of old.filter(({ record: { variant } }) => variant === "e2e")) delete record.summary!.cost;
    const table = costsOf(old);
    expect(withoutLabels(table)).toEqual([
      ["62,006 + 0", "–", "–", "–"],
      ["62,006 + 25,400", "1.37 M", "1.37 T", "0.65 + 0 M"], // no ratio: nothing to compare with
    ]);
    expect(renderCsv(table).split("\r\n").slice(1, 3)).toEqual([
      "e2e,62006,0,,,,,,",
      "layer-wise,62006,25400,1365780,,1365780000000,,651720,0",
    ]);
    expect(table.rows.map((row) => row[2]!.best)).toEqual([undefined, undefined]);
    const mixed = runsWith(accuracies);
    mixed[0]!.record.summary!.cost = null;
    expect(withoutLabels(costsOf(mixed))[0]).toEqual([
      "62,006 + 0",
      "1.60 M (1.00 ×)",
      "1.60 T (1.00 ×)",
      "0.65 + 0 M",
    ]);
  });

  it("costs: one unit for a column, so that small extras stand beside a large backbone", () => {
    const runs = runsWith(accuracies);
    for (const { record } of runs) {
      const extras = record.variant === "e2e" ? 0 : 4_240_000;
      record.summary!.cost = { inference: { backbone: 555_422_720, extras }, training: 1_664_498_688 };
    }
    expect(withoutLabels(costsOf(runs)).map((row) => row.slice(1))).toEqual([
      ["1.66 G (1.00 ×)", "1.66 P (1.00 ×)", "0.56 + 0 G"],
      ["1.66 G (1.00 ×)", "1.66 P (1.00 ×)", "0.56 + 0.0042 G"],
    ]);
  });

  it("costs: a training of several phases is cheaper for an image and dearer in all", () => {
    const runs = runsWith(accuracies);
    for (const { record } of runs.filter(({ record: { variant } }) => variant === "layer-wise")) {
      Object.assign(record.summary!, { epochs: 100, seconds: 250, imagesPerSecond: 20_000 }); // 5 million images
      record.summary!.cost = { ...record.summary!.cost!, training: 801_180 };
    }
    const table = costsOf(runs);
    expect(withoutLabels(table).map((row) => row.slice(1, 3))).toEqual([
      ["1.60 M (1.00 ×)", "1.60 T (1.00 ×)"],
      ["0.80 M (0.50 ×)", "4.01 T (2.50 ×)"],
    ]);
    expect(table.rows.map((row) => row.map(({ best }) => best === true).slice(2, 4))).toEqual([
      [false, true],
      [true, false],
    ]);
    expect(table.notes[1]).toContain("compare the whole training");
    expect(resultsTable(compareRuns(runs)).notes[0]).toContain("not trained for the same number of epochs");
    expect(headline(compareRuns(runs)).setting).toContain("20 and 100 epochs (of all phases of a training)");
  });

  const greedy = (seeds = [1, 2]) => syntheticRuns({ variants: greedyVariants, seeds, nhsic: false });

  it("costs: what brings modules context stays at inference, heads do not", () => {
    const table = costsOf(greedy());
    expect(table.columns.slice(1, 3).map(({ title, unit }) => `${title}: ${unit}`)).toEqual([
      "parameters: at inference, backbone + contexts",
      "heads: in training alone",
    ]);
    expect(withoutLabels(table).map((row) => row.slice(0, 2))).toEqual([
      ["62,006 + 0", "0"],
      ["62,006 + 0", "5,000"],
      ["62,006 + 1,234", "5,000"],
      ["62,006 + 0", "0"],
    ]);
    const [header, , , third] = renderCsv(table).split("\r\n");
    expect(header).toContain("variant,parametersBackbone,parametersContexts,parametersHeads,trainingMultiplyAdds");
    expect(third).toContain("contsup,62006,1234,5000,1602360");
    const cheaper = greedy();
    for (const { record } of cheaper.filter(({ record: { variant } }) => variant === "dgl")) {
      record.summary!.cost = { ...record.summary!.cost!, training: 1_000_000 };
    }
    const best = costsOf(cheaper).rows.map((row) => row.findIndex((cell) => cell.best));
    expect(best.indexOf(3)).toBe(1); // the cell of training, wherever heads push it
  });

  it("memory: all networks, and the parts of the module with the highest peak", () => {
    const runs = greedy();
    for (const { record } of runs) record.summary!.peakBytes = 64 * 2 ** 20;
    const table = memoryTable(compareRuns(runs));
    expect(table.columns.map(({ title, unit }) => (unit ? `${title}, ${unit}` : title))).toEqual([
      "variant",
      "peak of a step, MiB",
      "parameters, MiB",
      "gradients, MiB",
      "optimizer, MiB",
      "largest module",
      "its peak, MiB",
      "activations, MiB",
      "head, MiB",
      "context, MiB", // no decoder anywhere
      "passing, MiB",
    ]);
    expect(texts(table)).toEqual([
      ["e2e", "64.0", "0.20", "0.21", "0.21", "network", "59.6", "58.6", "0.01", "0", "0.97"],
      ["dgl", "64.0", "0.21", "0.21", "0.21", "conv1-conv2", "43.9", "39.1", "1.95", "0", "2.93"],
      ["contsup", "64.0", "0.22", "0.21", "0.21", "fc1-fc3", "48.8", "0.88", "0.01", "45.9", "2.04"],
      ["matched", "64.0", "–", "–", "–", "–", "–", "–", "–", "–", "–"],
    ]);
    const contsup = renderCsv(table).split("\r\n")[3]!;
    expect(contsup).toBe(`contsup,67108864,${230 * 1024},215040,225280,fc1-fc3,51200000,921600,10240,48128000,2140160`);
    expect(memoryTable(compareRuns(syntheticRuns())).rows).toEqual([]);
  });

  it("memory: every module of every variant, the largest in bold; not where all have one", () => {
    const table = moduleMemoryTable(compareRuns(greedy()));
    expect(texts(table).map((row) => row.slice(0, 2).join(" "))).toEqual([
      "e2e network",
      "dgl conv1-conv2",
      "dgl fc1-fc3",
      "contsup conv1-conv2",
      "contsup fc1-fc3",
    ]);
    expect(texts(table)[3]!.slice(2)).toEqual(["39.1", "1.95", "0", "2.93", "43.9"]);
    expect(table.rows.map((row) => row.at(-1)!.best === true)).toEqual([false, true, false, false, true]);
    const whole = syntheticRuns({ variants: greedyVariants.slice(0, 1) });
    expect(moduleMemoryTable(compareRuns(whole)).rows).toEqual([]);
  });

  it("costs: the width of a variant that is to cost what a context would", () => {
    const widened = (runs: ReturnType<typeof greedy>) =>
      costsTable(compareRuns(runs)).notes.filter((note) => note.startsWith("Widened"));
    expect(widened(greedy())).toEqual([expect.stringMatching(/model\.width of matched: 10\.$/)]);
    expect(widened(syntheticRuns())).toEqual([]);
  });

  it("contexts: which paths a selection left, and in how many seeds where they disagree", () => {
    const agreed = greedy();
    expect(texts(contextsTable(compareRuns(agreed)))).toEqual([["contsup", "fc1-fc3", "input", "module 1"]]);
    const last = agreed.find(({ record }) => record.variant === "contsup" && record.seed === 2)!;
    last.record.summary!.contexts = [{ module: "fc1-fc3", used: ["input", "module 1"], unused: [] }];
    expect(texts(contextsTable(compareRuns(agreed)))).toEqual([
      ["contsup", "fc1-fc3", "input, module 1 (1\u00a0of\u00a02)", "module 1 (1\u00a0of\u00a02)"],
    ]);
    expect(contextsTable(compareRuns(syntheticRuns())).rows).toEqual([]);
  });

  it("contexts: a terminal is told of them, modules that agree in one row", () => {
    const runs = greedy();
    expect(renderComparison(compareRuns(runs), 100)).toContain("Context paths that were selected\n");
    for (const { record } of runs.filter(({ record: { variant } }) => variant === "contsup")) {
      record.summary!.contexts = [
        { module: "conv2", used: ["input"], unused: ["module 1"] },
        { module: "fc1", used: ["input"], unused: ["module 1"] },
        { module: "fc2", used: ["input"], unused: ["module 1"] },
        { module: "fc3", used: [], unused: ["input", "module 1"] },
      ];
    }
    const rowsAt = (width: number) => {
      const lines = renderComparison(compareRuns(runs), width).split("\n");
      const title = lines.indexOf("Context paths that were selected");
      return lines.slice(title + 2, lines.indexOf("", title + 2)).map((line) => line.trim().split(/ {2,}/));
    };
    expect(rowsAt(100)).toEqual([
      ["variant", "module", "in use", "out of use"],
      new Array(4).fill(expect.stringMatching(/^─+$/)),
      ["contsup", "conv2 … fc2", "input", "module 1"],
      ["contsup", "fc3", "–", "input, module 1"],
    ]);
    expect(rowsAt(20)[0]).toEqual(["variant", "module", "in use"]);
    expect(renderComparison(compareRuns(syntheticRuns()), 100)).not.toContain("Context paths");
  });

  it("a setting that is null and one that is absent are both not set", () => {
    const variants = [
      { name: "e2e", settings: { partition: 1, context: null, retrain: null, match: null } },
      { name: "contsup", settings: { partition: 2, context: { fromInput: true }, match: null } },
    ];
    const tables = reportTables(compareRuns(syntheticRuns({ variants, seeds: [1], nhsic: false })));
    const table = (name: string) => tables.find((one) => one.name === name)!;
    expect(texts(table("settings-that-differ"))).toEqual([
      ["partition", "1", "2"],
      ["context.fromInput", "–", "true"],
    ]);
    expect(table("settings-that-differ").notes).toEqual(["–: not set."]);
    expect(renderCsv(table("settings-that-differ"))).toContain("context.fromInput,,true");
    expect(texts(table("shared-settings"))).toContainEqual(["match", "–"]);
    expect(texts(table("shared-settings")).map(([name]) => name)).not.toContain("context");
    expect(texts(table("shared-settings")).map(([name]) => name)).not.toContain("retrain");
    expect(table("shared-settings").notes).toEqual(["–: not set."]);
  });

  it("a width that was found is among the settings that differ", () => {
    const tables = reportTables(compareRuns(greedy()));
    const differing = texts(tables.find(({ name }) => name === "settings-that-differ")!);
    expect(differing).toContainEqual(["model.width that matches the cost", "–", "–", "–", "10"]);
    expect(tables.map(({ name }) => name)).toEqual([
      "results",
      "costs",
      "memory",
      "memory-of-modules",
      "context-paths",
      "settings-that-differ",
      "shared-settings",
      "runs",
    ]);
  });

  it("a terminal is told where the memory goes, as far as fits, where variants have several modules", () => {
    const text = (width: number) => renderComparison(compareRuns(greedy()), width);
    const headerAt = (width: number) => {
      const lines = text(width).split("\n");
      const title = lines.indexOf("Where the memory goes, MiB: in a step, and in the largest module");
      expect(title).toBeGreaterThan(lines.indexOf("Parameters and multiply-adds: backbone + contexts or extras"));
      for (const line of lines.slice(title, title + 8)) expect([...line].length).toBeLessThanOrEqual(width);
      return lines[title + 2]!.trim().split(/ {2,}/);
    };
    expect(headerAt(200)).toContain("largest module");
    expect(headerAt(70)).toEqual(["variant", "peak of a step", "parameters", "activations", "head", "context"]);
    expect(renderComparison(compareRuns(syntheticRuns()), 200)).not.toContain("Where the memory goes");
  });

  const boldOf = (runs: readonly ReportRun[]) =>
    resultsTable(compareRuns(runs)).rows.flatMap((row) => row.filter(({ best }) => best).map(({ text }) => text));

  it("nothing is best where two print the same, or data or network differ", () => {
    const equal = runsWith({ e2e: [0.64, 0.64, 0.64], "layer-wise": [0.64, 0.64, 0.64004] });
    expect(boldOf(equal)).toEqual(["50.0 (63 %)"]); // 64.00 both, speeds without spread
    for (const { record } of equal) Object.assign(record.summary!, { peakBytes: 1, imagesPerSecond: 1, seconds: 1 });
    expect(boldOf(equal)).toEqual([]);
    expect(resultsTable(compareRuns(equal)).notes[0]).not.toContain("bold");
    for (const other of [{ model: { name: "mlp" } }, { data: { name: "mnist" } }]) {
      const runs = runsWith(accuracies);
      for (const { record } of runs) if (record.variant === "e2e") record.settings = { ...record.settings, ...other };
      expect(boldOf(runs)).toEqual([]);
      expect(costsOf(runs).rows.flatMap((row) => row.filter(({ best }) => best))).toEqual([]);
    }
    const runs = runsWith(accuracies);
    for (const { record } of runs.slice(0, 3)) {
      const data = record.settings.data as object;
      record.settings = { ...record.settings, data: { ...data, batch: 32, augment: { flip: true } } };
    }
    expect(boldOf(runs)).toEqual(["64.60 ± 0.50", "50.0 (63 %)"]); // the same images
  });

  it("best is only what differs from every other by more than its interval", () => {
    const bold = (own: number[], other: number[], seeds?: number[]) =>
      boldOf(runsWith({ e2e: own, "layer-wise": other }, seeds)).filter((text) => !text.includes("63 %"));
    expect(bold([0.64, 0.66, 0.68], [0.63, 0.65, 0.66])).toEqual([]); // +1.33 [−0.10, +2.77]
    expect(bold([0.64, 0.66, 0.68], [0.63, 0.65, 0.669])).toEqual(["66.00 ± 2.00"]); // the same gap for every seed
    expect(bold([0.7], [0.1], [1])).toEqual([]); // one seed each
    expect(bold([0.7, 0.7, 0.7], [0.1, 0.1, 0.1])).toEqual([]); // no spread to judge by
    const three = [0.66, 0.65, 0.5].map((accuracy, at) => ({
      name: `v${at}`,
      settings: { partition: at + 1 },
      accuracy,
    }));
    const runs = syntheticRuns({ variants: three, nhsic: false });
    for (const { record } of runs) {
      const { accuracy } = three.find(({ name }) => name === record.variant)!;
      const noise = record.variant === "v1" ? 0.02 * (record.seed - 2) : 0.001 * record.seed;
      Object.assign(record.summary!, { testAccuracy: accuracy + noise, imagesPerSecond: 10_000 * accuracy });
      record.summary!.seconds = { v0: 100, v1: 80, v2: 60 }[record.variant]! + record.seed ** 2;
      record.summary!.peakBytes = 2 ** 20;
    }
    for (const [at, { record }] of runs.entries()) record.summary!.imagesPerSecond += at % 4;
    const table = resultsTable(compareRuns(runs));
    const cells = table.rows.flatMap((row) => row.flatMap((cell, at) => (cell.best ? [[at, cell.text]] : [])));
    // v0 is well above v2, but not above v1; times differ by exactly 20 s, which leaves no spread to judge by.
    expect(cells).toEqual([[6, "6,601 ± 1 (1.00 ×)"]]);
  });

  it("many variants: reference, best and worst, the rest in the table", () => {
    const values = [0.9, 0.8, 0.82, 0.85, 0.82, 0.8, 0.81];
    const made = (count: number) => {
      const variants = values
        .slice(0, count)
        .map((_, at) => ({ name: at === 0 ? "e2e" : `v${at}`, settings: { partition: at + 1 } }));
      const runs = syntheticRuns({ variants, seeds: [1] });
      runs.forEach(({ record }, at) => {
        Object.assign(record.summary!, { testAccuracy: values[at]!, peakBytes: (at === 0 ? 10 : at) * 2 ** 20 });
      });
      return runs;
    };
    const { findings } = headline(compareRuns(made(7)));
    expect(findings[0]).toBe(
      "End to end reaches 90.0 % test accuracy; of the 6 others, the best is v3 with 85.0 % (−5.0), the worst v1 with " +
        "80.0 % (−10.0, as 1 more). In brackets: the difference in points; all are in the table of results. One seed " +
        "each allows no interval.",
    );
    expect(findings[1]).toMatch(
      /: end to end ends at [^;]*; the 6 others end between \d+\.\d \(v\d\) and \d+\.\d \(v\d\)/,
    );
    expect(findings[2]).toBe(
      "Peak memory: 10.0 MiB with end to end; v1 10 % (least of the 6 others) to v6 60 % (most) of that.",
    );
    const six = headline(compareRuns(made(6))).findings;
    expect(six[0]).toContain("; v1 80.0 % (−10.0); v2 82.0 %");
    expect(six[2]).toContain("; v1 10 %, v2 20 %, v3 30 %, v4 40 % and v5 50 % of that.");
    const alike = made(7);
    for (const { record } of alike.slice(1)) record.summary!.testAccuracy = 0.1;
    expect(headline(compareRuns(alike)).findings[0]).toBe(
      "End to end reaches 90.0 % test accuracy, each of the 6 others 10.0 %: see the table of results.",
    );
  });

  it("a terminal is told of the costs however narrow it is", () => {
    const comparison = compareRuns(runsWith(accuracies));
    for (const width of [40, 80, 300]) {
      const lines = renderComparison(comparison, width).split("\n");
      const title = lines.indexOf("Parameters and multiply-adds: backbone + heads or extras");
      const table = lines.slice(title + 2, title + 6);
      expect(table.map((line) => line.trim().split(/ {2,}/))).toEqual([
        ["variant", "parameters", "training per image", "whole training", "inference"],
        new Array(5).fill(expect.stringMatching(/^─+$/)),
        ["e2e", "62,006 + 0", "1.60 M (1.00 ×)", "1.60 T (1.00 ×)", "0.65 + 0 M"],
        ["layer-wise", "62,006 + 25,400", "1.37 M (0.85 ×)", "1.37 T (0.85 ×)", "0.65 + 0 M"],
      ]);
      expect(Math.max(...table.map((line) => [...line].length))).toBeLessThanOrEqual(80);
    }
  });

  it("one seed: no spread, no interval, nothing that is not a number", () => {
    const runs = runsWith({ e2e: [0.6], "layer-wise": [0.61] }, [1]);
    const table = resultsTable(compareRuns(runs));
    expect(texts(table)[1]!.slice(0, 4)).toEqual(["layer-wise", "61.00", "1", "+1.00"]);
    expect(table.notes[1]).toContain("No interval where there are too few seeds");
    expect(headline(compareRuns(runs)).findings[0]).toBe(
      "End to end reaches 60.0 % test accuracy, layer-wise 61.0 %: 1.0 points ahead. One seed each allows no interval.",
    );
  });

  it("says what came out in words", () => {
    const { setting, findings } = headline(compareRuns(runsWith(accuracies)));
    expect(setting).toBe(
      "lenet5 on cifar10, 50,000 training and 10,000 test images, 20 epochs, 3 seeds: 2 ways of training compared.",
    );
    expect(findings[0]).toBe(
      "End to end reaches 64.6 % test accuracy, layer-wise 63.8 %: a gap of 0.8 points [0.4, 1.2]. " +
        "The 95 % interval (over 3 shared seeds) excludes zero.",
    );
    expect(findings[1]).toMatch(
      /^nHSIC\(X,Z\) of the first stage \(conv1\): end to end ends at 107\.\d.*; layer-wise ends/,
    );
    expect(findings[2]).toBe("Peak memory: 80.0 MiB with end to end; layer-wise 63 % of that.");
    const same = headline(compareRuns(runsWith({ e2e: [0.64, 0.65, 0.66], "layer-wise": [0.65, 0.64, 0.66] })));
    expect(same.findings[0]).toContain("includes zero: these seeds do not show a difference");
    expect(headline(compareRuns([])).findings).toEqual(["No run has finished."]);
  });

  const findingOf = (values: Record<string, number[]>) => headline(compareRuns(runsWith(values))).findings[0];

  it("seeds only partly shared: the printed means are those the difference lies between, and it says so", () => {
    const values = { e2e: [0.9, 0.91, 0.5], "layer-wise": [0.8, 0.82] };
    // Differences 10 and 9 points: mean 9.5, half-width 12.7062 · 0.5 = 6.35.
    expect(findingOf(values)).toBe(
      "Over the 2 shared seeds, end to end reaches 90.5 % test accuracy, layer-wise 81.0 %: a gap of 9.5 points " +
        "[3.1, 15.9]. The 95 % interval (over 2 shared seeds) excludes zero. " +
        "Mean over all seeds a variant has: end to end 77.0 % (3).",
    );
    const table = resultsTable(compareRuns(runsWith(values)));
    expect(texts(table)[1]![3]).toBe("−9.50 [−15.85, −3.15]");
    expect(table.notes[1]).toContain(
      "The difference of layer-wise is over the 2 shared seeds only, where its mean is 81.00 % and that of e2e 90.50 %.",
    );
    expect(resultsTable(compareRuns(runsWith(accuracies))).notes[1]).not.toContain("only, where");
  });

  it("three seeds against one: says truly why there is no interval", () => {
    expect(findingOf({ e2e: [0.9, 0.91, 0.5], "layer-wise": [0.8] })).toBe(
      "Over the one shared seed, end to end reaches 90.0 % test accuracy, layer-wise 80.0 %: a gap of 10.0 points. " +
        "One shared seed allows no interval. Mean over all seeds a variant has: end to end 77.0 % (3).",
    );
    const apart = [...runsWith({ e2e: [0.9, 0.91, 0.5] }), ...runsWith({ "layer-wise": [0.8] }, [7])];
    expect(headline(compareRuns(apart)).findings[0]).toBe(
      "End to end reaches 77.0 % test accuracy, layer-wise 80.0 %: 3.0 points ahead. " +
        "3 against 1 seed, none shared, allow no interval.",
    );
  });

  it("equal differences: claims nothing from an interval without width", () => {
    const values = { e2e: [0.6, 0.7], "layer-wise": [0.605, 0.705] };
    expect(findingOf(values)).toBe(
      "End to end reaches 65.0 % test accuracy, layer-wise 65.5 %: 0.5 points ahead. " +
        "The 2 shared seeds differ by the same amount: there is no spread to judge by, hence no interval.",
    );
    const table = resultsTable(compareRuns(runsWith(values)));
    expect(texts(table)[1]![3]).toBe("+0.50");
    expect(table.notes[1]).toContain("no spread to judge by");
    expect(table.notes[1]).not.toContain("95 %");
  });

  it("several variants: each difference with its own seeds, and a reason for each missing interval", () => {
    const names = ["e2e", "two", "flat", "one"];
    const values: Record<string, number[]> = {
      e2e: [0.9, 0.91, 0.5],
      two: [0.8, 0.82],
      flat: [0.89, 0.9, 0.49],
      one: [0.7],
    };
    const variants = names.map((name, index) => ({ name, settings: { partition: index + 1 } }));
    const runs = syntheticRuns({ variants }).flatMap((run) => {
      const testAccuracy = values[run.record.variant]![run.record.seed - 1];
      if (testAccuracy === undefined) return [];
      return [{ ...run, record: { ...run.record, summary: { ...run.record.summary!, testAccuracy } } }];
    });
    expect(headline(compareRuns(runs)).findings[0]).toBe(
      "End to end reaches 77.0 % test accuracy; two 81.0 % (−9.5 [−15.9, −3.1] over the 2 shared seeds: 81.0 % against " +
        "90.5 %); flat 76.0 % (−1.0); one 70.0 % (−20.0 over the one shared seed: 70.0 % against 90.0 %). In brackets: " +
        "the difference in points and its 95 % interval. No interval for flat (no spread to judge by) and one (too few " +
        "seeds).",
    );
    const first = runs.filter((run) => run.record.seed === 1);
    expect(headline(compareRuns(first)).findings[0]).toContain("points. One seed each allows no interval.");
  });

  it("tells settings that differ from those that are shared", () => {
    const tables = reportTables(compareRuns(syntheticRuns()));
    const table = (name: string) => texts(tables.find((one) => one.name === name)!);
    expect(table("settings-that-differ")).toEqual([
      ["partition", "1", "stage"],
      ["objective.head", "none", "linear"],
    ]);
    const shared = Object.fromEntries(table("shared-settings"));
    expect(shared).toMatchObject({
      "optimizer.schedule.milestones": "[200, 300]",
      "objective.loss": "cross-entropy",
      seeds: "1, 2, 3",
      "libtorch version": "2.6.0",
      CPU: "Example CPU 3000",
    });
    expect(shared).not.toHaveProperty("partition");
    expect(table("runs")[0]!.at(-1)).toBe("stopgrad train papers/lenet5-cifar10.yaml --variant e2e seeds=[1]");
  });

  it("information plane: a row a stage and variant, m beside the values", () => {
    const tables = reportTables(compareRuns(syntheticRuns()));
    const table = tables.find((one) => one.name === "information-plane")!;
    expect(table.rows).toHaveLength(10);
    expect(texts(table)[0]!.slice(0, 2)).toEqual(["conv1", "e2e"]);
    expect(texts(table)[1]!.slice(0, 2)).toEqual(["conv1", "layer-wise"]);
    expect(texts(table).every((row) => row[4] === "128")).toBe(true);
    expect(texts(table)[9]!.slice(7)).toEqual(["rises then falls", "still rising", "3 of 3"]);
    expect(tables.find((one) => one.name === "plane-over-stages")!.rows).toHaveLength(2);
    expect(table.notes[0]).toContain("noise biases it slightly upwards");
  });

  it("differences in the plane: digits that tell them apart, and why where there is no interval", () => {
    const table = (runs: readonly ReportRun[]) =>
      reportTables(compareRuns(runs)).find(({ name }) => name === "plane-differences")!;
    const units = ({ columns }: Table) => columns.slice(3).map(({ unit }) => unit);
    const several = table(syntheticRuns());
    expect(units(several)).toEqual(["[95 %]", "[95 %]", "[95 %]", "[95 %]"]);
    expect(texts(several)[0]![3]).toMatch(/^[+−]\d\S+ \[\S+, \S+\]$/);
    expect(texts(several).flat().join(" ")).not.toContain("0.000 ");
    const bare = texts(several).flatMap((row) => row.slice(3).filter((text) => text !== "–" && !text.includes("[")));
    expect(bare).toContain("0"); // a stage whose nHSIC(Y,Z) never falls, in no run
    expect(several.notes.join(" ")).toContain("are equal: no spread to judge by");
    expect(several.notes.join(" ")).not.toContain("too few seeds");
    const single = table(syntheticRuns({ seeds: [1] }));
    expect(units(single)).toEqual([undefined, undefined, undefined, undefined]);
    expect(single.notes.join(" ")).toContain("No interval where there are too few seeds for one.");
    const equal = syntheticRuns({ seeds: [1, 2] });
    const first = (variant: string) => equal.find(({ record }) => record.variant === variant && record.seed === 1)!;
    for (const run of equal) run.metrics = first(run.record.variant).metrics;
    expect(table(equal).notes.join(" ")).toContain("are equal: no spread to judge by");
  });

  it("linear separability: train and test accuracy of each stage with their intervals, fractions in CSV", () => {
    const runs = syntheticRuns({ probes: true, nhsic: false });
    for (const { record } of runs) {
      for (const stage of record.summary!.stages) stage.probeTest = 0.5 + 0.01 * record.seed;
      if (record.variant === "layer-wise") record.summary!.stages[1]!.probeTrain = null;
    }
    const table = linearSeparabilityTable(compareRuns(runs));
    // Seeds 0.51, 0.52, 0.53: half-width 4.302653 · 0.01 / √3 = 0.0248414.
    expect(table.rows).toHaveLength(10);
    expect(texts(table)[6]).toEqual(["layer-wise", "conv2", "–", "52.00 [49.52, 54.48]"]);
    expect(table.columns.map(({ title, unit }) => [title, unit]).slice(2)).toEqual([
      ["train accuracy", "%"],
      ["test accuracy", "%"],
    ]);
    const [header, line] = renderCsv(table).split("\r\n");
    expect(header).toBe(
      "variant,stage,probeTrainMean,probeTrainLow,probeTrainHigh,probeTestMean,probeTestLow,probeTestHigh",
    );
    expect(Number(line!.split(",")[5])).toBeCloseTo(0.52, 10);
    expect(linearSeparabilityTable(compareRuns(syntheticRuns())).rows).toEqual([]);
    expect(reportTables(compareRuns(runs)).map(({ name }) => name)).toContain("linear-separability");
  });

  it("information: only what was measured", () => {
    const runs = syntheticRuns({ information: true, nhsic: false, seeds: [1] });
    const table = informationTable(compareRuns(runs));
    expect(table.columns.map(({ title }) => title).slice(2)).toEqual([
      "label: information, at least",
      "label: test accuracy",
      "image: error",
    ]);
    const [stage] = runs[0]!.record.summary!.stages;
    expect(table.rows[0]!.slice(2).map(({ data }) => data[0])).toEqual([
      stage!.informationY,
      stage!.informationAccuracy,
      stage!.reconstructionError,
    ]);
    for (const { record } of runs) for (const one of record.summary!.stages) one.reconstructionError = null;
    expect(informationTable(compareRuns(runs)).columns).toHaveLength(4);
    expect(informationTable(compareRuns(syntheticRuns())).rows).toEqual([]);
  });

  it("lists failed runs with their error, and leaves out tables with nothing to say", () => {
    const runs = syntheticRuns({ nhsic: false, variants: [twoVariants[0]!] });
    runs[2]!.record = { ...runs[2]!.record, status: "failed", summary: null, error: "peak memory | exceeded" };
    const tables = reportTables(compareRuns(runs));
    expect(tables.map((table) => table.name)).toEqual([
      "results",
      "costs",
      "shared-settings",
      "runs",
      "runs-without-result",
    ]);
    expect(texts(tables[4]!)).toEqual([["e2e", "3", "run-e2e-3", "failed", "peak memory | exceeded"]]);
  });

  it("gives every cell as many values as its column has fields", () => {
    const all = [syntheticRuns({ seeds: [1, 2] }), greedy()].flatMap((runs) => reportTables(compareRuns(runs)));
    for (const table of all) {
      for (const row of table.rows) {
        expect(row.map((cell) => cell.data.length)).toEqual(table.columns.map((column) => column.fields.length));
        expect(JSON.stringify(row)).not.toMatch(/NaN|undefined|Infinity/);
      }
    }
  });
});
