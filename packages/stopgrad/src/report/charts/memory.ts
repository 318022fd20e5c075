// What each module stores in a training step: a panel a variant, a bar a module.
import type { Comparison } from "../comparison.js";
import { byteUnit } from "../format.js";
import { memoryOf, partsIn } from "../tables/memory.js";
import type { Chart } from "./chart.js";
import { colourOf } from "./colours.js";
import { grid, keyOf, labelExpr, pageWidth, titleText, topLevel } from "./look.js";
import { significant } from "./numbers.js";

/** Told apart with any colour vision, and unlike the colours of the first variants. */
const partColours = { activations: "#4477aa", head: "#ccbb44", context: "#228833", decoder: "#aa3377" };

/** Stacked bars of what modules store, with their peaks; null where no variant has several modules. */
export function memoryChart(comparison: Comparison): Chart | null {
  const all = comparison.variants.flatMap((variant) => {
    const memory = memoryOf(variant);
    return memory === null ? [] : [{ variant, memory }];
  });
  if (!all.some(({ memory }) => memory.modules.length > 1)) return null;
  const parts = partsIn(all.map(({ memory }) => memory));
  const highest = Math.max(...all.flatMap(({ memory }) => memory.modules.map(largestOf)));
  const { name: unit, per } = byteUnit(highest);
  const columns = Math.min(3, all.length);
  const longest = Math.max(...all.flatMap(({ memory }) => memory.modules.map(({ module }) => module.length)));
  const labels = Math.min(170, 20 + 8 * longest);
  const width = Math.min(420, Math.floor(pageWidth / columns) - labels - 16);
  const panels = all.map(({ variant, memory: { modules } }) => {
    const named = modules.map((module) => ({ ...module, moduleKey: keyOf(module.module) }));
    const stored = named.flatMap((module) =>
      parts.map((part, order) => ({
        module: module.module,
        moduleKey: module.moduleKey,
        part,
        order,
        size: significant(module[part] / per),
      })),
    );
    const peaks = named.map(({ module, moduleKey, peak }) => ({ module, moduleKey, peak: significant(peak / per) }));
    const y = {
      field: "moduleKey",
      type: "nominal",
      scale: { domain: named.map(({ moduleKey }) => moduleKey) },
      title: null,
      axis: { labelExpr, labelLimit: 170, ticks: false, domain: false, grid: false, labelOverlap: false },
    };
    const x = { type: "quantitative", title: unit, scale: { domain: [0, (1.03 * highest) / per || 1], nice: false } };
    const tooltip = [
      { field: "module", title: "module" },
      { field: "part", title: "stored by" },
      { field: "size", title: unit, format: ".4~g" },
    ];
    return {
      title: { text: titleText(variant.label), color: colourOf(comparison, variant) },
      width,
      height: { step: modules.length > 8 ? 15 : 22 },
      layer: [
        {
          data: { values: stored },
          mark: { type: "bar", height: modules.length > 8 ? 11 : 15 },
          encoding: {
            y,
            x: { ...x, field: "size", stack: "zero" },
            order: { field: "order" },
            color: {
              field: "part",
              type: "nominal",
              scale: { domain: [...parts], range: parts.map((part) => partColours[part]) },
              legend: { title: null, orient: "top", symbolType: "square", labelLimit: 0 },
            },
            tooltip,
          },
        },
        {
          data: { values: peaks },
          mark: { type: "tick", color: "#111111", opacity: 1, thickness: 2, height: modules.length > 8 ? 11 : 15 },
          encoding: {
            y,
            x: { ...x, field: "peak" },
            tooltip: [
              { field: "module", title: "module" },
              { field: "peak", title: `peak (${unit})`, format: ".4~g" },
            ],
          },
        },
      ],
    };
  });
  return {
    name: "memory-of-modules",
    title: "Memory of each module",
    caption:
      "Bars: what a module stores between its forward and its backward pass in a step. Black line: the most that was alive " +
      "while it learned, gradients on their way among it; the module whose line is furthest decides the variant's peak.",
    spec: topLevel([grid(panels, columns, { color: "shared" })], { color: "shared" }),
  };
}

function largestOf(module: { activations: number; head: number; context: number; decoder: number; peak: number }) {
  return Math.max(module.peak, module.activations + module.head + module.context + module.decoder);
}
