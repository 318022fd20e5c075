// Figures 1 and 9 of arXiv 2402.09050: how separable the blocks of a ResNet50 are, by a linear probe of each.
import { above, below, type Check, check } from "../claims.js";
import type { Found } from "../found.js";
import type { Item } from "../paper.js";
import { bestProbe, lastProbe, saturation } from "../quantities.js";
import { epochs, images, seeds, smallestProbe, smoke } from "../shrink.js";
import { asker } from "./claims.js";
import { RATE, single } from "./parts.js";

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

/** What both figures claim. */
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
