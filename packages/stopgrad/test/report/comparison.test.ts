import { describe, expect, it } from "vitest";
import { compareRuns, flattenSettings, mergeOrder, trajectory } from "../../src/report/comparison.js";
import { headline, type ReportRun, resultsTable } from "../../src/report/index.js";
import { syntheticRuns } from "./synthetic.js";

const change = (run: ReportRun, record: Partial<ReportRun["record"]>): ReportRun => ({
  record: { ...run.record, ...record },
  metrics: run.metrics,
});

describe("runs put in order", () => {
  it("groups by variant, seeds ascending, end to end as reference wherever it stands", () => {
    const runs = syntheticRuns();
    const { variants, reference, stages } = compareRuns([...runs].reverse());
    expect(variants.map((variant) => variant.label)).toEqual(["layer-wise", "e2e"]);
    expect(variants[0]!.completed.map((run) => run.record.seed)).toEqual([1, 2, 3]);
    expect(reference!.label).toBe("e2e");
    expect(stages).toEqual(["conv1", "conv2", "fc1", "fc2", "fc3"]);
  });

  it("compares with the first variant where none is end to end", () => {
    const runs = syntheticRuns({
      variants: [
        { name: "a", settings: { partition: "stage" } },
        { name: "b", settings: { partition: 1, rule: "forward-forward" } },
      ],
    });
    expect(compareRuns(runs).reference!.label).toBe("a");
  });

  it("never mixes runs whose settings differ", () => {
    const runs = [...syntheticRuns({ epochs: 5, seeds: [1] }), ...syntheticRuns({ epochs: 20, seeds: [1] })];
    expect(compareRuns(runs).variants.map((variant) => variant.label)).toEqual([
      "e2e (epochs=5)",
      "layer-wise (epochs=5)",
      "e2e (epochs=20)",
      "layer-wise (epochs=20)",
    ]);
    const [one, other] = syntheticRuns({ seeds: [1, 2] });
    other!.record = { ...other!.record, settings: { ...other!.record.settings, checkpoint: { every: 5 }, threads: 1 } };
    expect(compareRuns([one!, other!]).variants).toHaveLength(1); // neither decides a result
    const two = compareRuns([...syntheticRuns({ name: "mnist" }), ...syntheticRuns({ name: "cifar" })]);
    expect(two.variants.map((variant) => variant.label)).toContain("cifar: layer-wise");
  });

  it("takes a setting that is null for one that a record does not have", () => {
    const [one, other] = syntheticRuns({ seeds: [1, 2] });
    const settings = { ...other!.record.settings, match: null, context: null };
    expect(compareRuns([one!, change(other!, { settings })]).variants).toHaveLength(1);
    const third = change(other!, { settings: { ...settings, match: "inference" } });
    expect(compareRuns([one!, third]).variants.map(({ label }) => label)).toEqual([
      "e2e (match=none)",
      "e2e (match=inference)",
    ]);
    expect([...flattenSettings({ context: null, a: { b: null } }, "off")]).toEqual([
      ["context", "off"],
      ["a.b", "off"],
    ]);
  });

  it("names every setting that tells two rows of one variant apart", () => {
    const [one, other] = syntheticRuns({ seeds: [1, 2] });
    const settings = other!.record.settings as Record<string, object>;
    const changed = {
      ...settings,
      optimizer: { ...settings.optimizer, learningRate: 0.25, name: "sgd" },
      data: { ...settings.data, train: 100, batch: 32 },
      model: { name: "mlp", width: 8 },
    };
    const { variants } = compareRuns([one!, change(other!, { settings: changed })]);
    expect(variants.map(({ label }) => label)).toEqual([
      "e2e (data.train=50000, data.batch=128, model.name=lenet5, optimizer.name=adam, optimizer.learningRate=0.0005, model.width=none)",
      "e2e (data.train=100, data.batch=32, model.name=mlp, optimizer.name=sgd, optimizer.learningRate=0.25, model.width=8)",
    ]);
  });

  it("of many such settings names as few as tell the rows apart", () => {
    const runs = syntheticRuns({ seeds: [1, 2, 3] }).slice(0, 3);
    const observing = (run: ReportRun, k: number, bins: number) => {
      const many = Object.fromEntries(["a", "b", "c", "d", "e", "f", "g"].map((name) => [name, 10 * k + bins]));
      const observe = { knn: { k }, binning: { bins }, ...(k === 3 ? {} : { geometry: many }) };
      return change(run, { seed: 1, settings: { ...(run.record.settings as object), observe } });
    };
    const { variants } = compareRuns([observing(runs[0]!, 3, 8), observing(runs[1]!, 4, 8), observing(runs[2]!, 4, 9)]);
    expect(variants.map(({ label }) => label)).toEqual([
      "e2e (observe.knn.k=3, observe.binning.bins=8)",
      "e2e (observe.knn.k=4, observe.binning.bins=8)",
      "e2e (observe.knn.k=4, observe.binning.bins=9)",
    ]);
  });

  it("takes differences only between variants that share all other settings", () => {
    const runs = [...syntheticRuns({ epochs: 5, seeds: [1, 2] }), ...syntheticRuns({ epochs: 20, seeds: [1, 2] })];
    const comparison = compareRuns(runs);
    const pairs = comparison.variants.map(({ label, reference }) => [label, reference?.label ?? null]);
    expect(pairs).toEqual([
      ["e2e (epochs=5)", null],
      ["layer-wise (epochs=5)", "e2e (epochs=5)"],
      ["e2e (epochs=20)", null],
      ["layer-wise (epochs=20)", "e2e (epochs=20)"],
    ]);
    const accuracy = (index: number) => comparison.variants[index]!.completed.map((run) => run.record.summary!);
    const mean = (values: number[]) => values.reduce((a, b) => a + b) / values.length;
    const table = resultsTable(comparison);
    const column = table.columns.findIndex(({ fields }) => fields[0] === "difference");
    expect(table.columns[column]!.title).toBe("difference to its reference");
    expect(table.rows[0]![column]!.data[0]).toBeNull();
    for (const [at, own] of [
      [1, 0],
      [3, 2],
    ] as const) {
      const expected =
        mean(accuracy(at).map(({ testAccuracy }) => testAccuracy)) -
        mean(accuracy(own).map(({ testAccuracy }) => testAccuracy));
      expect(table.rows[at]![column]!.data[0]).toBeCloseTo(expected, 12);
      const memory = table.rows[at]!.find(({ text }) => text.endsWith(" %)"))!;
      expect(memory.data.at(-1)).toBeCloseTo(accuracy(at)[0]!.peakBytes / accuracy(own)[0]!.peakBytes, 12);
    }
    expect(table.notes.join(" ")).toContain("Reference: e2e (epochs=5) of layer-wise (epochs=5); e2e (epochs=20) of");
    const { findings } = headline(comparison);
    expect(findings.filter((sentence) => sentence.includes("reaches"))).toHaveLength(2);
    expect(findings[0]).toContain("layer-wise (epochs=5)");
    expect(findings[1]).toContain("layer-wise (epochs=20)");
  });

  it("takes none where a variant is alone with its settings, and says so", () => {
    const [e2e] = syntheticRuns({ epochs: 5, seeds: [1] });
    const [, layerWise] = syntheticRuns({ epochs: 20, seeds: [1] });
    const others = syntheticRuns({ epochs: 40, seeds: [1] });
    const comparison = compareRuns([e2e!, change(layerWise!, { variant: "layer-wise" }), ...others]);
    expect(comparison.variants.map(({ reference }) => reference?.label ?? null)).toEqual([
      null,
      null,
      null,
      "e2e (epochs=40)",
    ]);
    expect(comparison.remarks).toEqual([
      "Not all runs share their settings. Differences are between variants that do. Without a difference, because no " +
        "other variant shares theirs: e2e (epochs=5), layer-wise (epochs=20).",
    ]);
    const table = resultsTable(comparison);
    const column = table.columns.findIndex(({ fields }) => fields[0] === "difference");
    expect(table.rows.map((row) => row[column]!.data[0] !== null)).toEqual([false, false, false, true]);
    const two = compareRuns([...syntheticRuns({ name: "mnist" }), ...syntheticRuns({ name: "cifar" })]);
    expect(two.variants.map(({ reference }) => reference?.label ?? null)).toEqual([
      null,
      "mnist: e2e",
      null,
      "cifar: e2e",
    ]);
  });

  it("says which numbers of a row depend on settings that do not tell runs apart", () => {
    const [one, other] = syntheticRuns({ seeds: [1, 2] });
    other!.record = { ...other!.record, settings: { ...other!.record.settings, threads: 2 } };
    one!.record = { ...one!.record, settings: { ...one!.record.settings, threads: 1 } };
    expect(compareRuns([one!, other!]).remarks).toEqual([
      "e2e: its runs differ in threads (1, 2), which speed, time and memory depend on.",
    ]);
  });

  it("counts a repeated seed once, the latest run, and says so", () => {
    const [run] = syntheticRuns({ seeds: [1] });
    const later = change(run!, { id: "later", createdAt: "2025-02-01T00:00:00Z" });
    const { variants, remarks } = compareRuns([later, run!]);
    expect(variants[0]!.completed.map((one) => one.record.id)).toEqual(["later"]);
    expect(remarks).toEqual(["e2e: of 2 runs with the same seed and settings only the latest is counted."]);
  });

  it("keeps failed and unfinished runs out of every number, and names them", () => {
    const runs = syntheticRuns();
    const failed = change(runs[0]!, { status: "failed", error: "loss is NaN", summary: null });
    const running = change(runs[3]!, { status: "running", summary: null });
    const result = compareRuns([failed, runs[1]!, running]);
    expect(result.withoutResult.map((record) => record.status)).toEqual(["failed", "running"]);
    expect(result.variants[0]!.completed).toHaveLength(1);
    expect(result.variants[1]!.completed).toHaveLength(0);
    expect(result.variants[1]!.drawn).toHaveLength(1);
    expect(result.remarks).toEqual(["layer-wise: no run has finished yet; its charts show what was measured so far."]);
  });

  it("drops losses and accuracies that are not finite and says how many", () => {
    const [run] = syntheticRuns({ seeds: [1] });
    run!.metrics.push({ epoch: 21, step: 1, key: "trainLoss", stage: "", value: Number.NaN, standardError: null });
    expect(compareRuns([run!]).remarks[0]).toMatch(/^1 recorded loss or accuracy was not finite/);
    expect(trajectory(run!, "trainLoss").at(-1)!.epoch).toBe(20);
  });

  it("a measure that refuses a stage is no alarm: which, of which stages, and why", () => {
    const runs = syntheticRuns({ seeds: [1, 2] });
    const missing = (key: string, stage: string, epoch: number) => ({
      ...{ key, stage, epoch, step: epoch, value: Number.NaN, standardError: null },
    });
    for (const { record, metrics } of runs) {
      record.settings.observe = { ksg: { pairs: "labels", largestDimension: 20 }, binning: { largestDimension: 5000 } };
      for (const stage of ["conv1", "conv2"]) {
        metrics.push(missing("ksgXZ", stage, 1), missing("ksgYZ", stage, 1), missing("ksgYZ", stage, 2));
      }
      metrics.push(missing("binningYZ", "fc1", 1));
    }
    const { remarks, notes } = compareRuns(runs);
    expect(remarks).toEqual([]);
    expect(notes).toEqual([
      "Not measured: KSG(Y, Z) of stages wider than 20 features a sample (conv1 and conv2); " +
        "binning(Y, Z) of fc1 (no finite number, 4 times).",
    ]);
    expect(compareRuns(syntheticRuns()).notes).toEqual([]);
    runs[0]!.metrics.push(missing("localLoss", "conv1", 1));
    expect(compareRuns(runs).remarks[0]).toMatch(/^1 recorded loss or accuracy was not finite/);
  });

  it("reads a trajectory in order, the last of two at the same epoch", () => {
    const [run] = syntheticRuns({ seeds: [1] });
    const point = { step: 0, key: "k", stage: "s", standardError: null };
    run!.metrics = [2, 1, 1].map((epoch, index) => ({ ...point, epoch, value: index }));
    expect(trajectory(run!, "k", "s")).toEqual([
      { epoch: 1, value: 2 },
      { epoch: 2, value: 0 },
    ]);
  });

  it("merges stage lists of different networks in network order", () => {
    expect(
      mergeOrder([
        ["a", "c"],
        ["a", "b", "c", "d"],
        ["x", "c", "y"],
      ]),
    ).toEqual(["x", "a", "b", "c", "y", "d"]);
    expect([...flattenSettings({ seed: 1, data: { name: "x", sizes: [1, 2] }, objective: {} })]).toEqual([
      ["data.name", "x"],
      ["data.sizes", "[1, 2]"],
      ["objective", "{}"],
    ]);
  });
});
