// Mistakes that settings make together, all of them at once: those of one place are told in a fixed order, whatever file
// finds them, and what one of them leaves open is not guessed at by the others.
import { expect, it } from "vitest";
import { documentFromTree } from "../../src/experiment/document.js";
import { SettingsError } from "../../src/experiment/problems.js";
import { defineSettings, type SettingsHooks } from "../../src/experiment/settings.js";
import type { Tree } from "../../src/experiment/tree.js";
import { hooks, registries } from "./fake-registries.js";

const strict: SettingsHooks = {
  ...hooks,
  refusedDevice: (device) => (device === "cpu" ? null : `${device} cannot be used`),
  imageShape: () => [1, 28, 28],
  needsTwoImages: () => true,
  anyImageSize: () => false,
};

/** Settings from no text: all mistakes have the same place, and stand as they were found. */
function problems(tree: Tree, asked = strict): string[] {
  try {
    defineSettings(registries, asked).expand(documentFromTree(tree));
  } catch (error) {
    if (error instanceof SettingsError) return error.problems.map(({ path, message }) => `${path}: ${message}`);
    throw error;
  }
  return [];
}

const wrong = {
  data: { name: "mnist", train: 70_001, batch: 100, augment: { resizedCrop: { size: 20 } } },
  model: "lenet5",
  partition: 9,
  context: { fromInput: true, selection: { after: 1, images: 80_000 } },
  objective: { head: "none" },
  gradientCheckpointing: 7,
  match: "inference",
  parallel: { workers: 99 },
  observe: { pairs: { batch: 3 } },
  device: "cuda:1",
  epochs: 2,
};

it("mistakes of one place are told in order: device, data, measures, modules, what is beyond, the objective", () => {
  expect(problems(wrong)).toEqual([
    "device: cuda:1 cannot be used",
    "data.train: mnist has 60000 train images, got 70001",
    "data.augment.resizedCrop: lenet5 is built for images of one size, and would be trained on 20x20 and evaluated on 28x28; add resizeTo: 28",
    "observe.pairs.batch: expected at least 4 images a batch, got 3",
    "data.batch: the last batch of 70001 images in batches of 100 holds one image, which the batch norm of lenet5's linear layers cannot normalise; change data.batch",
    "partition: 9 modules need as many stages; the model has 5 (lenet5)",
    "gradientCheckpointing: expected at most the 5 stages of lenet5, got 7",
    "context.selection.images: expected at most the 70001 training images there are, got 80000",
    "parallel: a selection takes context paths out of use for all modules at once",
    "match: lenet5 has no width that could be changed",
    "objective.head: cross-entropy needs class scores from every module, and head none gives none; use head: linear or mlp",
    "match: it widens the network to the cost of the whole context, and a selection takes parts of it away; leave out context.selection",
  ]);
});

it("nothing is said that hangs on a number of stages that is wrong itself or not known", () => {
  const frozen = { ...wrong, partition: "stage", retrain: { from: "other", frozen: 5 }, context: null, match: null };
  expect(problems(frozen).filter((problem) => /^(retrain|partition|parallel|gradient)/.test(problem))).toEqual([
    "retrain.frozen: expected fewer than the 5 stages of lenet5, got 5: nothing would be trained",
    "gradientCheckpointing: expected at most the 0 stages of lenet5 that are trained, got 7",
    "parallel: modules on cuda:1 would wait for each other; use cpu",
  ]);
  const unknown = { ...wrong, partition: "stage", device: "cpu", context: null, match: null };
  expect(problems(unknown, { ...strict, stageCount: () => null }).map((problem) => problem.split(":")[0])).toEqual([
    "data.train",
    "data.augment.resizedCrop",
    "observe.pairs.batch",
    "data.batch",
    "objective.head",
  ]);
});
