import { describe, expect, it } from "vitest";
import { logTicks, quantile } from "../../src/report/chart-data.js";
import type { CurvePoint } from "../../src/report/charts/curves.js";
import { drawable, lossScale } from "../../src/report/charts/loss-scale.js";
import { compareRuns } from "../../src/report/comparison.js";
import { learningCurvesChart, renderSvg } from "../../src/report/index.js";
import { syntheticRuns } from "./synthetic.js";

// biome-ignore lint/suspicious/noExplicitAny: specifications are walked as the JSON they are.
type Json = any;

/** Losses of epochs 0, 1, 2 ... of one line. */
const line = (...losses: number[]): CurvePoint[] =>
  losses.map((mean, epoch) => ({
    variant: "v",
    variantKey: ":v",
    split: "test",
    seed: null,
    epoch,
    mean,
    low: mean - 0.1,
    high: mean + 0.1,
    n: 3,
  }));

describe("the scale of the loss", () => {
  it("holds everything where nothing is flattened", () => {
    const scale = lossScale(line(2.3, 1.8, 1.5, 1.3, 1.2, 1.1));
    expect(scale).toMatchObject({ title: "loss", outside: "" });
    expect(scale.log).toBeUndefined();
    expect(scale.range[1]).toBeGreaterThan(2.3);
    expect(scale.range[0]).toBeLessThan(1.1);
  });

  it("leaves out the untrained network's loss where that is far off, and says so", () => {
    const points = line(150, 2, 1.8, 1.5, 1.3, 1.2);
    const scale = lossScale(points);
    expect(scale.title).toBe("loss (epoch 0 cut off)");
    expect(scale.outside).toContain("at epoch 0 (the untrained network), 150.");
    expect(scale.range[1]).toBeLessThan(3);
    expect(scale.range[0]).toBeGreaterThanOrEqual(0);
    const [first, second] = drawable(points, scale);
    expect([first!.low, first!.high]).toEqual([150, 150]); // its band would cover the panel
    expect([second!.low, second!.high]).toEqual([1.9, 2.1]);
  });

  it("leaves out a few outliers of the training", () => {
    const usual = Array.from({ length: 60 }, (_, at) => 2 - at / 60);
    const scale = lossScale(line(2.3, 16, ...usual));
    expect(scale.title).toBe("loss (outliers cut off)");
    expect(scale.outside).toContain("1 outlier, 16.0.");
    expect(scale.range[1]).toBeLessThan(4);
  });

  it("is logarithmic for rules whose losses are of another scale", () => {
    const points = [...line(2.3, 2, 1.5, 1), ...line(1e6, 400, 300, 250)];
    const scale = lossScale(points);
    expect(scale).toMatchObject({ log: true, title: "loss (log; epoch 0 cut off)" });
    expect(scale.range[0]).toBeCloseTo(0.9);
    expect(scale.range[1]).toBeCloseTo(440);
    const low = [{ ...points[3]!, low: -5 }, ...line(0)];
    expect(drawable(low, scale).map((point) => point.low)).toEqual([0.9]); // no place for what is not above zero
    expect(lossScale([...line(2, 2, 1), ...line(100, 90, 80)])).toMatchObject({
      title: "loss (log scale)",
      outside: "",
    });
  });

  it("stays linear where losses are negative", () => {
    const scale = lossScale([...line(1, 0, -1, -2), ...line(50, 45, 40, 35)]);
    expect(scale.log).toBeUndefined();
    expect(scale.range[0]).toBeLessThan(-2);
    expect(scale.range[1]).toBeGreaterThan(45);
  });

  it("is never empty: one point, no epoch but 0, all the same", () => {
    for (const points of [line(2), line(2, 2, 2), line(5).slice(0, 1)]) {
      const { range, title } = lossScale(points);
      expect(range[0]).toBeLessThan(points[0]!.mean);
      expect(range[1]).toBeGreaterThan(points[0]!.mean);
      expect(title).toBe("loss");
    }
  });

  it("is the loss panel's, short enough for it; accuracy keeps its own", async () => {
    const runs = syntheticRuns({ epochs: 6, nhsic: false });
    for (const { metrics } of runs) {
      metrics.push({ epoch: 0, step: 0, key: "testLoss", stage: "", value: 19_055, standardError: null });
    }
    const chart = learningCurvesChart(compareRuns(runs))!;
    const [loss, accuracy] = (chart.spec as Json).concat;
    for (const { mark, encoding } of loss.layer) {
      expect(mark.clip).toBe(true);
      expect(encoding.y.axis.title).toBe("loss (epoch 0 cut off)");
      expect(encoding.y.scale.domain[1]).toBeLessThan(5);
    }
    expect(loss.data.values.some(({ mean }: Json) => mean === 19_055)).toBe(true);
    expect(accuracy.layer[0].mark.clip).toBeUndefined();
    expect(chart.caption).toContain("19,055");
    for (const point of runs[0]!.metrics) if (point.key.endsWith("Loss")) point.value *= 1000;
    const only = [runs[0]!, ...runs.slice(3)]; // one seed of end to end, all of the other
    const scaled = learningCurvesChart(compareRuns(only))!;
    const { scale, axis } = (scaled.spec as Json).concat[0].layer[0].encoding.y;
    expect(scale.type).toBe("log");
    expect(axis.values).toEqual([1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]);
    const svg = await renderSvg(scaled.spec);
    expect(svg).not.toMatch(/NaN|Infinity|undefined/);
    expect(svg).toContain(">1,000<");
  });

  it("quantiles lie between neighbours in proportion; ticks of a logarithmic axis are round", () => {
    expect(quantile([4, 1, 3, 2], 0)).toBe(1);
    expect(quantile([4, 1, 3, 2], 0.5)).toBe(2.5);
    expect(quantile([4, 1, 3, 2], 0.9)).toBeCloseTo(3.7, 12);
    expect(quantile([7], 0.05)).toBe(7);
    expect(logTicks([0.8, 30], 5)).toEqual([1, 2, 5, 10, 20]);
    expect(logTicks([1e-3, 1e4], 5)).toEqual([0.001, 0.01, 0.1, 1, 10, 100, 1000, 10_000]);
  });
});
