// Figures 1 to 19 of arXiv 2402.09050, as far as they are experiments on data sets. Compression is 1 − final / peak of
// nHSIC(X, Z), retention final / peak of nHSIC(Y, Z); a fall counts from 0.05, as everywhere in the reports.
import { above, below, type Check, check, type Estimate, exceeds, within } from "../claims.js";
import { accuracyGap, gapOf, levelOf, relativeGapOf } from "../comparisons.js";
import type { Found, Quantity } from "../found.js";
import type { Item, Part } from "../paper.js";
import {
  bestProbe,
  bottleneckShare,
  compressionX,
  finalMean,
  gainOverDepth,
  initialX,
  largestCompressionX,
  lastProbe,
  lossY,
  reachedAfter,
  roleDifferentiation,
  saturation,
  smallestCompressionX,
  uniformity,
} from "../quantities.js";
import { epochs, images, seeds, smallestNhsic, smallestProbe, smoke } from "../shrink.js";

/** A fall of a coordinate, as a fraction of its peak. */
const FALL = 0.05;
/** Two accuracies are equal within 1 point. */
const EQUAL = 0.01;
const RATE = "optimizer.learningRate=1e-3";

/** Asks about one part of an item. */
function asker(found: Found, part: string) {
  return {
    accuracy: (a: string, b: string): Estimate => accuracyGap(found, part, a, b),
    level: (variant: string, what: string, quantity: Quantity): Estimate =>
      levelOf(found, part, variant, what, quantity),
    gap: (a: string, b: string, what: string, quantity: Quantity): Estimate => gapOf(found, part, a, b, what, quantity),
    relative: (a: string, b: string, what: string, quantity: Quantity): Estimate =>
      relativeGapOf(found, part, a, b, what, quantity),
  };
}

/** An item of one experiment file, which has the item's name. */
function single(id: string, scales: Pick<Part, "smoke" | "small">): readonly Part[] {
  return [{ id, file: `${id}.yaml`, ...scales }];
}

export const figure1: Item = {
  id: "figure-1",
  title: "ResNet50, CIFAR-10: linear probe of each block",
  claim:
    "end to end, linear separability rises gradually with depth; layer-wise it jumps early and stays flat; both reach about 100 % on training images, and end to end is higher on test images at the end",
  parts: single("figure-1", {
    smoke: smoke("colour", "model.width=1", smallestProbe),
    small: ["model.width=8", ...images(10_000, 2000), ...epochs(12), RATE, "observe.probe.train=2000"],
  }),
  hours: { small: 0.5, paper: 700 },
  judge: (found) => [...separability(found, "figure-1", "e2e", "layer-wise"), ...separableAtTheEnd(found)],
};

function separability(found: Found, part: string, endToEnd: string, layerWise: string): Check[] {
  const { gap } = asker(found, part);
  return [
    check("layer-wise saturates earlier: the first block within 1 point of the best lies lower", [
      below(gap(layerWise, endToEnd, "depth of saturation (0 first block, 1 last)", saturation), 0),
    ]),
    check("end to end, the last block is more separable on test images", [
      above(gap(endToEnd, layerWise, "probe of the last block, test accuracy", lastProbe("test")), 0),
    ]),
  ];
}

function separableAtTheEnd(found: Found): Check[] {
  const { level } = asker(found, "figure-1");
  return [
    check(
      "both reach about 100 % on training images: more than 97 %",
      ["e2e", "layer-wise"].map((name) =>
        above(level(name, "best probe, training accuracy", bestProbe("train")), 0.97),
      ),
    ),
  ];
}

export const figure9: Item = {
  id: "figure-9",
  title: "ResNet50, CIFAR-10: linear probe of each block with the supervised contrastive loss",
  claim: "layer-wise training saturates early and below 100 % on training images",
  parts: single("figure-9", {
    smoke: smoke("colour", "model.width=1", smallestProbe),
    small: ["model.width=8", ...images(10_000, 2000), ...epochs(8), RATE, ...seeds(1, 2), "observe.probe.train=2000"],
  }),
  hours: { small: 0.75, paper: 2500 },
  judge(found) {
    const { level } = asker(found, "figure-9");
    return [
      ...separability(found, "figure-9", "e2e", "layer-wise"),
      check("layer-wise stays below 100 % on training images: below 99 %", [
        below(level("layer-wise", "best probe, training accuracy", bestProbe("train")), 0.99),
      ]),
    ];
  },
};

