// Tables 1 to 4 of arXiv 2402.09050. Published numbers are known to us for table 3 alone.
import { above, below, type Check, check, combine, gap, level } from "../claims.js";
import { accuracyGap, accuracyOf, levelOf } from "../comparisons.js";
import type { Found } from "../found.js";
import type { Item, Part } from "../paper.js";
import { gainOfDeeperBlocks } from "../quantities.js";
import { commonEpochs, epochs, images, seeds, smoke, without } from "../shrink.js";

const withoutHead = ["supcon-none", "sim-none", "sp-hard", "sp-soft"];
const withOneLayer = ["ce-linear", "supcon-linear", "sim-conv"];
const withTwoLayers = ["ce-mlp", "supcon-mlp", "sim-conv2"];
const contrastive = ["e2e-supcon", "supcon-none", "supcon-linear", "supcon-mlp"];
const otherThanCrossEntropy = [...contrastive, "sim-none", "sim-conv", "sim-conv2", "sp-hard", "sp-soft"];
const layerWise = [...withoutHead, ...withOneLayer, ...withTwoLayers];

type BackboneName = "vgg11" | "resnet18" | "resnet50";
const backbones: readonly BackboneName[] = ["vgg11", "resnet18", "resnet50"];

/** Less than this, and a layer hardly helps or a backbone hardly improves: 2 points. */
const MARGINAL = 0.02;

function backboneParts(table: string): Part[] {
  return backbones.map((backbone) => {
    const width = backbone === "resnet50" ? 8 : 16;
    const reduced = backbone === "resnet50";
    const left = reduced ? without(...otherThanCrossEntropy) : commonEpochs(...contrastive);
    return {
      id: backbone,
      file: `${table}-${backbone}.yaml`,
      smoke: smoke("colour", "model.width=1", left),
      small: [
        `model.width=${width}`,
        ...images(5000, 2000),
        ...epochs(10),
        "optimizer.learningRate=1e-3",
        ...seeds(1),
        ...left,
      ],
    };
  });
}

/** Claims of the grid about the variants that were run: reduced scales leave some out. */
function judgeGrid(found: Found): Check[] {
  const parts = backbones.filter((part) => found.has(part, "e2e-ce"));
  const both = (pairs: readonly (readonly [a: string, b: string])[]) =>
    parts.flatMap((part) =>
      pairs
        .filter((pair) => pair.every((variant) => found.has(part, variant)))
        .map(([a, b]) => accuracyGap(found, part, a, b)),
    );
  const oneLayerAgainstNone = both([
    ["supcon-linear", "supcon-none"],
    ["sim-conv", "sim-none"],
  ]);
  const largerBackbone = (variant: string) =>
    parts.slice(1).map((to, at) => {
      const from = parts[at]!;
      const label = `test accuracy of ${variant}, ${to} − ${from}`;
      return gap(label, found.accuracy(to, variant), found.accuracy(from, variant));
    });
  return [
    check(
      "every layer-wise loss is less accurate than end-to-end cross-entropy",
      both(layerWise.map((name) => [name, "e2e-ce"] as const)).map((one) => below(one, 0)),
    ),
    ...(oneLayerAgainstNone.length === 0
      ? []
      : [
          check(
            "a head helps a lot: one layer against none, more than 2 points",
            oneLayerAgainstNone.map((one) => above(one, MARGINAL)),
          ),
        ]),
    check(
      "a second head layer helps little: less than 2 points",
      both(withOneLayer.map((one, at) => [withTwoLayers[at]!, one] as const)).map((one) => below(one, MARGINAL)),
    ),
    check(
      "end to end, the larger backbone is more accurate",
      largerBackbone("e2e-ce").map((one) => above(one, 0)),
    ),
    check(
      "layer-wise, the larger backbone is hardly more accurate: less than 2 points",
      largerBackbone("ce-linear").map((one) => below(one, MARGINAL)),
    ),
  ];
}

export const table1: Item = {
  id: "table-1",
  title: "CIFAR-10: end-to-end and layer-wise losses and heads on VGG11, ResNet18 and ResNet50",
  claim:
    "every layer-wise loss is below end-to-end training; a head helps a lot, its second layer little; end to end improves from VGG11 to ResNet18 to ResNet50, layer-wise barely",
  parts: backboneParts("table-1"),
  hours: { small: 0.9, paper: 15_000 },
  judge: judgeGrid,
};

