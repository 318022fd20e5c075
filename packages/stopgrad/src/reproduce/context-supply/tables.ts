// Tables 1 to 4 of arXiv 2312.07636. None of its numbers are known to us; those of its baselines are.
import { above, below, type Check, check, combine, level } from "../claims.js";
import { errorGap } from "../comparisons.js";
import type { Found } from "../found.js";
import type { Item, Part } from "../paper.js";
import { cosineEpochs, equalWeights, images, seeds, smoke, without } from "../shrink.js";
import { extraRise, linearity, memoryGap } from "./claims.js";
import { cut, cuts, moduleCounts, publishedOf } from "./methods.js";
import { small, unscheduled } from "./small.js";

/** Two errors are close within 1 point. */
const CLOSE = 0.01;

export const table1: Item = {
  id: "table-1",
  title: "ResNet-32, CIFAR-10, K = 16: contexts from the input, from the module before, and from both",
  claim: "each context lowers the error of DGL; that of both sources is the lowest of the four or close to it",
  parts: [
    {
      id: "table-1",
      file: "table-1.yaml",
      smoke: smoke("colour", "model.width=1", unscheduled),
      small: small(8, 10_000),
    },
  ],
  hours: { small: 0.75, paper: 120 },
  published: { "table-1": publishedOf("resnet32 cifar10", ["dgl-k16"]) },
  judge: (found) => [
    check(
      "each context lowers the error of DGL",
      ["contsup-e-k16", "contsup-r1-k16", "contsup-r1e-k16"].map((name) =>
        above(errorGap(found, "table-1", "dgl-k16", name), 0),
      ),
    ),
    check(
      "with both sources the error is the lowest or within 1 point of it",
      ["dgl-k16", "contsup-e-k16", "contsup-r1-k16"].map((name) =>
        above(errorGap(found, "table-1", name, "contsup-r1e-k16"), -CLOSE),
      ),
    ),
  ],
};

const forms = ["contsup-e-softmax", "contsup-r1e-softmax", "contsup-e-contrast", "contsup-r1e-contrast"];
const baselines = ["greedy-sl", "dgl", "infopro-softmax", "infopro-contrast"];

export const table2: Item = {
  id: "table-2",
  title: "ResNet-32, CIFAR-10, K = 2, 4, 8, 16: contexts E and R1E, contrastive and softmax, beside greedy methods",
  claim: "with context the error grows slowly with K; it gains 1.8 to 3.6 points over DGL (secondary sources)",
  parts: [
    {
      id: "table-2",
      file: "table-2.yaml",
      smoke: smoke(
        "colour",
        "model.width=1",
        unscheduled,
        without(...cuts([...baselines, ...forms], [2, 4, 8])),
        equalWeights("infopro-softmax-k16", "infopro-contrast-k16"),
      ),
      small: [...small(8), ...seeds(1)],
    },
  ],
  hours: { small: 0.8, paper: 640 },
  published: { "table-2": publishedOf("resnet32 cifar10", ["e2e", ...cuts(baselines, moduleCounts)]) },
  judge: (found) => [
    check(
      "from K = 2 to 16 the error of DGL rises by more than with context",
      forms.map((form) => above(extraRise(found, "table-2", "dgl", form, [2, 16]), 0)),
    ),
    check(
      "every form has a lower error than DGL, at every K",
      moduleCounts.flatMap((modules) =>
        forms.map((form) => above(errorGap(found, "table-2", cut("dgl", modules), cut(form, modules)), 0)),
      ),
    ),
    check("at K = 16 the best form gains 1.8 points over DGL or more", [
      above(level("test error, DGL − the best form, K = 16", gainOfTheBest(found), "points"), 0.018),
    ]),
  ],
};

function gainOfTheBest(found: Found) {
  const accuracies = ["dgl", ...forms].map((method) => found.accuracy("table-2", cut(method, 16)));
  return combine(accuracies, (dgl, ...others) => Math.max(...others) - dgl);
}

const withDecoder = ["contsup-r1e-softmax-decoder", "contsup-r1e-contrast-decoder"];
const datasetsOfTable3 = ["cifar10", "svhn", "stl10"] as const;

function partOfTable3(data: (typeof datasetsOfTable3)[number]): Part {
  const methods = [...baselines, ...withDecoder];
  const fewer = without(...cuts(methods, [2, 4, 8]));
  const common = [...seeds(1), ...fewer];
  const reduced = {
    cifar10: [...small(4, 5000, 8), ...common],
    svhn: [...small(4, 5000, 8), ...common],
    // 96x96 images cost nine times as much.
    stl10: ["model.width=4", ...images(1000, 500), "data.batch=32", ...cosineEpochs(6, 1), ...common],
  };
  return {
    id: data,
    file: `table-3-${data}.yaml`,
    smoke: smoke(
      "colour",
      "model.width=1",
      unscheduled,
      fewer,
      equalWeights(...cuts(["infopro-softmax", "infopro-contrast", ...withDecoder], [16])),
    ),
    small: reduced[data],
  };
}

