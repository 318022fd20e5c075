// Peak memory and speed as bars.
import { summariseKnown } from "../../statistics/index.js";
import type { RunSummary } from "../../store/records.js";
import type { Comparison } from "../comparison.js";
import { byteUnit, formatFixed, formatNumber } from "../format.js";
import type { Chart } from "./chart.js";
import { looksOf, variantFields, variantScale } from "./colours.js";
import { grid, keyOf, labelExpr, topLevel } from "./look.js";
import { notNegative, scaled } from "./numbers.js";

/** Bars of peak memory and of speed; null where no run has finished. */
export function costChart(comparison: Comparison): Chart | null {
  const over = (pick: (summary: RunSummary) => number) =>
    comparison.variants.flatMap((variant) => {
      const summary = summariseKnown(variant.completed.map((run) => pick(run.record.summary!)));
      return summary === null ? [] : [{ variant, summary }];
    });
  const memory = over((summary) => summary.peakBytes);
  const speed = over((summary) => summary.imagesPerSecond);
  const bytes = byteUnit(Math.max(0, ...memory.map(({ summary }) => summary.mean)));
  const panels = [
    {
      title: `Peak memory (${bytes.name})`,
      rows: memory,
      per: bytes.per,
      text: (value: number) => formatFixed(value, value < 10 ? 2 : 1),
    },
    { title: "Images per second", rows: speed, per: 1, text: formatNumber },
  ].filter(({ rows }) => rows.length > 0);
  if (panels.length === 0) return null;
  const looks = looksOf(comparison, comparison.variants);
  const specs = panels.map(({ title, rows, per, text }) => {
    const values = rows.map(({ variant, summary }) => ({
      ...variantFields(variant),
      ...scaled(summary, 1 / per, notNegative),
      text: text(summary.mean / per),
    }));
    const highest = Math.max(...values.map(({ mean, high }) => Math.max(mean, high)));
    const scale = { domain: [0, highest * 1.25 || 1], nice: false };
    const y = {
      field: "variantKey",
      type: "nominal",
      scale: { domain: rows.map(({ variant }) => keyOf(variant.label)) },
      title: null,
      axis: { labelExpr, labelLimit: 190, ticks: false, domain: false, grid: false },
    };
    const x = { field: "mean", type: "quantitative", title: null, scale, axis: { tickCount: 5 } };
    return {
      title: { text: title },
      width: 400,
      height: { step: 30 },
      data: { values },
      layer: [
        {
          mark: { type: "bar", height: 18 },
          encoding: {
            y,
            x,
            color: { ...variantScale(looks), legend: null },
            tooltip: [
              { field: "variant", title: "variant" },
              { field: "text", title },
              { field: "n", title: "seeds" },
            ],
          },
        },
        {
          transform: [{ filter: "datum.n > 1 && datum.high > datum.low" }],
          mark: { type: "rule", color: "#222222", strokeWidth: 1.5 },
          encoding: { y, x: { ...x, field: "low" }, x2: { field: "high" } },
        },
        {
          mark: { type: "text", align: "left", dx: 6, fontSize: 12 },
          encoding: { y, x: { ...x, field: "end" }, text: { field: "text" } },
          transform: [{ calculate: "max(datum.mean, datum.high)", as: "end" }],
        },
      ],
    };
  });
  return {
    name: "cost",
    title: "Memory and speed",
    caption:
      "Peak memory: most bytes of live tensors during a training step. Speed: training alone." +
      (panels.some(({ rows }) => rows.some(({ summary }) => summary.n > 1))
        ? " Mean over seeds; the line is the 95 % interval."
        : ""),
    spec: topLevel([grid(specs, 2, {})], {}),
  };
}
