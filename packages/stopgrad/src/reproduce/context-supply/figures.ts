// Figures 4 and 5 of arXiv 2312.07636, and what it shows of the information in modules.
import { above, below, check } from "../claims.js";
import { errorGap, gapOf, levelOf } from "../comparisons.js";
import type { Item } from "../paper.js";
import { lastInformationY, lostInformationY, meanReconstructionError } from "../quantities.js";
import { equalWeights, seeds, smallestNhsic, smoke, without } from "../shrink.js";
import { extraRise, memoryGap } from "./claims.js";
import { cut, cuts, moduleCounts, publishedBalanced, publishedOf } from "./methods.js";
import { small, unscheduled } from "./small.js";

const balanced = { resnet32: [2, 4, 8, 16], resnet110: [2, 3, 4] } as const;
const nets = ["resnet32", "resnet110"] as const;

export const figure4: Item = {
  id: "figure-4",
  title: "Modules of equal memory with context E, contrastive: ResNet-32 and ResNet-110, CIFAR-10",
  claim: "every K needs less memory than end-to-end training, and the more modules, the less; the error pays for it",
  parts: [
    {
      id: "resnet32",
      file: "figure-4-resnet32.yaml",
      smoke: smoke("colour", "model.width=1", unscheduled),
      small: [...small(8), ...seeds(1)],
    },
    {
      id: "resnet110",
      file: "figure-4-resnet110.yaml",
      smoke: smoke(
        "colour",
        "model.width=1",
        unscheduled,
        equalWeights(...cuts(["infopro-contrast"], balanced.resnet110)),
      ),
      small: [...small(4, 5000, 8), ...seeds(1)],
    },
  ],
  hours: { small: 0.45, paper: 650 },
  published: {
    resnet32: publishedOf("resnet32 cifar10", ["e2e"]),
    resnet110: publishedBalanced("infopro-contrast"),
  },
  judge(found) {
    const parts = nets.filter((part) => found.has(part, "e2e"));
    const of = (modules: number) => cut("contsup-e-contrast", modules);
    const fewest = (part: (typeof nets)[number]) => of(balanced[part][0]);
    const most = (part: (typeof nets)[number]) => of(balanced[part].at(-1)!);
    return [
      check(
        "peak memory is below that of end-to-end training at every K",
        parts.flatMap((part) => balanced[part].map((modules) => below(memoryGap(found, part, of(modules), "e2e"), 0))),
      ),
      check(
        "peak memory is lower with the most modules than with two",
        parts.map((part) => below(memoryGap(found, part, most(part), fewest(part)), 0)),
      ),
      check(
        "the error is higher with the most modules than with two",
        parts.map((part) => above(errorGap(found, part, most(part), fewest(part)), 0)),
      ),
    ];
  },
};

const losses = ["softmax", "softmax-decoder", "contrast"] as const;
/** DGL and its forms under the names that they have elsewhere. */
const withoutContext = { softmax: "dgl", "softmax-decoder": "infopro-softmax", contrast: "dgl-contrast" } as const;
const contexts = ["contsup-e", "contsup-r1", "contsup-r1e"];
const decoded = ["infopro-softmax", ...contexts.map((context) => `${context}-softmax-decoder`)];
const ablated = losses.flatMap((loss) => [withoutContext[loss], ...contexts.map((context) => `${context}-${loss}`)]);

export const figure5: Item = {
  id: "figure-5",
  title: "ResNet-32, CIFAR-10: every context with softmax, softmax and decoder, and contrastive, K = 2, 4, 8, 16",
  claim: "context lowers the error with and without a decoder; at small K its effect is small",
  parts: [
    {
      id: "figure-5",
      file: "figure-5.yaml",
      smoke: smoke(
        "colour",
        "model.width=1",
        unscheduled,
        without(...cuts(ablated, [2, 4, 8])),
        equalWeights(...cuts(decoded, [16])),
      ),
      small: [...small(8), ...seeds(1), ...without(...cuts(ablated, [4, 8]))],
    },
  ],
  hours: { small: 0.65, paper: 1000 },
  published: { "figure-5": publishedOf("resnet32 cifar10", cuts(["dgl", "infopro-softmax"], moduleCounts)) },
  judge: (found) => [
    ...losses.map((loss) =>
      check(
        `${loss === "softmax-decoder" ? "softmax with a decoder" : loss}: each context lowers the error at K = 16`,
        contexts.map((context) =>
          above(errorGap(found, "figure-5", cut(withoutContext[loss], 16), cut(`${context}-${loss}`, 16)), 0),
        ),
      ),
    ),
    check(
      "the effect is smaller at K = 2 than at K = 16",
      losses.flatMap((loss) =>
        contexts.map((context) =>
          above(extraRise(found, "figure-5", withoutContext[loss], `${context}-${loss}`, [2, 16]), 0),
        ),
      ),
    ),
  ],
};

/** In nats, of at most ln 10 = 2.30: less is flat. */
const FLAT = 0.1;

export const information: Item = {
  id: "information",
  title: "ResNet-32, CIFAR-10, K = 16: what each module still tells of label and image",
  claim:
    "end to end, what features tell of the label does not fall over the modules; greedily it does; context lies in between",
  parts: [
    {
      id: "information",
      file: "information.yaml",
      smoke: smoke(
        "colour",
        "model.width=1",
        unscheduled,
        smallestNhsic,
        "observe.information.train=64",
        "observe.information.epochs=1",
        equalWeights("infopro-softmax-k16"),
      ),
      small: [
        ...small(8, 5000, 8),
        "observe.information.train=2000",
        "observe.information.epochs=4",
        "observe.nhsic.every=4",
      ],
    },
  ],
  hours: { small: 0.8, paper: 100 },
  published: {
    information: publishedOf("resnet32 cifar10", ["e2e", "dgl-k16", "infopro-softmax-k16"]),
  },
  judge(found) {
    const lost = (variant: string) =>
      levelOf(
        found,
        "information",
        variant,
        "I(h; y) of the best module less that of the last, nats",
        lostInformationY,
      );
    const last = (a: string, b: string) =>
      gapOf(found, "information", a, b, "I(h; y) of the last module, nats", lastInformationY);
    const error = (a: string, b: string) =>
      gapOf(found, "information", a, b, "reconstruction error, mean of the modules, nats", meanReconstructionError);
    return [
      check("end to end, the last module tells as much of the label as any: less than 0.1 nats are lost", [
        below(lost("e2e"), FLAT),
      ]),
      check("greedily, more than 0.1 nats are lost", [above(lost("dgl-k16"), FLAT)]),
      check("the last module tells less of the label than end to end, and with context more than without", [
        below(last("contsup-r1e-k16", "e2e"), 0),
        above(last("contsup-r1e-k16", "dgl-k16"), 0),
      ]),
      check("with context, modules keep more of the image: its reconstruction has a lower error than greedily", [
        below(error("contsup-r1e-k16", "dgl-k16"), 0),
      ]),
    ];
  },
};
