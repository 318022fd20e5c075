// A baseline that costs what another network costs: contexts run at inference too, and the same multiply-adds can be spent
// on a wider backbone instead. Finds the width whose inference is nearest to that of the network with its contexts.
import { countMultiplyAdds, Generator, noGrad, scope, zeros } from "@stopgrad/torch";
import type { TrainingData } from "../rules/index.js";
import { createBackbone, createRule, type ImageKind, networkShape } from "./create-rule.js";
import type { RunSettings } from "./run-settings.js";

/** A width no network here is ever wider than: four powers of two above any usual one. */
const WIDEST = 8192;

/** The settings with the width that costs what their context would, and without the context. */
export function matchedSettings(settings: RunSettings, images: ImageKind, training: TrainingData): RunSettings {
  const wanted = inferenceWithContext({ ...settings, match: null }, images, training);
  const withWidth = (width: number): RunSettings => ({ ...settings, model: { ...settings.model, width } });
  const costs = new Map<number, number>();
  const costOf = (width: number) => {
    const known = costs.get(width) ?? inferenceOf(withWidth(width), images);
    costs.set(width, known);
    return known;
  };
  let [least, most] = [1, 2];
  while (costOf(most) < wanted && most < WIDEST) [least, most] = [most, 2 * most];
  while (most - least > 1) {
    const middle = Math.floor((least + most) / 2);
    if (costOf(middle) < wanted) least = middle;
    else most = middle;
  }
  const nearest = wanted - costOf(least) < costOf(most) - wanted ? least : most;
  return withWidth(nearest);
}

/** Multiply-adds of one image through the backbone alone. */
function inferenceOf(settings: RunSettings, images: ImageKind): number {
  return scope(() => {
    const backbone = createBackbone({ ...settings, device: "cpu" }, images, new Generator(0));
    backbone.eval();
    const image = zeros([1, ...networkShape(settings, images.shape)]);
    const { forward } = countMultiplyAdds(() => noGrad(() => scope(() => void backbone.forward(image))));
    backbone.dispose();
    return forward;
  });
}

/** Of the network with its contexts. */
function inferenceWithContext(settings: RunSettings, images: ImageKind, training: TrainingData): number {
  return scope(() => {
    const generators = { dropout: new Generator(0), rule: new Generator(0) };
    // All at once, or the head of the module that learns would predict, and those above it would cost nothing.
    const together = { ...settings, device: "cpu", schedule: { name: "simultaneous" } };
    const rule = createRule(together, images, generators, training);
    rule.backbone.eval();
    const image = zeros([1, ...images.shape]);
    const { forward } = countMultiplyAdds(() => noGrad(() => scope(() => void rule.logits(image))));
    rule.dispose();
    return forward;
  });
}