export const figure3: Item = {
  id: "figure-3",
  title: "LeNet-5 in the information plane, end to end and layer-wise with linear heads, on MNIST (a) and CIFAR-10 (b)",
  claim:
    "MNIST: no clear difference, equal accuracy. CIFAR-10: end to end, both coordinates rise in all layers; layer-wise, the first layer rises and then falls, later layers stay lower, and accuracy is lower",
  parts: [
    {
      id: "mnist",
      file: "figure-3-mnist.yaml",
      smoke: smoke("grey", smallestNhsic),
      small: epochs(30),
    },
    {
      id: "cifar10",
      file: "figure-3-cifar10.yaml",
      smoke: smoke("colour", smallestNhsic),
      small: epochs(100),
    },
  ],
  hours: { small: 0.5, paper: 3 },
  aliases: { "figure-3a": "mnist", "figure-3b": "cifar10" },
  judge(found) {
    const a = asker(found, "mnist");
    const b = asker(found, "cifar10");
    return [
      check("(a) equal accuracy on MNIST: within ± 1 point", [within(a.accuracy("layer-wise", "e2e"), EQUAL)]),
      check(
        "(a) no clear difference in the plane: no stage of either falls by 0.05 of its peak",
        ["e2e", "layer-wise"].map((name) => below(a.level(name, "largest compression", largestCompressionX), FALL)),
      ),
      check("(b) end to end, no stage falls by 0.05 of its peak, in either coordinate", [
        below(b.level("e2e", "largest compression", largestCompressionX), FALL),
        below(b.level("e2e", "1 − retention, mean of the stages", lossY("all")), FALL),
      ]),
      check("(b) layer-wise, the first stage falls by more than 0.05 of its peak", [
        above(b.level("layer-wise", "compression of the first stage", compressionX("first")), FALL),
      ]),
      check("(b) layer-wise, the stages after it end lower than end to end", [
        below(
          b.relative("layer-wise", "e2e", "nHSIC(X, Z) of the second half, final", finalMean("x", "second half")),
          0,
        ),
      ]),
      check("(b) layer-wise is less accurate", [below(b.accuracy("layer-wise", "e2e"), 0)]),
    ];
  },
};

export const figure5: Item = {
  id: "figure-5",
  title: "LeNet-5, CIFAR-10: the first layer with a two-layer head",
  claim: "with a two-layer head the fall of the first layer disappears, and its trend is that of end-to-end training",
  parts: single("figure-5", { smoke: smoke("colour", smallestNhsic), small: epochs(60) }),
  hours: { small: 0.6, paper: 6 },
  judge(found) {
    const { level, gap } = asker(found, "figure-5");
    const first = (name: string) => level(name, "compression of the first stage", compressionX("first"));
    return [
      check("with a linear head the first stage falls by more than 0.05 of its peak", [
        above(first("linear-head"), FALL),
      ]),
      check("with a two-layer head it does not", [below(first("two-layer-head"), FALL)]),
      check("it falls less with a two-layer head than with a linear one", [
        below(gap("two-layer-head", "linear-head", "compression of the first stage", compressionX("first")), 0),
      ]),
      check("the trend is that of end to end: compression differs by less than 0.05", [
        within(gap("two-layer-head", "e2e", "compression of the first stage", compressionX("first")), FALL),
      ]),
    ];
  },
};

/** Layer-role differentiation: what figures 6 and 17 claim of end-to-end training. */
function roles(found: Found, part: string): Check[] {
  const { level, gap } = asker(found, part);
  return [
    check("end to end, the middle stages compress: by more than 0.05 of their peak", [
      above(level("e2e", "compression, mean of the middle stages", compressionX("middle")), FALL),
    ]),
    check("end to end, the last two stages keep nHSIC(Y, Z): they lose less than 0.05 of its peak", [
      below(level("e2e", "1 − retention, mean of the last two stages", lossY("last two")), FALL),
    ]),
    check("layers take different roles end to end more than layer-wise: role differentiation is larger", [
      above(gap("e2e", "layer-wise", "role differentiation", roleDifferentiation), 0),
    ]),
  ];
}

