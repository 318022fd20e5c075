// Figures 7, 10 and 12 of arXiv 2402.09050: what other objectives make of a ResNet18 on CIFAR-10. Layer-wise with an
// nHSIC term, all layers at once or one after the other; end to end with contrastive losses.
import { above, below, check, exceeds, within } from "../claims.js";
import type { Item } from "../paper.js";
import {
  bottleneckShare,
  compressionX,
  finalMean,
  initialX,
  largestCompressionX,
  lossY,
  uniformity,
} from "../quantities.js";
import { epochs, images, seeds, smallestNhsic, smoke } from "../shrink.js";
import { asker, EQUAL, FALL } from "./claims.js";
import { RATE, single } from "./parts.js";

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
