// Figures 6 (with 15), 14 and 16 to 18 of arXiv 2402.09050: ResNet18, a vision transformer, ResNet50 and VGG11 in the
// information plane, end to end and layer-wise, on CIFAR-10.
import { above, below, check } from "../claims.js";
import type { Quantity } from "../found.js";
import type { Item } from "../paper.js";
import {
  bottleneckShare,
  compressionX,
  finalMean,
  largestCompressionX,
  lossY,
  reachedAfter,
  smallestCompressionX,
  uniformity,
} from "../quantities.js";
import { epochs, images, smallestNhsic, smoke } from "../shrink.js";
import { asker, FALL, roles } from "./claims.js";
import { RATE, single } from "./parts.js";

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
