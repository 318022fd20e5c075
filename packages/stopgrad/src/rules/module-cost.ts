// What a module of given stages stores in a step, in bytes, measured on the network itself: its stages, the head and the
// decoder at its end, and what brings it the input as context at its beginning. What it is given of earlier modules
// depends on where those were cut, and is not counted; neither is what a loss stores of what the head gives.
import { Generator, scope, type Tensor, zeros } from "@stopgrad/torch";
import { ContextSupply } from "../contexts/index.js";
import { lastMapOf } from "../heads/head.js";
import { deviceOf, type FeatureShape, inPrecision, kindOf, stageShapes } from "../models/index.js";
import { ReconstructionDecoder } from "../reconstruction/index.js";
import type { RuleContext } from "./rule.js";
import { perBatch, storedBytes, storedBytesOf, storedInModule } from "./stored-bytes.js";

type Parts = Omit<RuleContext, "moduleSizes">;

/**
 * @param batch - images of a step
 * @returns bytes of a module of the stages `from` to before `end`, counted from the backbone's first
 * @throws Error when a head, decoder or context does not fit a stage's output
 */
export function moduleCost(parts: Parts, batch: number): (from: number, end: number) => number {
  const { backbone, inputShape, dropoutGenerator, classifier } = parts;
  const stages = storedBytes(backbone, inputShape, batch, [dropoutGenerator]);
  const shapes = stageShapes(backbone, inputShape);
  const count = shapes.length;
  const endOf = byShape((shape) => storedAtEnd(parts, shape, lastMapOf(shapes), batch));
  const beginningOf = byShape((shape) => storedAtBeginning(parts, shape, batch));
  const ends = shapes.map((shape, at) => {
    const predicts = at === count - 1 && classifier === "attached";
    return predicts ? 0 : endOf(shape);
  });
  const entry = (from: number) => (from === parts.frozenStages ? 0 : beginningOf(shapes[from - 1]!));
  return (from, end) => storedInModule(stages, from, end) + ends[end - 1]! + entry(from);
}

/** The same, computed once for each shape. */
function byShape(measure: (shape: FeatureShape) => number): (shape: FeatureShape) => number {
  const known = new Map<string, number>();
  return (shape) => {
    const key = shape.join();
    const bytes = known.get(key) ?? measure(shape);
    known.set(key, bytes);
    return bytes;
  };
}

/** By the head and the decoder on features of this shape. */
function storedAtEnd(parts: Parts, shape: FeatureShape, final: FeatureShape | undefined, batch: number): number {
  const { head, loss, classes, reconstruction, inputShape } = parts;
  const generator = new Generator(0);
  return scope(() => {
    const made = head.entry.create(head.options, { shape, final, classes, outputs: loss.entry.outputs, generator });
    const decoder = reconstruction && new ReconstructionDecoder(shape, inputShape, generator);
    return perBatch(batch, (images) => {
      const features = featuresOf(parts, shape, images).requiresGrad_();
      const ofHead = made ? stored(parts, made, () => made.forward(features)) : 0;
      if (!decoder) return ofHead;
      const pixels = featuresOf(parts, inputShape, images);
      return ofHead + stored(parts, decoder, () => decoder.loss(features, pixels));
    });
  });
}

/** By the node before a module that begins on features of this shape. */
function storedAtBeginning(parts: Parts, shape: FeatureShape, batch: number): number {
  const { context, inputShape } = parts;
  if (!context || context.recompute) return 0; // computed again, and written over the feature, where that is possible
  return scope(() => {
    const settings = { ...context, previousModules: context.fromInput ? 0 : 1 };
    const supply = new ContextSupply({ settings, shapes: [shape], image: inputShape, generator: new Generator(0) });
    return perBatch(batch, (images) => {
      const history = supply.begin(featuresOf(parts, inputShape, images));
      const features = featuresOf(parts, shape, images);
      const node = supply.nodes[0]!;
      const enter = () =>
        context.recompute ? node.forwardDetached(features, history) : node.forward(features, history);
      try {
        return stored(parts, supply, enter);
      } finally {
        history.dispose();
      }
    });
  });
}

function featuresOf({ backbone }: Parts, shape: FeatureShape, images: number): Tensor {
  return zeros([images, ...shape], { device: deviceOf(backbone) });
}

/** @param network - moved to the backbone's device first */
function stored(
  { backbone, precision }: Parts,
  network: { to(where: { device: string }): unknown },
  body: () => Tensor,
) {
  const device = deviceOf(backbone);
  if (device !== "cpu") network.to({ device });
  return storedBytesOf(() => inPrecision(precision, body, kindOf(device)), device);
}