export const table1CrossEntropy: Item = {
  id: "table-1-cross-entropy",
  title: "Table 1's columns of cross-entropy, on VGG11 and ResNet18",
  claim:
    "layer-wise cross-entropy is below end-to-end training; the head's second layer helps little; end to end improves from VGG11 to ResNet18, layer-wise barely",
  parts: (["vgg11", "resnet18"] as const).map((backbone) => ({
    id: backbone,
    file: `table-1-${backbone}.yaml`,
    always: without(...otherThanCrossEntropy),
    smoke: smoke("colour", "model.width=1"),
    small: ["model.width=16", ...images(12_000, 5000), ...epochs(10), "optimizer.learningRate=1e-3"],
  })),
  hours: { small: 0.75, paper: 500 },
  judge: judgeGrid,
};

export const table4: Item = {
  id: "table-4",
  title: "CIFAR-100: the grid of table 1",
  claim: "as table 1; without a head, layer-wise training nearly fails",
  parts: backboneParts("table-4"),
  hours: { small: 0.9, paper: 15_000 },
  judge: (found) => [
    ...judgeGrid(found),
    check(
      "without a head, layer-wise accuracy stays below 10 % (chance is 1 %)",
      backbones.flatMap((part) =>
        withoutHead.filter((name) => found.has(part, name)).map((name) => below(accuracyOf(found, part, name), 0.1)),
      ),
    ),
  ],
};

export const table2: Item = {
  id: "table-2",
  title: "ResNet18, CIFAR-10: upper blocks of the layer-wise network trained again end to end",
  claim: "training the upper blocks again end to end gains only marginally over layer-wise training",
  parts: [
    {
      id: "table-2",
      file: "table-2.yaml",
      smoke: smoke("colour", "model.width=2"),
      small: ["model.width=16", ...images(10_000, 5000), ...epochs(15), "optimizer.learningRate=1e-3"],
    },
  ],
  hours: { small: 0.5, paper: 450 },
  judge(found) {
    const accuracy = (variant: string) => found.accuracy("table-2", variant);
    const excess = (variant: string) =>
      combine(
        [accuracy(variant), accuracy("layer-wise"), accuracy("e2e")],
        (again, layerWise, endToEnd) => again - layerWise - (endToEnd - layerWise) / 2,
      );
    const retrained = ["retrain-fresh", "retrain-keep"];
    return [
      check("layer-wise training is less accurate than end to end", [
        below(accuracyGap(found, "table-2", "layer-wise", "e2e"), 0),
      ]),
      check(
        "what training again gains is less than half of the gap between layer-wise and end to end",
        retrained.map((name) => below(level(`gain of ${name} − half the gap`, excess(name), "points"), 0)),
      ),
      check(
        "trained again, it stays less accurate than end to end",
        retrained.map((name) => below(accuracyGap(found, "table-2", name, "e2e"), 0)),
      ),
    ];
  },
};

export const table3: Item = {
  id: "table-3",
  title: "Forward-Forward, original and modified, on MNIST and CIFAR-10 (with figure 8)",
  claim:
    "the paper's two modifications improve Forward-Forward; the original fails on CIFAR-10; deeper blocks do not help",
  parts: [
    {
      id: "mnist",
      file: "table-3-mnist.yaml",
      smoke: smoke("grey", "model.width=16"),
      small: ["epochs=5"],
    },
    {
      id: "cifar10",
      file: "table-3-cifar10.yaml",
      smoke: smoke("colour", "model.width=16"),
      small: ["data.test=5000", "epochs=5"],
    },
  ],
  hours: { small: 0.85, paper: 2 },
  aliases: { "figure-8": null },
  published: { mnist: { original: 0.964, modified: 0.98 }, cifar10: { original: 0.094, modified: 0.487 } },
  judge: (found) => [
    check(
      "modified is more accurate than original",
      ["mnist", "cifar10"].map((part) => above(accuracyGap(found, part, "modified", "original"), 0)),
    ),
    check("the original fails on CIFAR-10: less than 15 % (chance is 10 %)", [
      below(accuracyOf(found, "cifar10", "original"), 0.15),
    ]),
    check(
      "deeper blocks do not help: all blocks predict less than 2 points better than the first alone",
      ["mnist", "cifar10"].flatMap((part) =>
        ["original", "modified"].map((variant) =>
          below(levelOf(found, part, variant, "test accuracy, all blocks − the first", gainOfDeeperBlocks), MARGINAL),
        ),
      ),
    ),
  ],
};
