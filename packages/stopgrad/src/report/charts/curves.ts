// A number over epochs, a colour a variant: the mean over seeds as a line, its interval as a band.
import { type BandPoint, band, domain, thin } from "../chart-data.js";
import { trajectory, type Variant } from "../comparison.js";
import { splitScale, variantFields, variantScale } from "./colours.js";
import { positionAxis, significant } from "./numbers.js";

interface CurvePoint extends BandPoint {
  variant: string;
  variantKey: string;
  split: string;
}

export function curve(
  variant: Variant,
  key: string,
  stage: string,
  limit: number,
  { split = "", times = 1 }: { split?: string; times?: number } = {},
): CurvePoint[] {
  return thin(band(variant.drawn.map((run) => trajectory(run, key, stage))), limit).map((point) => ({
    ...variantFields(variant),
    split,
    epoch: point.epoch,
    mean: significant(times * point.mean),
    low: significant(times * point.low),
    high: significant(times * point.high),
    n: point.n,
  }));
}

export function curvePanel(
  points: readonly CurvePoint[],
  options: {
    title: object;
    width: number;
    height: number;
    xTitle: string | null;
    yTitle: string | null;
    valueTitle: string;
    colours: [string, string][];
    splits?: boolean;
    /** Invisible dots that answer the pointer; left out where there would be too many. */
    tooltips: boolean;
  },
): object {
  const epochs = points.map((point) => point.epoch);
  const last = Math.max(1e-6, ...epochs);
  const range = domain(points.flatMap((point) => [point.mean, point.low, point.high]));
  const x = { ...positionAxis("epoch", [0, last], options.width, 5, options.xTitle, true) };
  const y = positionAxis("mean", range, options.height, 5, options.yTitle);
  const color = variantScale(options.colours);
  const withBand = points.some((point) => point.n > 1);
  const layers: object[] = [];
  if (withBand) {
    layers.push({
      transform: [{ filter: "datum.n > 1" }],
      mark: { type: "area", opacity: 0.18 },
      encoding: { x, y: { ...y, field: "low" }, y2: { field: "high" }, color, detail: { field: "split" } },
    });
  }
  layers.push({
    mark: { type: "line", strokeWidth: 1.8 },
    encoding: { x, y, color, ...(options.splits ? { strokeDash: splitScale } : {}) },
  });
  if (options.tooltips) {
    layers.push({
      mark: { type: "circle", size: 60, opacity: 0 },
      encoding: {
        x,
        y,
        tooltip: [
          { field: "variant", title: "variant" },
          ...(options.splits ? [{ field: "split", title: "split" }] : []),
          { field: "epoch", title: "epoch", format: ".4~g" },
          { field: "mean", title: options.valueTitle, format: ".4~g" },
          ...(withBand
            ? [
                { field: "low", title: "95 % from", format: ".4~g" },
                { field: "high", title: "to", format: ".4~g" },
                { field: "n", title: "seeds" },
              ]
            : []),
        ],
      },
    });
  }
  return {
    title: options.title,
    width: options.width,
    height: options.height,
    data: { values: points },
    layer: layers,
  };
}

export function bandSentence(variants: readonly Variant[]): string {
  return variants.some((variant) => variant.drawn.length > 1)
    ? " Lines: mean over seeds; bands: its 95 % interval (the variants' intervals alone do not say whether they differ: " +
        "runs are paired by seed, see the results)."
    : "";
}
