// Figures 3, 5, 11 and 13 of arXiv 2402.09050: LeNet-5 and a multilayer perceptron in the information plane, on MNIST and
// CIFAR-10.
import { above, below, check, within } from "../claims.js";
import type { Item } from "../paper.js";
import { compressionX, finalMean, gainOverDepth, largestCompressionX, lossY, reachedAfter } from "../quantities.js";
import { epochs, smallestNhsic, smoke } from "../shrink.js";
import { asker, EQUAL, FALL } from "./claims.js";
import { single } from "./parts.js";

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
