// A network from a safetensors file under torchvision's names (`conv1.weight`, `layer1.0.bn1.running_mean`,
// `features.0.weight`), from wherever it was trained; or from a checkpoint of a run, whose names have `backbone.` before
// them. The laboratory's networks are those for small images: a file fits when every tensor has the name and the shape
// that the model has. Torchvision's own ResNets fit where their stem was changed to a 3x3 convolution, as is usual on
// CIFAR; as published for ImageNet (7x7 stem; VGG with hidden layers of 4096 behind 7x7 maps) they do not, and are refused.
import { Generator, loadSafetensors, noGrad, safetensorsHeader, scope, type Tensor } from "@stopgrad/torch";
import { type Backbone, models, readThrough } from "../models/index.js";
import { entryOf } from "../registry.js";
import { ofStages, type Representations } from "./representations.js";
import { didYouMean } from "./suggest.js";
import { type RunImages, type SampleChoice, TrainedNetworkError } from "./trained-network.js";

/** Counts steps in training; no output depends on it, and not every framework writes it. */
const COUNTER = /(^|\.)num_batches_tracked$/;

/**
 * A backbone with the weights in a file, in evaluation mode on the CPU. How many classes its classifier has is the file's.
 * @param options - of the model, as in an experiment file
 * @throws TrainedNetworkError naming the first tensor that is missing or of another shape, in the network's order, or that
 * the network does not have
 */
export function loadBackbone(
  file: string,
  model: string,
  options: Readonly<Record<string, unknown>>,
  images: Pick<RunImages, "shape" | "classes">,
): Backbone {
  const { tensors } = safetensorsHeader(file);
  const prefix = [...tensors.keys()].some((name) => name.startsWith("backbone.")) ? "backbone." : "";
  const create = (classes: number) =>
    entryOf(models, model).create(options, {
      inputShape: images.shape,
      classes,
      generator: new Generator(0),
      dropoutGenerator: new Generator(0),
    });
  let backbone = create(images.classes);
  const classes = classesIn(backbone, images.classes, (name) => tensors.get(prefix + name)?.shape);
  if (classes !== images.classes) {
    backbone.dispose();
    backbone = create(classes);
  }
  try {
    requireFit(file, model, prefix, backbone, tensors);
    scope(() => {
      const wanted = [...backbone.stateDict()].filter(([name]) => tensors.has(prefix + name));
      const { tensors: loaded } = loadSafetensors(file, { names: wanted.map(([name]) => prefix + name) });
      noGrad(() => {
        for (const [name, mine] of wanted) mine.copy_(loaded.get(prefix + name)!);
      });
    });
  } catch (error) {
    backbone.dispose();
    throw error;
  }
  return backbone.eval();
}

/** What the file's classifier tells of the number of classes; what was assumed where it has none that fits. */
function classesIn(
  { classifier }: Backbone,
  assumed: number,
  shapeOf: (name: string) => readonly number[] | undefined,
): number {
  for (const [name, { shape }] of classifier?.stateDict() ?? []) {
    const there = shapeOf(name);
    const isLast = shape.length === 2 && shape[0] === assumed;
    if (isLast && there?.length === 2 && there[1] === shape[1]) return there[0]!;
  }
  return assumed;
}

function requireFit(
  file: string,
  model: string,
  prefix: string,
  backbone: Backbone,
  tensors: ReadonlyMap<string, { readonly shape: readonly number[] }>,
): void {
  const mine = backbone.stateDict();
  for (const [name, { shape }] of mine) {
    const there = tensors.get(prefix + name);
    if (there?.shape.join() === shape.join() || (!there && COUNTER.test(name))) continue;
    const found = there ? `the file has [${there.shape.join(", ")}]` : "the file has none";
    throw new TrainedNetworkError(
      `${file} is not a ${model} for these images: expected ${name} [${shape.join(", ")}], but ${found}${hint(name, there)}`,
    );
  }
  const unknown = [...tensors.keys()].find((name) => name.startsWith(prefix) && !mine.has(name.slice(prefix.length)));
  if (unknown === undefined) return;
  throw new TrainedNetworkError(`${file} is not a ${model}: it has ${unknown}, which that network does not`);
}

/** What the networks for ImageNet are known by. */
function hint(name: string, there: { readonly shape: readonly number[] } | undefined): string {
  const isImageNet =
    (name === "conv1.weight" && there?.shape.slice(2).join() === "7,7") ||
    (name === "classifier.0.weight" && there?.shape.join() === "4096,25088");
  return isImageNet ? "; torchvision's networks for ImageNet do not fit, those with a stem for small images do" : "";
}

/** Outputs of a backbone's stages for images of a data set. @throws TrainedNetworkError as a run's network */
export function backboneRepresentations(
  backbone: Backbone,
  images: RunImages,
  { split = "test", samples, stages }: SampleChoice,
): Representations {
  const names = backbone.stages.map(({ name }) => name);
  const unknown = stages?.find((name) => !names.includes(name));
  if (unknown !== undefined) {
    throw new TrainedNetworkError(
      `the network has no stage ${unknown} (stages: ${names.join(", ")})${didYouMean(unknown, names)}`,
    );
  }
  const set = images[split];
  const count = samples ?? set.count;
  if (count > set.count) {
    throw new TrainedNetworkError(`expected at most the ${set.count} ${split} images there are, got ${count} samples`);
  }
  return ofStages({
    set,
    count,
    normalisation: images.normalisation,
    classes: images.classes,
    names,
    chosen: [...names.keys()].filter((at) => stages?.includes(names[at]!) ?? true),
    readStages: (input: Tensor, read) =>
      noGrad(() => readThrough(backbone.stages, input, (output, at) => void read(output, at))),
  });
}
