// One comparison of ours, small enough for three seeds on two processors: the decay of greedy learning with K, and what
// reconstruction and each context do about it.
import { above, below, check } from "../claims.js";
import { errorGap } from "../comparisons.js";
import type { Item } from "../paper.js";
import { equalWeights, smoke, without } from "../shrink.js";
import { extraRise, memoryGap } from "./claims.js";
import { cut, cuts, moduleCounts, publishedOf } from "./methods.js";
import { small, unscheduled } from "./small.js";

const id = "accuracy-over-modules";
const contexts = ["contsup-e", "contsup-r1", "contsup-r1e"];
const mended = ["infopro-softmax", ...contexts];
const methods = ["dgl", ...mended];
/** DGL widened to the inference cost of context E: what the same multiply-adds bring without context. */
const costMatched = "dgl-cost-of-e";

export const accuracyOverModules: Item = {
  id,
  title: "ResNet-32, CIFAR-10, softmax: error and memory of greedy methods over K = 2, 4, 8, 16 (ours)",
  claim:
    "the error of DGL grows with K; context and reconstruction mend it, the more, the larger K is, and context is worth its multiply-adds at inference; all need less memory than end to end",
  parts: [
    {
      id,
      file: `${id}.yaml`,
      smoke: smoke(
        "colour",
        "model.width=1",
        unscheduled,
        without(...cuts([...methods, costMatched], [4, 8])),
        equalWeights(...cuts(["infopro-softmax"], [2, 16])),
      ),
      small: small(8, 5000, 8),
    },
  ],
  hours: { small: 0.95, paper: 500 },
  published: { [id]: publishedOf("resnet32 cifar10", ["e2e", ...cuts(["dgl", "infopro-softmax"], moduleCounts)]) },
  judge: (found) => [
    check("the error of DGL rises from K = 2 to K = 16", [above(errorGap(found, id, "dgl-k16", "dgl-k2"), 0)]),
    check("at K = 16 DGL has a higher error than end to end", [above(errorGap(found, id, "dgl-k16", "e2e"), 0)]),
    check(
      "at K = 16 each context lowers the error of DGL",
      contexts.map((method) => above(errorGap(found, id, "dgl-k16", cut(method, 16)), 0)),
    ),
    check("at K = 16 context E has a lower error than DGL at the same multiply-adds at inference", [
      above(errorGap(found, id, cut(costMatched, 16), "contsup-e-k16"), 0),
    ]),
    check("at K = 16 reconstruction lowers it", [above(errorGap(found, id, "dgl-k16", "infopro-softmax-k16"), 0)]),
    check(
      "what they gain over DGL grows from K = 2 to K = 16",
      mended.map((method) => above(extraRise(found, id, "dgl", method, [2, 16]), 0)),
    ),
    check(
      "at K = 16 peak memory is below that of end-to-end training",
      methods.map((method) => below(memoryGap(found, id, cut(method, 16), "e2e"), 0)),
    ),
  ],
};