export const table3: Item = {
  id: "table-3",
  title: "ResNet-110 on CIFAR-10, SVHN and STL-10, K = 2, 4, 8, 16: context R1E with decoders, beside greedy methods",
  claim: "context with decoders has the lowest error of the greedy methods at large K",
  parts: datasetsOfTable3.map(partOfTable3),
  hours: { small: 0.9, paper: 5600 },
  published: Object.fromEntries(
    datasetsOfTable3.map((data) => [data, publishedOf(`resnet110 ${data}`, ["e2e", ...cuts(baselines, moduleCounts)])]),
  ),
  judge(found) {
    const parts = datasetsOfTable3.filter((part) => found.has(part, "e2e"));
    const compared = (rivals: readonly string[], form: string) =>
      parts.flatMap((part) =>
        [8, 16].flatMap((modules) =>
          rivals
            .map((rival) => [cut(rival, modules), cut(form, modules)] as const)
            .filter((pair) => pair.every((variant) => found.has(part, variant)))
            .map(([rival, own]) => above(errorGap(found, part, rival, own), 0)),
        ),
      );
    return [
      check(
        "with the contrastive loss, lower than every other greedy method at K = 8 and 16",
        compared(baselines, "contsup-r1e-contrast-decoder"),
      ),
      check(
        "with softmax, lower than every other greedy method with softmax at K = 8 and 16",
        compared(["greedy-sl", "dgl", "infopro-softmax"], "contsup-r1e-softmax-decoder"),
      ),
    ];
  },
};

const depthsOfTable4 = { k8: [1, 2, 4, 8], k16: [1, 2, 4, 8, 16] } as const;
type PartOfTable4 = keyof typeof depthsOfTable4;

/** Less than this of DGL's peak memory is little: the 3.5 % of secondary sources, and as much again for doubt. */
const OVERHEAD = 0.05;
/** From here on R² speaks for a line. */
const LINEAR = 0.9;

export const table4: Item = {
  id: "table-4",
  title: "ResNet-32, CIFAR-10, K = 8 and 16, softmax: context from more and more modules before, with memory",
  claim:
    "more context lowers the error, with diminishing returns and linear growth of memory; E and R1 cost about 3.5 % of DGL's (secondary source)",
  parts: (["k8", "k16"] as const).map((id) => ({
    id,
    file: `table-4-${id}.yaml`,
    smoke: smoke("colour", "model.width=1", unscheduled),
    small: [...small(8), ...seeds(1)],
  })),
  hours: { small: 0.5, paper: 390 },
  published: Object.fromEntries(
    ([8, 16] as const).map((modules) => [`k${modules}`, publishedOf("resnet32 cifar10", [cut("dgl", modules)])]),
  ),
  judge(found) {
    const parts = (["k8", "k16"] as const).filter((part) => found.has(part, named(part, "dgl")));
    const each = (make: (part: PartOfTable4) => Parameters<typeof check>[1]) => parts.flatMap(make);
    return [
      check(
        "context from one module before lowers the error",
        each((part) => [above(errorGap(found, part, named(part, "dgl"), named(part, "contsup-r1")), 0)]),
      ),
      check(
        "context from as many as there are lowers it further",
        each((part) => [above(errorGap(found, part, named(part, "contsup-r1"), named(part, most(part))), 0)]),
      ),
      check(
        "returns diminish: the first module before gains more than all those before it",
        each((part) => [
          above(level(`${part}: gain of the first − of the others`, firstGain(found, part), "points"), 0),
        ]),
      ),
      check(
        `memory grows linearly: R² above ${LINEAR}`,
        each((part) => [above(linearity(found, part, overDepth(part)), LINEAR)]),
      ),
      check(
        "E and R1 add less than 5 % to DGL's peak memory",
        each((part) =>
          ["contsup-e", "contsup-r1"].map((method) =>
            below(memoryGap(found, part, named(part, method), named(part, "dgl")), OVERHEAD),
          ),
        ),
      ),
    ] satisfies Check[];
  },
};

/** The variant of a method in a part: `k8` → `dgl-k8`. */
function named(part: PartOfTable4, method: string): string {
  return `${method}-${part}`;
}

function most(part: PartOfTable4): string {
  return `contsup-r${depthsOfTable4[part].at(-1)}`;
}

function overDepth(part: PartOfTable4): [variant: string, previousModules: number][] {
  return [
    [named(part, "dgl"), 0],
    ...depthsOfTable4[part].map((n): [string, number] => [named(part, `contsup-r${n}`), n]),
  ];
}

function firstGain(found: Found, part: PartOfTable4) {
  const accuracies = ["dgl", "contsup-r1", most(part)].map((method) => found.accuracy(part, named(part, method)));
  return combine(accuracies, (none, one, all) => one - none - (all - one));
}
