// What cannot be made of the data's images: more of them than there are, augmentations that do not fit their size, sizes
// that the network is not built for, and batches of a single one.
import { impossibleFor, trainingShape } from "../data/augment-settings.js";
import { type Mistake, mistakeAt } from "./check.js";
import { optionsOf } from "./run-settings.js";
import type { Known, ValidParts } from "./valid-parts.js";

/** What is wrong in `data` with the images as they are. */
export function impossibleImages(parts: ValidParts, known: Known): Mistake[] {
  return [...beyondSplits(parts, known), ...impossibleAugmentation(parts, known), ...impossibleSize(parts, known)];
}

/** More images asked for than a split has. */
function beyondSplits({ data }: ValidParts, { sizes }: Known): Mistake[] {
  if (!data || !sizes) return [];
  return (["train", "test"] as const).flatMap((split) => {
    const asked = data[split] ?? null;
    if (asked === null || asked <= sizes[split]) return [];
    return [mistakeAt(["data", split], `${data.name} has ${sizes[split]} ${split} images, got ${asked}`)];
  });
}

function impossibleAugmentation({ data }: ValidParts, { imageShape }: Known): Mistake[] {
  const wrong = data && imageShape ? impossibleFor(data.augment, imageShape) : null;
  return wrong ? [mistakeAt(["data", "augment", ...wrong.path], wrong.message)] : [];
}

/** Images trained on in another size than they are evaluated in, where rule or model takes one size alone. */
function impossibleSize(parts: ValidParts, known: Known): Mistake[] {
  const { data } = parts;
  const { imageShape: shape } = known;
  const fixed = takesOneSize(parts, known);
  if (!fixed || !data || !shape) return [];
  const trainedOn = trainingShape(data.augment, shape);
  if (trainedOn.join() === shape.join()) return [];
  const [size, own] = [trainedOn, shape].map((one) => one.slice(1).join("x"));
  const side = shape[1] === shape[2] ? `; add resizeTo: ${shape[1]}` : "";
  const message = `${fixed} is built for images of one size, and would be trained on ${size} and evaluated on ${own}${side}`;
  return [mistakeAt(["data", "augment", "resizedCrop"], message)];
}

/** The name of the rule or the model that takes images of one size; null where neither minds. */
function takesOneSize({ rule, model }: ValidParts, { registries, hooks }: Known): string | null {
  if (rule && registries.rules[rule.name]?.oneImageSize) return rule.name;
  return model && hooks.anyImageSize?.(model) === false ? model.name : null;
}

/** A batch of one image, where the model cannot be trained on one. */
export function impossibleBatch({ data, model, loss }: ValidParts, known: Known): Mistake[] {
  const { registries, hooks, trainingImages: images } = known;
  const entry = loss && registries.losses[loss.name];
  const views = (loss && entry?.views?.(optionsOf(entry, loss))) ?? 1;
  if (!data || !model || images === null || views !== 1) return [];
  if ((data.batch !== 1 && images % data.batch !== 1) || !hooks.needsTwoImages?.(model)) return [];
  const last = data.batch === 1 ? "every batch" : `the last batch of ${images} images in batches of ${data.batch}`;
  const message = `${last} holds one image, which the batch norm of ${model.name}'s linear layers cannot normalise; change data.batch`;
  return [mistakeAt(["data", "batch"], message)];
}