export const figure6: Item = {
  id: "figure-6",
  title: "ResNet18, CIFAR-10: all stages in the information plane (with figure 15)",
  claim:
    "end to end, middle layers compress while the last two keep nHSIC(Y, Z) high; layer-wise, all layers decline alike; end to end reaches high values very early",
  parts: single("figure-6", {
    smoke: smoke("colour", "model.width=2", smallestNhsic),
    small: ["model.width=16", ...images(10_000, 2000), ...epochs(30), RATE],
  }),
  hours: { small: 0.55, paper: 260 },
  aliases: { "figure-15": null },
  judge(found) {
    const { level, gap } = asker(found, "figure-6");
    return [
      ...roles(found, "figure-6"),
      check("layer-wise, stages decline, and more alike than end to end", [
        above(level("layer-wise", "compression, mean of the stages", compressionX("all")), FALL),
        below(gap("layer-wise", "e2e", "spread of compression over stages", uniformity), 0),
      ]),
      check("end to end, nHSIC(X, Z) is at more than 0.8 of its peak after a tenth of training", [
        above(level("e2e", "nHSIC(X, Z) after a tenth of training over its peak", reachedAfter("x", 0.1)), 0.8),
      ]),
    ];
  },
};

const lambdas = ["lambda-0.01", "lambda-0.1", "lambda-1"] as const;

export const figure7: Item = {
  id: "figure-7",
  title: "ResNet18 layer-wise with −λ nHSIC(X, Z), CIFAR-10 (with figure 19)",
  claim:
    "with the term no layer declines and values rise uniformly, yet accuracy is not better, and worse for large λ; values before training are the same",
  parts: single("figure-7", {
    smoke: smoke("colour", "model.width=2", smallestNhsic),
    small: ["model.width=16", "data.batch=128", ...images(10_000, 2000), ...epochs(10), RATE, ...seeds(1, 2)],
  }),
  hours: { small: 0.6, paper: 700 },
  aliases: { "figure-19": null },
  judge(found) {
    const { accuracy, level, gap, relative } = asker(found, "figure-7");
    return [
      check("with λ of 0.1 or more no stage declines: by less than 0.05 of its peak", [
        ...lambdas.slice(1).map((name) => below(level(name, "largest compression", largestCompressionX), FALL)),
      ]),
      check("values rise more uniformly than without the term", [
        ...lambdas.slice(1).map((name) => below(gap(name, "layer-wise", "spread of compression", uniformity), 0)),
      ]),
      check(
        "accuracy is not better: by less than 1 point",
        lambdas.map((name) => below(accuracy(name, "layer-wise"), EQUAL)),
      ),
      check("with λ = 1 accuracy is worse", [below(accuracy("lambda-1", "layer-wise"), 0)]),
      check("values before training are the same: within ± 0.05 of them", [
        ...lambdas.map((name) => within(relative(name, "layer-wise", "nHSIC(X, Z) at the start", initialX), FALL)),
      ]),
    ];
  },
};

export const figure10: Item = {
  id: "figure-10",
  title: "ResNet18 end to end with supervised contrastive learning and SimCLR, CIFAR-10",
  claim:
    "both coordinates fall uniformly, without bottleneck behaviour; supervised contrastive learning keeps more label information than SimCLR",
  parts: single("figure-10", {
    smoke: smoke("colour", "model.width=2", smallestNhsic),
    small: ["model.width=16", ...images(10_000, 2000), ...epochs(15), RATE, ...seeds(1, 2)],
  }),
  hours: { small: 0.6, paper: 1300 },
  judge(found) {
    const { level, relative } = asker(found, "figure-10");
    const both = ["supcon", "simclr"];
    return [
      check(
        "both coordinates fall: on average over the stages by more than 0.05 of their peaks",
        both.flatMap((name) => [
          above(level(name, "compression, mean of the stages", compressionX("all")), FALL),
          above(level(name, "1 − retention, mean of the stages", lossY("all")), FALL),
        ]),
      ),
      check(
        "no bottleneck behaviour: in less than a quarter of the stages",
        both.map((name) => below(level(name, "part of the stages with bottleneck behaviour", bottleneckShare), 0.25)),
      ),
      check("supervised contrastive learning ends with more nHSIC(Y, Z)", [
        above(relative("supcon", "simclr", "nHSIC(Y, Z), mean of the stages", finalMean("y")), 0),
      ]),
    ];
  },
};

