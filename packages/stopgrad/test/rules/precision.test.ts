// `precision: bfloat16`: forward passes in 16 bits, everything that lasts in 32.
import "../support/one-thread.js";
import { autocastDType, Generator, noGrad, scope, type Tensor } from "@stopgrad/torch";
import { describe, expect, test } from "vitest";
import { differing, snapshot } from "../support/compare.js";
import { makeBatch, makeRule, modelNames, type RuleSetup } from "../support/networks.js";

const partitions = [1, 3, "stage"] as const;
const cases = modelNames.flatMap((model) => partitions.map((partition) => ({ model, partition })));
const inHalf = { precision: "bfloat16" } as const;

describe.each(cases)("$model, partition $partition", (setup: RuleSetup) => {
  test("starts from float32's losses, to 16 bits", () => {
    const [half, full] = [makeRule({ ...setup, ...inHalf }), makeRule(setup)].map((rule) => rule.step(makeBatch(0)));
    expect(half!.losses.map(({ module }) => module)).toEqual(full!.losses.map(({ module }) => module));
    for (const [at, { loss }] of half!.losses.entries()) {
      expect(Math.abs(loss / full!.losses[at]!.loss - 1)).toBeLessThan(0.1);
    }
    expect(half!.losses).not.toEqual(full!.losses);
  });

  test("keeps parameters, gradients and the optimizer's state in float32, and leaves autocast behind it", () => {
    const rule = makeRule({ ...setup, ...inHalf });
    rule.step(makeBatch(0));
    expect(autocastDType()).toBeNull();
    const parameters = [...rule.backbone.parameters(), ...(rule.auxiliary?.parameters() ?? [])];
    for (const parameter of parameters) {
      expect(parameter.dtype).toBe("float32");
      expect(parameter.grad?.dtype).toBe("float32");
    }
    for (const tensor of rule.stateDict().values()) expect(tensor.dtype).not.toBe("bfloat16");
  });

  test("gives stages' outputs in 16 bits and logits in 32", () => {
    const rule = makeRule({ ...setup, ...inHalf });
    scope(() =>
      noGrad(() => {
        const { images } = makeBatch(0);
        let features: Tensor = images;
        for (const stage of rule.backbone.stages) {
          features = stage.forward(features);
          expect(features.dtype).toBe("bfloat16");
        }
        expect(rule.logits(images).dtype).toBe("float32");
      }),
    );
  });

  test("learns a batch as float32 does", () => {
    const learnt = (precision: "float32" | "bfloat16") => {
      const rule = makeRule({ ...setup, precision, settings: { learningRate: 5e-3 } });
      return Array.from({ length: 40 }, () => rule.step(makeBatch(0)).loss);
    };
    const [half, full] = [learnt("bfloat16"), learnt("float32")];
    const gain = (losses: number[]) => losses[0]! - losses.at(-1)!;
    expect(gain(half)).toBeGreaterThan(0.8 * gain(full));
  });

  test("goes on bit for bit from what it saved", () => {
    const dropout = new Generator(5);
    const rule = makeRule({ ...setup, ...inHalf, dropoutGenerator: dropout });
    rule.step(makeBatch(0));
    const saved = new Map([...rule.stateDict()].map(([name, tensor]) => [name, tensor.clone()]));
    const generator = dropout.getState();
    const expected = rule.step(makeBatch(1));
    const otherDropout = new Generator(6);
    const other = makeRule({ ...setup, ...inHalf, seed: 7, dropoutGenerator: otherDropout });
    other.loadStateDict(saved);
    otherDropout.setState(generator);
    expect(other.step(makeBatch(1))).toEqual(expected);
    expect(differing(snapshot(rule.stateDict()), snapshot(other.stateDict()))).toEqual([]);
  });
});
