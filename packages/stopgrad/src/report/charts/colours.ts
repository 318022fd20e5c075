// One colour a variant, the same in every chart: the Okabe–Ito set, told apart with any colour vision (its yellow, too
// pale for lines on white, replaced by a grey). Twelve more follow, each chosen as far as can be from all before it in
// CIELAB, as seen with full colour vision and without green. More than eight variants have a shape as well, so that no
// two look alike. A chart's legend of variants, and train and test as dashes.
import type { Comparison, Variant } from "../comparison.js";
import { keyOf, labelExpr, pageWidth } from "./look.js";

/**
 * One colour a variant, in order; also for terminals and pages that name variants beside the charts. The first eight are
 * told apart with any colour vision.
 */
export const variantColours = [
  "#0072b2",
  "#d55e00",
  "#009e73",
  "#cc79a7",
  "#e69f00",
  "#56b4e9",
  "#000000",
  "#888888",
  "#0000ff",
  "#2d0078",
  "#69000f",
  "#ff1e5a",
  "#b45aff",
  "#785a00",
  "#a50087",
  "#4b1e4b",
  "#0f4b3c",
  "#005ae1",
  "#e19687",
  "#0000b4",
] as const;

/** Variants that colours alone tell apart; where there are more, each run of so many has a shape of its own too. */
const toldByColour = 8;

const shapes = ["circle", "square", "triangle-up", "diamond", "cross", "triangle-down"] as const;

export function colourOf(comparison: Comparison, variant: Variant): string {
  return variantColours[comparison.variants.indexOf(variant) % variantColours.length]!;
}

/** How charts draw a variant. */
export interface Look {
  label: string;
  colour: string;
  /** Null where its colour alone tells it apart: at most eight variants are compared. */
  shape: (typeof shapes)[number] | null;
}

export function looksOf(comparison: Comparison, variants: readonly Variant[]): Look[] {
  const several = comparison.variants.length > toldByColour;
  return variants.map((variant) => {
    const index = comparison.variants.indexOf(variant);
    const shape = several ? shapes[Math.floor(index / toldByColour) % shapes.length]! : null;
    return { label: variant.label, colour: colourOf(comparison, variant), shape };
  });
}

/** Whether shapes are needed beside colours. */
export function hasShapes(looks: readonly Look[]): boolean {
  return looks.some(({ shape }) => shape !== null);
}

export function variantFields({ label }: Variant): { variant: string; variantKey: string } {
  return { variant: label, variantKey: keyOf(label) };
}

/** A variant's colour; the legend shows it as a stroke, with its shape where it has one. @param pixels - for the legend */
export function variantScale(looks: readonly Look[], pixels = pageWidth) {
  return {
    field: "variantKey",
    type: "nominal",
    scale: { domain: looks.map(({ label }) => keyOf(label)), range: looks.map(({ colour }) => colour) },
    legend: variantLegend(looks, pixels),
  };
}

/** A variant's shape, for points; in the same legend as its colour. */
export function shapeScale(looks: readonly Look[], pixels = pageWidth) {
  return {
    field: "variantKey",
    type: "nominal",
    scale: { domain: looks.map(({ label }) => keyOf(label)), range: looks.map(({ shape }) => shape ?? "circle") },
    legend: variantLegend(looks, pixels),
  };
}

function variantLegend(looks: readonly Look[], pixels: number) {
  const longest = Math.max(...looks.map(({ label }) => label.length));
  const symbol = hasShapes(looks)
    ? { symbolSize: 90, symbolStrokeWidth: 0 }
    : { symbolType: "stroke", symbolStrokeWidth: 3, symbolSize: 300 };
  return {
    title: null,
    labelExpr,
    orient: "top",
    ...symbol,
    symbolOpacity: 1, // the bands' own opacity would make it pale
    labelLimit: 0,
    columns: Math.max(1, Math.floor(pixels / (60 + 8 * longest))),
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
