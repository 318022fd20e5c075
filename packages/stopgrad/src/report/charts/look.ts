// The look that all charts share: page, fonts, panels in rows, and names made safe for the charting library.
// Panels are concatenated, not faceted, because ranges must be equal within a stage over variants and free between
// stages, which a facet cannot say.
import type { ChartSpec } from "./chart.js";

/** Widest chart, in pixels: what fits a page. */
export const pageWidth = 1140;

const font = "Helvetica, Arial, sans-serif";

/** The whole chart: bands of panels one below the other, with the look all charts share. */
export function topLevel(rows: readonly object[], scales: Record<string, string>): ChartSpec {
  const spec = {
    $schema: "https://vega.github.io/schema/vega-lite/v6.json",
    background: "white",
    padding: 8,
    ...(rows.length === 1 ? rows[0] : { vconcat: rows, spacing: 26, resolve: resolve(scales) }),
    config: {
      font,
      aria: false,
      mark: { tooltip: null },
      view: { stroke: "#d0d0d0" },
      axis: {
        labelFontSize: 11,
        titleFontSize: 12,
        titleFontWeight: "normal",
        labelColor: "#333333",
        titleColor: "#222222",
        gridColor: "#ececec",
        domainColor: "#999999",
        tickColor: "#999999",
        labelOverlap: "parity",
        titlePadding: 6,
      },
      title: {
        anchor: "start",
        frame: "group",
        fontSize: 13,
        subtitleFontSize: 11,
        color: "#111111",
        offset: 6,
        subtitlePadding: 2,
        limit: 0,
      },
      legend: { labelFontSize: 12, titleFontSize: 12, titleFontWeight: "normal", labelColor: "#222222" },
    },
  };
  return spec as unknown as ChartSpec;
}

/** Panels in rows of `columns`, each column as wide as its widest. */
export function grid(panels: readonly object[], columns: number, scales: Record<string, string>): object {
  return { concat: panels, columns, align: "all", spacing: { row: 14, column: 16 }, resolve: resolve(scales) };
}

function resolve(scales: Record<string, string>): object {
  return Object.keys(scales).length === 0 ? {} : { scale: scales, legend: scales };
}

/**
 * A name as scales and groups use it. The library keeps groups in plain objects, where `constructor` or `__proto__`
 * would be found before it is put there; no name that begins with a colon is.
 */
export function keyOf(name: string): string {
  return `:${name}`;
}

/** A name as a title, with an invisible space after those that the library would take for its own. */
export function titleText(name: string): string {
  return name in Object.prototype ? `${name} ` : name;
}

/** The name of a key again, for axes and legends. */
export const labelExpr = "slice(datum.value, 1)";
