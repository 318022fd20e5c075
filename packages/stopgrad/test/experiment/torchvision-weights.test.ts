// Weights under torchvision's names: those that fit give what the network that they are of gives, others are refused by
// the first tensor that does not fit.
import "../support/one-thread.js";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Generator, memory, noGrad, randn, saveSafetensors, scope, type Tensor, zeros } from "@stopgrad/torch";
import { afterAll, beforeAll, expect, it } from "vitest";
import { loadBackbone } from "../../src/experiment/torchvision-weights.js";
import { models } from "../../src/models/index.js";

const images = { shape: [3, 8, 8], classes: 10 } as const;
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "stopgrad-weights-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const resnet = (classes: number) =>
  models.resnet18.create(
    { width: 4 },
    { inputShape: images.shape, classes, generator: new Generator(1), dropoutGenerator: new Generator(0) },
  );

/** Writes the weights of a ResNet-18, changed by `change`; returns the file. */
function written(name: string, change: (tensors: Map<string, Tensor>) => void = () => {}, classes = 10): string {
  const path = join(folder, `${name}.safetensors`);
  scope(() => {
    const network = resnet(classes);
    const tensors = new Map(network.stateDict());
    change(tensors);
    saveSafetensors(path, tensors);
    network.dispose();
  });
  return path;
}

const load = (path: string) => loadBackbone(path, "resnet18", { width: 4 }, images);

it.each([
  ["as they are", 10, () => {}],
  [
    "without counters, which not every framework writes",
    10,
    (tensors: Map<string, Tensor>) => {
      for (const name of [...tensors.keys()]) if (name.endsWith("num_batches_tracked")) tensors.delete(name);
    },
  ],
  [
    "of a run, with backbone. before the names",
    10,
    (tensors: Map<string, Tensor>) => {
      for (const [name, tensor] of [...tensors]) {
        tensors.delete(name);
        tensors.set(`backbone.${name}`, tensor);
      }
      tensors.set("heads.weight", zeros([3]));
    },
  ],
  ["with another number of classes", 37, () => {}],
])("weights %s give what their network gives", (name, classes, change) => {
  const path = written(name.replaceAll(/\W/g, "-"), change, classes);
  const live = memory().liveTensors;
  scope(() => {
    const input = randn([2, 3, 8, 8], { generator: new Generator(3) });
    const [mine, theirs] = [load(path), resnet(classes).eval()];
    const outputs = [mine, theirs].map((backbone) => noGrad(() => backbone.forward(input)).toNumbers());
    expect(outputs[0]).toHaveLength(2 * classes);
    expect(outputs[0]).toEqual(outputs[1]);
    for (const backbone of [mine, theirs]) backbone.dispose();
  });
  expect(memory().liveTensors).toBe(live);
});

it("torchvision's ImageNet ResNet is refused by its stem", () => {
  const path = written("imagenet", (tensors) => tensors.set("conv1.weight", zeros([64, 3, 7, 7])));
  expect(() => load(path)).toThrow(
    `${path} is not a resnet18 for these images: expected conv1.weight [4, 3, 3, 3], but the file has [64, 3, 7, 7]; ` +
      "torchvision's networks for ImageNet do not fit, those with a stem for small images do",
  );
});

it("other networks are refused by the first tensor that is missing, or that they have too many", () => {
  const live = memory().liveTensors;
  const missing = written("missing", (tensors) => {
    tensors.delete("layer2.0.conv1.weight");
    tensors.delete("layer3.0.conv1.weight");
  });
  expect(() => load(missing)).toThrow(/expected layer2\.0\.conv1\.weight \[8, 4, 3, 3\], but the file has none$/);
  const deeper = written("deeper", (tensors) => tensors.set("layer1.2.conv1.weight", zeros([4, 4, 3, 3])));
  expect(() => load(deeper)).toThrow(/it has layer1\.2\.conv1\.weight, which that network does not$/);
  expect(memory().liveTensors).toBe(live);
});
