// What every registered local loss promises, and cross-entropy against values worked by hand.
import "../support/one-thread.js";
import { Generator, memory, scope, type Tensor, tensor } from "@stopgrad/torch";
import { describe, expect, test } from "vitest";
import { type HeadName, heads } from "../../src/heads/index.js";
import { type LocalLoss, type LocalLossInput, losses } from "../../src/losses/index.js";
import { expectClose } from "../support/compare.js";
import { labelsOf } from "../support/formula.js";
import { differences, given, inputFor, int64, type Options, withOutput } from "./inputs.js";

/** Options whose code differs from the defaults'. */
const variants: Record<string, Options[]> = {
  "supervised-contrastive": [{ views: 1 }],
  "similarity-matching": [{ target: "onehot", safeguard: "root" }],
  "signal-propagation": ["soft", "max-all", "max-random", "label-direct"].map((target) => ({ target })),
  "hsic-bottleneck": [{ labelKernel: "linear", distance: "plain" }, { inputWeight: 0 }],
};

const cases = Object.entries(losses as Record<string, LocalLoss>).flatMap(([name, loss]) =>
  [{}, ...(variants[name] ?? [])].map((options) => ({
    name: `${name} ${JSON.stringify(options)}`,
    loss,
    options: loss.options.parse(options),
  })),
);
const shapes = [[5], [4, 2, 3], [3, 2, 2]] as const;
const LABELS = [0, 1, 0, 2, 1, 3];
const CLASSES = 5;

const finite = (values: readonly number[]) => values.every(Number.isFinite);

describe.each(cases)("$name", ({ loss, options }) => {
  const make = (changes: Partial<Parameters<typeof inputFor>[2]> = {}) =>
    inputFor(loss, options, { labels: LABELS, classes: CLASSES, shape: shapes[0], ...changes });
  const compute = (input: LocalLossInput) => loss.compute(options, input);

  /** Value and gradient with respect to the output. */
  function differentiated(input: LocalLossInput, output = input.output) {
    const leaf = output.detach().clone().requiresGrad_();
    const value = compute(withOutput(input, leaf));
    value.backward();
    return { value, gradient: leaf.grad?.toNumbers() ?? leaf.toNumbers().fill(0) };
  }

  test.each(["float32", "float64"] as const)("is one finite number with a finite gradient, in %s", (dtype) => {
    scope(() => {
      const input = make({ dtype });
      for (const scale of [0, 1e-4, 1, 1e4]) {
        const { value, gradient } = differentiated(input, input.output.mul(scale));
        expect(value.shape).toEqual([]);
        expect(value.dtype).toBe(dtype);
        expect(Number.isFinite(value.item())).toBe(true);
        expect(finite(gradient)).toBe(true);
      }
    });
  });

  test.each(shapes.map((shape) => [shape]))("has the gradient that finite differences give, on [%s]", (shape) => {
    scope(() => {
      const input = make({ shape });
      const { gradient } = differentiated(input);
      const { output } = input;
      const numeric = differences(output.toNumbers(), 1e-5, (moved) =>
        scope(() => compute(withOutput(input, tensor(moved, { shape: output.shape }))).item()),
      );
      expectClose(gradient, numeric, 2e-7);
      expect(numeric.some((value) => Math.abs(value) > 1e-3)).toBe(true);
    });
  });

  test("does not depend on the order of the batch", () => {
    scope(() => {
      const order = [3, 0, 5, 1, 4, 2];
      const input = make();
      const rows = (values: Tensor) => {
        const all = Array.from({ length: values.size(0) }, (_, row) => order[row % 6]! + 6 * Math.floor(row / 6));
        return values.indexSelect(0, int64(all));
      };
      const shuffled = {
        ...withOutput(input, rows(input.output)),
        labels: rows(input.labels),
        images: rows(input.images),
        signals: input.signals && { input: rows(input.signals.input), output: rows(input.signals.output) },
      };
      expect(compute(shuffled).item()).toBeCloseTo(compute(input).item(), 9);
    });
  });

  test("leaves what it is given as it was", () => {
    scope(() => {
      const input = make();
      const given = [input.output, input.labels, input.images, input.signals?.input, input.signals?.output];
      const before = given.map((values) => values?.toNumbers());
      compute(input);
      expect(given.map((values) => values?.toNumbers())).toEqual(before);
    });
  });

  test.each([
    ["a batch of one", [2], (output: Tensor) => output],
    ["images of one class", [1, 1, 1, 1], (output: Tensor) => output],
    ["no two images of a class", [0, 1, 2, 3], (output: Tensor) => output],
    ["identical features", LABELS, (output: Tensor) => output.select(0, 0).unsqueeze(0).repeat(sizes(output))],
    ["all features equal", LABELS, (output: Tensor) => output.mul(0).add(0.3)],
    ["two images alike", LABELS, (output: Tensor) => output.indexSelect(0, doubled(output.size(0)))],
  ])("%s: finite value and gradient", (_, labels, change) => {
    for (const dtype of ["float32", "float64"] as const) {
      scope(() => {
        const input = make({ labels, dtype });
        const { value, gradient } = differentiated(input, change(input.output));
        expect(Number.isFinite(value.item())).toBe(true);
        expect(finite(gradient)).toBe(true);
        expect(Math.max(...gradient.map(Math.abs))).toBeLessThan(1e4);
      });
    }
  });

  test("leaks nothing", () => {
    const input = make();
    const once = () => scope(() => void differentiated(input));
    once();
    const before = memory();
    once();
    expect(memory().liveTensors).toBe(before.liveTensors);
    expect(memory().liveBytes).toBe(before.liveBytes);
  });
});

