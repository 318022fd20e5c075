// A chart specification as SVG, without a browser and without a canvas. The library is loaded on first use: it takes
// a noticeable part of a second, which commands that draw nothing should not pay.
import type { ChartSpec } from "./charts/index.js";

/** A Vega-Lite specification as SVG text that stands for itself. Fails where the specification is wrong. */
export async function renderSvg(spec: ChartSpec): Promise<string> {
  const [vega, vegaLite] = await Promise.all([import("vega"), import("vega-lite")]);
  const logger = vega.logger(vega.Error);
  // A copy: the library marks the data objects it reads, and the same specification is drawn and saved again.
  const copy = JSON.parse(JSON.stringify(spec)) as ChartSpec;
  const view = new vega.View(vega.parse(vegaLite.compile(copy, { logger }).spec), { renderer: "none", logger });
  try {
    vega.resetSVGDefIds(); // gradients are numbered from 0 again: the same chart is the same text
    return await view.toSVG();
  } finally {
    view.finalize();
  }
}