export const figure11: Item = {
  id: "figure-11",
  title: "LeNet-5 by forward gradient, MNIST and CIFAR-10",
  claim:
    "forward gradient learns slowly, with low accuracy on CIFAR-10 and a slow rise of nHSIC(X, Z), and without degradation of the first layer",
  parts: [
    { id: "mnist", file: "figure-11-mnist.yaml", smoke: smoke("grey", smallestNhsic), small: epochs(30) },
    { id: "cifar10", file: "figure-11-cifar10.yaml", smoke: smoke("colour", smallestNhsic), small: epochs(30) },
  ],
  hours: { small: 0.5, paper: 10 },
  judge(found) {
    const parts = ["mnist", "cifar10"];
    return [
      check("on CIFAR-10 it is less accurate than backpropagation, by more than 5 points", [
        below(asker(found, "cifar10").accuracy("forward-gradient", "e2e"), -0.05),
      ]),
      check(
        "nHSIC(X, Z) rises more slowly: a smaller part of its peak after a tenth of training",
        parts.map((part) =>
          below(
            asker(found, part).gap(
              "forward-gradient",
              "e2e",
              "nHSIC(X, Z) after a tenth of training over its peak",
              reachedAfter("x", 0.1),
            ),
            0,
          ),
        ),
      ),
      check(
        "the first stage does not degrade: it falls by less than 0.05 of its peak",
        parts.map((part) =>
          below(
            asker(found, part).level("forward-gradient", "compression of the first stage", compressionX("first")),
            FALL,
          ),
        ),
      ),
    ];
  },
};

const sequentialEpochs = (count: number) =>
  ["sequential", "sequential-nhsic"].map((name) => `variants.${name}.epochs=${count}`);

export const figure12: Item = {
  id: "figure-12",
  title: "ResNet18, CIFAR-10: sequential layer-wise training, without and with the nHSIC term",
  claim:
    "sequential training is less accurate than simultaneous and layers behave uniformly; the term raises nHSIC more than in simultaneous training, without a gain in accuracy",
  parts: single("figure-12", {
    smoke: smoke("colour", "model.width=1", smallestNhsic, sequentialEpochs(1)),
    small: ["model.width=16", "data.batch=128", ...images(5000, 2000), ...epochs(20), ...sequentialEpochs(4), RATE],
  }),
  hours: { small: 0.7, paper: 900 },
  judge(found) {
    const { accuracy, level, relative } = asker(found, "figure-12");
    const rise = (name: string) => relative(`${name}-nhsic`, name, "nHSIC(X, Z), mean of the stages", finalMean("x"));
    return [
      check("sequential is less accurate than simultaneous", [below(accuracy("sequential", "simultaneous"), 0)]),
      check("layers behave uniformly: compression spreads by less than 0.05 over the stages", [
        below(level("sequential", "spread of compression over stages", uniformity), FALL),
      ]),
      check("the term raises nHSIC(X, Z), and more than in simultaneous training", [
        above(rise("sequential"), 0),
        exceeds(rise("sequential"), rise("simultaneous")),
      ]),
      check("the term gains no accuracy in sequential training: less than 1 point", [
        below(accuracy("sequential-nhsic", "sequential"), EQUAL),
      ]),
    ];
  },
};

export const figure13: Item = {
  id: "figure-13",
  title: "Multilayer perceptron in the information plane, MNIST and CIFAR-10",
  claim:
    "MNIST: equal accuracy, end to end learns more slowly. CIFAR-10: layer-wise gains less with depth, without compression of the first layer",
  parts: [
    {
      id: "mnist",
      file: "figure-13-mnist.yaml",
      smoke: smoke("grey", "model.width=16", smallestNhsic),
      small: ["model.width=500", ...epochs(20)],
    },
    {
      id: "cifar10",
      file: "figure-13-cifar10.yaml",
      smoke: smoke("colour", "model.width=16", smallestNhsic),
      small: ["model.width=500", ...epochs(20)],
    },
  ],
  hours: { small: 0.5, paper: 24 },
  judge(found) {
    const a = asker(found, "mnist");
    const b = asker(found, "cifar10");
    return [
      check("MNIST: equal accuracy, within ± 1 point", [within(a.accuracy("layer-wise", "e2e"), EQUAL)]),
      check("MNIST: end to end learns more slowly: less of nHSIC(Y, Z)'s peak after a tenth of training", [
        below(
          a.gap("e2e", "layer-wise", "nHSIC(Y, Z) after a tenth of training over its peak", reachedAfter("y", 0.1)),
          0,
        ),
      ]),
      check("CIFAR-10: layer-wise gains less nHSIC(Y, Z) from the first stage to the last", [
        below(b.gap("layer-wise", "e2e", "gain over depth as a part of the first stage's", gainOverDepth), 0),
      ]),
      check("CIFAR-10: layer-wise, the first stage falls by less than 0.05 of its peak", [
        below(b.level("layer-wise", "compression of the first stage", compressionX("first")), FALL),
      ]),
    ];
  },
};