/** The first row for all. */
const sizes = (output: Tensor) => [output.size(0), ...output.shape.slice(1).map(() => 1)];
/** Row 1 is row 0. */
const doubled = (rows: number) => int64(Array.from({ length: rows }, (_, row) => (row === 1 ? 0 : row)));

describe.each(Object.entries(losses as Record<string, LocalLoss>))("%s", (name, loss) => {
  test("has options with defaults, a summary and a source", () => {
    expect(() => loss.options.parse({})).not.toThrow();
    expect(() => loss.options.parse({ temprature: 1 })).toThrow(/temprature/);
    expect(loss.summary.length).toBeGreaterThan(10);
    expect(loss.source).toBeTruthy();
  });

  test("works with heads that there are, through each of them", () => {
    expect(loss.heads.length).toBeGreaterThan(0);
    for (const headName of loss.heads) {
      expect(Object.keys(heads)).toContain(headName);
      scope(() => {
        const options = loss.options.parse({});
        const shape = loss.outputs === "classes" ? [7] : [6, 3, 3];
        const input = inputFor(loss, options, { labels: LABELS, classes: CLASSES, shape, dtype: "float32" });
        const head = heads[headName as HeadName];
        const { outputs } = loss;
        const context = { shape: input.output.shape.slice(1), classes: CLASSES, outputs, generator: new Generator(1) };
        const made = head.create(head.options.parse({}), context);
        const hidden = input.output.requiresGrad_();
        const output = made ? made.forward(hidden) : hidden;
        const value = loss.compute(options, { ...input, output });
        expect(Number.isFinite(value.item()), `${name} with ${headName}`).toBe(true);
        value.backward();
        for (const parameter of made?.parameters() ?? []) expect(parameter.grad).not.toBeNull();
        expect(hidden.grad).not.toBeNull();
      });
    }
  });
});

describe("cross-entropy", () => {
  const compute = (rows: number[][], labels: number[]) =>
    scope(() =>
      losses["cross-entropy"]
        .compute({}, given({ output: tensor(rows, { dtype: "float64" }), labels: int64(labels) }))
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
      losses["cross-entropy"].compute({}, given({ output, labels: int64([2, 0]) })).backward();
      const expected = [1 / 8, 2 / 8, 5 / 8 - 1, 1 / 8 - 1, 2 / 8, 5 / 8].map((value) => value / 2);
      expectClose(output.grad!.toNumbers(), expected, 1e-14);
    });
  });

  test("a label that is no class is refused", () => {
    expect(() => compute([[0, 0]], [2])).toThrow();
    expect(() =>
      scope(() => {
        const output = tensor([[0, 1]]);
        losses["cross-entropy"].compute({}, given({ output, labels: labelsOf(3, 5) }));
      }),
    ).toThrow();
  });
});
