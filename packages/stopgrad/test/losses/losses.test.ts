// What every registered local loss promises, and cross-entropy against values worked by hand.
import "../support/one-thread.js";
import { Generator, randint, randn, scope, type Tensor, tensor } from "@stopgrad/torch";
import { describe, expect, test } from "vitest";
import { type LocalLoss, losses } from "../../src/losses/index.js";
import { expectClose } from "../support/compare.js";
import { labelsOf } from "../support/formula.js";

const BATCH = 6;
const OUTPUTS = 5;

function inputs(seed = 3): { output: Tensor; labels: Tensor } {
  const generator = new Generator(seed);
  return {
    output: randn([BATCH, OUTPUTS], { generator, dtype: "float64" }),
    labels: randint(0, OUTPUTS, [BATCH], { generator }),
  };
}

describe.each(Object.entries(losses as Record<string, LocalLoss>))("%s", (_, loss) => {
  const compute = (output: Tensor, labels: Tensor) => loss.compute(loss.options.parse({}), { output, labels });

  test("is one finite number, also for extreme outputs", () => {
    scope(() => {
      const { output, labels } = inputs();
      for (const scale of [0, 1, 1e4]) {
        const value = compute(output.mul(scale), labels);
        expect(value.shape).toEqual([]);
        expect(Number.isFinite(value.item())).toBe(true);
      }
    });
  });

  test("has the gradient that finite differences give, in float64", () => {
    scope(() => {
      const { output, labels } = inputs();
      output.requiresGrad_();
      compute(output, labels).backward();
      const values = output.toNumbers();
      const step = 1e-6;
      const numeric = values.map((_, at) => {
        const [up, down] = [step, -step].map((change) => {
          const moved = Float64Array.from(values);
          moved[at]! += change;
          return compute(tensor(moved, { shape: [BATCH, OUTPUTS] }), labels).item();
        });
        return (up! - down!) / (2 * step);
      });
      expectClose(output.grad!.toNumbers(), numeric, 1e-8);
      expect(numeric.some((value) => Math.abs(value) > 1e-3)).toBe(true);
    });
  });

  test("does not depend on the order of the batch", () => {
    scope(() => {
      const { output, labels } = inputs();
      const order = tensor(BigInt64Array.from([3, 0, 5, 1, 4, 2], BigInt));
      const shuffled = compute(output.indexSelect(0, order), labels.indexSelect(0, order)).item();
      expect(shuffled).toBeCloseTo(compute(output, labels).item(), 12);
    });
  });

  test("leaves outputs and labels as they were", () => {
    scope(() => {
      const { output, labels } = inputs();
      const [before, labelsBefore] = [output.toNumbers(), labels.toNumbers()];
      compute(output, labels);
      expect(output.toNumbers()).toEqual(before);
      expect(labels.toNumbers()).toEqual(labelsBefore);
    });
  });

  test("has options with defaults, a summary and a source", () => {
    expect(() => loss.options.parse({})).not.toThrow();
    expect(() => loss.options.parse({ temprature: 1 })).toThrow(/temprature/);
    expect(loss.summary.length).toBeGreaterThan(10);
    expect(loss.source).toBeTruthy();
  });
});

describe("cross-entropy", () => {
  const compute = (rows: number[][], labels: number[]) =>
    scope(() =>
      losses["cross-entropy"]
        .compute(
          {},
          {
            output: tensor(rows, { dtype: "float64" }),
            labels: tensor(BigInt64Array.from(labels, BigInt)),
          },
        )
        .item(),
    );

  test("worked by hand", () => {
    expect(compute([[0, 0, 0, 0]], [2])).toBeCloseTo(Math.log(4), 14);
    // Scores log 1, log 2, log 5 are probabilities 1/8, 2/8, 5/8.
    const scores = [0, Math.log(2), Math.log(5)];
    expect(compute([scores, scores, scores], [0, 1, 2])).toBeCloseTo(
      (Math.log(8) + Math.log(4) + Math.log(8 / 5)) / 3,
      14,
    );
    expect(
      compute(
        [
          [1000, 0],
          [0, 1000],
        ],
        [0, 0],
      ),
    ).toBeCloseTo(500, 10);
  });

  test("gradient is (softmax − one-hot) / N", () => {
    scope(() => {
      const scores = [0, Math.log(2), Math.log(5)];
      const output = tensor([scores, scores], { dtype: "float64" }).requiresGrad_();
      losses["cross-entropy"].compute({}, { output, labels: tensor(BigInt64Array.from([2n, 0n])) }).backward();
      const expected = [1 / 8, 2 / 8, 5 / 8 - 1, 1 / 8 - 1, 2 / 8, 5 / 8].map((value) => value / 2);
      expectClose(output.grad!.toNumbers(), expected, 1e-14);
    });
  });

  test("a label that is no class is refused", () => {
    expect(() => compute([[0, 0]], [2])).toThrow();
    expect(() =>
      scope(() => losses["cross-entropy"].compute({}, { output: inputs().output, labels: labelsOf(3, 5) })),
    ).toThrow();
  });
});