export const figure14: Item = {
  id: "figure-14",
  title: "Vision transformer in the information plane, CIFAR-10",
  claim:
    "layer-wise training compresses and is less accurate; end to end shows no compression and no bottleneck behaviour",
  parts: single("figure-14", {
    smoke: smoke("colour", "model.width=12", smallestNhsic),
    small: ["model.width=48", ...images(10_000, 2000), ...epochs(25), RATE],
  }),
  hours: { small: 0.5, paper: 220 },
  judge(found) {
    const { accuracy, level } = asker(found, "figure-14");
    return [
      check("layer-wise, stages compress: on average by more than 0.05 of their peak", [
        above(level("layer-wise", "compression, mean of the stages", compressionX("all")), FALL),
      ]),
      check("layer-wise is less accurate", [below(accuracy("layer-wise", "e2e"), 0)]),
      check("end to end, no stage compresses by 0.05 of its peak", [
        below(level("e2e", "largest compression", largestCompressionX), FALL),
      ]),
      check("end to end, less than a quarter of the stages shows bottleneck behaviour", [
        below(level("e2e", "part of the stages with bottleneck behaviour", bottleneckShare), 0.25),
      ]),
    ];
  },
};

export const figure16: Item = {
  id: "figure-16",
  title: "ResNet50, CIFAR-10: all 17 stages in the information plane",
  claim:
    "layer-wise compresses everywhere; end to end compresses mainly in early layers, and the last block keeps nHSIC(Y, Z) while nHSIC(X, Z) falls",
  parts: single("figure-16", {
    smoke: smoke("colour", "model.width=1", smallestNhsic),
    small: ["model.width=8", ...images(10_000, 2000), ...epochs(15), RATE],
  }),
  hours: { small: 0.6, paper: 700 },
  judge(found) {
    const { level } = asker(found, "figure-16");
    const earlyMore: Quantity = (run) => {
      const [early, late] = [compressionX("first half")(run), compressionX("second half")(run)];
      return early === null || late === null ? null : early - late;
    };
    return [
      check("layer-wise, every stage compresses: by more than 0.05 of its peak", [
        above(level("layer-wise", "smallest compression", smallestCompressionX), FALL),
      ]),
      check("end to end, the first half of the stages compresses more than the second", [
        above(level("e2e", "compression, first half − second half", earlyMore), 0),
      ]),
      check("end to end, the last stage loses more than 0.05 of nHSIC(X, Z) and less than 0.05 of nHSIC(Y, Z)", [
        above(level("e2e", "compression of the last stage", compressionX("last")), FALL),
        below(level("e2e", "1 − retention of the last stage", lossY("last")), FALL),
      ]),
    ];
  },
};

export const figure17: Item = {
  id: "figure-17",
  title: "VGG11 with batch norm in the information plane, CIFAR-10",
  claim: "as ResNet18; layer-wise, the output layers compress little but stay low",
  parts: single("figure-17", {
    smoke: smoke("colour", "model.width=1", smallestNhsic),
    small: ["model.width=16", ...images(20_000, 2000), ...epochs(30), RATE],
  }),
  hours: { small: 0.5, paper: 90 },
  judge(found) {
    const { level, relative } = asker(found, "figure-17");
    return [
      ...roles(found, "figure-17"),
      check("layer-wise, the last two stages compress little (less than 0.05) and end with less nHSIC(Y, Z)", [
        below(level("layer-wise", "compression, mean of the last two stages", compressionX("last two")), FALL),
        below(relative("layer-wise", "e2e", "nHSIC(Y, Z) of the last two stages", finalMean("y", "last two")), 0),
      ]),
    ];
  },
};

export const figure18: Item = {
  id: "figure-18",
  title: "VGG11 end to end without batch norm in the information plane, CIFAR-10",
  claim:
    "without batch norm, neither middle nor output layers compress; accuracy lies between layer-wise training and end to end with batch norm",
  parts: single("figure-18", {
    smoke: smoke("colour", "model.width=1", smallestNhsic),
    small: ["model.width=16", ...images(20_000, 2000), ...epochs(30), RATE],
  }),
  hours: { small: 0.7, paper: 130 },
  judge(found) {
    const { accuracy, level } = asker(found, "figure-18");
    return [
      check("without batch norm, middle and output stages fall by less than 0.05 of their peak", [
        below(level("e2e-without-norm", "compression, mean of the middle stages", compressionX("middle")), FALL),
        below(level("e2e-without-norm", "compression, mean of the last two stages", compressionX("last two")), FALL),
      ]),
      check("its accuracy lies between layer-wise and end to end with batch norm", [
        above(accuracy("e2e-without-norm", "layer-wise"), 0),
        below(accuracy("e2e-without-norm", "e2e"), 0),
      ]),
    ];
  },
};
