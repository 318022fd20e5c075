// Whole training steps of DGL, InfoPro and Context Supply against an independent PyTorch transcription
// (fixtures/record-greedy-steps.py): losses, and all weights and running statistics after three steps with SGD.
import "../support/one-thread.js";
import { readFileSync } from "node:fs";
import { scope, tensor } from "@stopgrad/torch";
import { describe, expect, test } from "vitest";
import { losses } from "../../src/losses/index.js";
import { expectClose } from "../support/compare.js";
import { imagesOf, labelsOf, type Summary, setState, summaryError, summaryOf } from "../support/formula.js";
import { makeRule, type RuleSetup } from "../support/networks.js";

interface Case {
  losses: number[][];
  correct: number[];
  state: Record<string, Summary>;
  /** Of each module, in evaluation after the steps. */
  outputs: Summary[];
  logits: number[];
}

const { cases } = JSON.parse(readFileSync(new URL("../fixtures/greedy-steps.json", import.meta.url), "utf8")) as {
  cases: Record<string, Case>;
};

/** Both sides compute in float64; what rounding leaves grows tenfold with every step. */
const TOLERANCE = 1e-7;
const BATCH = 6;
const CLASSES = 4;

const common: RuleSetup = {
  model: "resnet20",
  options: { width: 4 },
  inputShape: [3, 8, 8],
  classes: CLASSES,
  partition: { cuts: [3, 6, 8] },
  classifier: "attached",
  head: "auxiliary",
  optimizer: "sgd",
  settings: { learningRate: 0.02, momentum: 0.9, nesterov: true, weightDecay: 1e-3 },
};
const reconstruction = { first: { reconstruction: 5, label: 0.5 }, last: { reconstruction: 0.5, label: 1 } };
const contrast = {
  loss: losses["supervised-contrastive"],
  lossOptions: { views: 1, temperature: 0.07, baseTemperature: 0.07 },
} as const;

const setups: Record<string, Partial<RuleSetup>> = {
  dgl: {},
  "infopro softmax": { reconstruction },
  "infopro contrast": { reconstruction, ...contrast },
  "contsup E": { context: { fromInput: true } },
  "contsup R1E": { context: { fromInput: true, previousModules: 1 } },
  "contsup R2": { context: { previousModules: 2 } },
  "contsup E with decoder": { context: { fromInput: true }, reconstruction },
};

test("every recorded case is compared", () => {
  expect(Object.keys(setups)).toEqual(Object.keys(cases));
});

/** Ways of computing the same step. */
const ways: Record<string, Partial<RuleSetup>> = { ordinary: {}, "gradient checkpointing": { segments: 2 } };

const runs = Object.entries(setups).flatMap(([name, setup]) => [
  ...Object.entries(ways).map(([way, extra]) => ({ name, way, setup: { ...setup, ...extra } })),
  ...(setup.context
    ? [{ name, way: "recomputed contexts", setup: { ...setup, context: { ...setup.context, recompute: true } } }]
    : []),
]);

describe.each(runs)("$name, $way", ({ name, setup }) => {
  const expected = cases[name]!;

  test("three steps are PyTorch's", () => {
    const rule = makeRule({ ...common, ...setup });
    const weights = () => new Map([...rule.stateDict()].filter(([key]) => !key.startsWith("optimizer.")));
    setState(weights());
    for (const network of [rule.backbone, rule.auxiliary, rule.context]) network?.to("float64");
    expect(rule.moduleNames).toEqual(
      ["stem-layer1_1", "layer1_2-layer2_1", "layer2_2-layer3_0", "layer3_1-layer3_2"].map((one) =>
        one.replaceAll("_", "."),
      ),
    );

    const labels = labelsOf(BATCH, CLASSES);
    const indices = tensor(BigInt64Array.from({ length: BATCH }, (_, at) => BigInt(at)));
    const images = (of: string) => imagesOf(of, [BATCH, 3, 8, 8]).to("float64");
    for (const [step, losses] of expected.losses.entries()) {
      scope(() => {
        const result = rule.step({ images: images(`images/${step}`), labels, indices });
        expectClose(
          result.losses.map(({ loss }) => loss),
          losses,
          TOLERANCE,
        );
        expect(result.loss).toBe(result.losses.at(-1)!.loss);
        expect(result.correct).toBe(expected.correct[step]);
      });
    }
    const state = [...weights()].filter(([, { dtype }]) => dtype === "float64");
    expect(state.map(([key]) => key).sort()).toEqual(Object.keys(expected.state).sort());
    for (const [key, entry] of state) {
      expect(summaryError(summaryOf(entry), expected.state[key]!, entry.numel), key).toBeLessThan(TOLERANCE);
    }

    rule.backbone.eval();
    scope(() => {
      const evaluated = images("evaluated");
      expectClose(rule.logits(evaluated).toNumbers(), expected.logits, TOLERANCE);
      const stages = rule.readStages(evaluated, (output) => [summaryOf(output), output.numel] as const);
      for (const [module, stage] of [2, 5, 7, 9].entries()) {
        const [found, entries] = stages[stage]!;
        expect(summaryError(found, expected.outputs[module]!, entries)).toBeLessThan(TOLERANCE);
      }
    });
    rule.dispose();
  });
});
