// Which variants have measured the information plane where.
import type { Variant } from "../comparison.js";

export function measured(variant: Variant, stage: string): boolean {
  return variant.drawn.some((run) => run.metrics.some((point) => isPlane(point) && point.stage === stage));
}

export function isPlane(point: { key: string; value: number }): boolean {
  return (point.key === "nhsicXZ" || point.key === "nhsicYZ") && Number.isFinite(point.value);
}
