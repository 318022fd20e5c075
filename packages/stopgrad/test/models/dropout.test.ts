// Where dropout stands in the networks that have it: the share of zeros that it adds to each stage's output.
import "../support/one-thread.js";
import { noGrad, scope, type Tensor } from "@stopgrad/torch";
import { expect, test } from "vitest";
import type { ModelName } from "../../src/models/index.js";
import { imagesOf } from "../support/formula.js";
import { makeBackbone } from "../support/networks.js";

/** Of each stage's output in training, the share of entries that are 0 and are not without dropout. */
function dropped(model: ModelName, options: Record<string, unknown>): Record<string, number> {
  const inputShape = [3, 32, 32] as const;
  const make = (given: Record<string, unknown>) => makeBackbone({ model, options: given, inputShape }).train();
  const [dropping, whole] = [make(options), make({ ...options, dropout: 0 })];
  return scope(() =>
    noGrad(() => {
      let input: Tensor = imagesOf("images", [16, ...inputShape]);
      const shares = dropping.stages.map((stage, at) => {
        const output = stage.forward(input);
        input = whole.stages[at]!.forward(input);
        const active = input.ne(0);
        const lost = output.eq(0).logicalAnd(active);
        return [stage.name, lost.sum().item() / active.sum().item()] as const;
      });
      return Object.fromEntries(shares);
    }),
  );
}

const near = (share: number) => expect.closeTo(share, 1);

test.each<[string, ModelName, Record<string, unknown>, number, number]>([
  ["VGG's end-to-end form drops half of its linear layers' outputs alone", "vgg11", {}, 0, 0.5],
  ["its layer-wise form a fifth of every layer's", "vgg11", { form: "layer-wise" }, 0.2, 0.2],
  ["another share stands where the form has one", "vgg11", { dropout: 0.3 }, 0, 0.3],
])("%s", (_, model, options, ofConvolutions, ofLinear) => {
  const shares = Object.entries(dropped(model, { width: 16, ...options }));
  const expected = shares.map(([name]) => [name, near(name.startsWith("conv") ? ofConvolutions : ofLinear)]);
  expect(shares).toEqual(expected);
  if (ofConvolutions === 0) expect(shares[0]![1]).toBe(0);
});

test("a residual network drops after its stem alone", () => {
  const { stem, ...blocks } = dropped("resnet50", { width: 4, dropout: 0.2 });
  expect(stem).toBeCloseTo(0.2, 1);
  expect(new Set(Object.values(blocks))).toEqual(new Set([0]));
});
