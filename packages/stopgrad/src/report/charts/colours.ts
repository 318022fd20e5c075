// One colour a variant, the same in every chart: the Okabe–Ito set, told apart with any colour vision (its yellow, too
// pale for lines on white, replaced by a grey). A chart's legend of variants, and train and test as dashes.
import type { Comparison, Variant } from "../comparison.js";
import { keyOf, labelExpr, pageWidth } from "./look.js";

/** One colour a variant, in order; also for terminals and pages that name variants beside the charts. */
export const variantColours = [
  "#0072b2",
  "#d55e00",
  "#009e73",
  "#cc79a7",
  "#e69f00",
  "#56b4e9",
  "#000000",
  "#888888",
] as const;

export function colourOf(comparison: Comparison, variant: Variant): string {
  return variantColours[comparison.variants.indexOf(variant) % variantColours.length]!;
}

export function coloursOf(comparison: Comparison, variants: readonly Variant[]): [string, string][] {
  return variants.map((variant) => [variant.label, colourOf(comparison, variant)]);
}

export function variantFields({ label }: Variant): { variant: string; variantKey: string } {
  return { variant: label, variantKey: keyOf(label) };
}

export function variantScale(colours: readonly [string, string][]) {
  const longest = Math.max(...colours.map(([label]) => label.length));
  return {
    field: "variantKey",
    type: "nominal",
    scale: { domain: colours.map(([label]) => keyOf(label)), range: colours.map(([, colour]) => colour) },
    legend: {
      title: null,
      labelExpr,
      orient: "top",
      symbolType: "stroke",
      symbolStrokeWidth: 3,
      symbolOpacity: 1, // the bands' own opacity would make it pale
      symbolSize: 300,
      labelLimit: 0,
      columns: Math.max(1, Math.floor(pageWidth / (60 + 8 * longest))),
    },
  };
}

export const splitScale = {
  field: "split",
  type: "nominal",
  scale: {
    domain: ["train", "test"],
    range: [
      [5, 3],
      [1, 0],
    ],
  },
  legend: { title: null, orient: "top", symbolType: "stroke", symbolSize: 500 },
};
