// Every registered optimizer against its published update, written out in float64, with the settings of an experiment
// file.
import "../support/one-thread.js";
import { optim, Parameter, scope, tensor } from "@stopgrad/torch";
import { describe, expect, test } from "vitest";
import {
  type OptimizerEntry,
  type OptimizerName,
  type OptimizerSettings,
  optimizers,
} from "../../src/optimizers/index.js";
import { expectClose } from "../support/compare.js";

const START = [0.5, -1, 2];
const GRADIENTS = [
  [0.1, -2, 0],
  [-0.3, 1, 0],
  [0.7, 0.25, -4],
  [0, 0, 1],
];

function train(name: OptimizerName, settings: OptimizerSettings): number[] {
  return scope(() => {
    const parameter = new Parameter(tensor(START, { dtype: "float64" }));
    const optimizer = (optimizers[name] as OptimizerEntry).create(settings, [parameter]);
    for (const gradient of GRADIENTS) {
      parameter.grad = tensor(gradient, { dtype: "float64" });
      optimizer.step();
    }
    const values = parameter.toNumbers();
    optimizer.dispose();
    parameter.dispose();
    return values;
  });
}

function adam(settings: OptimizerSettings, decoupled: boolean): number[] {
  const { learningRate: rate, weightDecay: decay } = settings;
  const [b1, b2] = (settings.betas as [number, number] | undefined) ?? [0.9, 0.999];
  const epsilon = (settings.epsilon as number | undefined) ?? 1e-8;
  return START.map((start, i) => {
    let [value, mean, square] = [start, 0, 0];
    for (const [at, gradients] of GRADIENTS.entries()) {
      if (decoupled) value *= 1 - rate * decay;
      const gradient = gradients[i]! + (decoupled ? 0 : decay * value);
      mean = b1 * mean + (1 - b1) * gradient;
      square = b2 * square + (1 - b2) * gradient ** 2;
      const [corrected, spread] = [mean / (1 - b1 ** (at + 1)), square / (1 - b2 ** (at + 1))];
      value -= (rate * corrected) / (Math.sqrt(spread) + epsilon);
    }
    return value;
  });
}

function sgd(settings: OptimizerSettings): number[] {
  const { learningRate: rate, weightDecay: decay } = settings;
  const [momentum, dampening] = [(settings.momentum as number) ?? 0, (settings.dampening as number) ?? 0];
  return START.map((start, i) => {
    let value = start;
    let velocity = 0;
    for (const [at, gradients] of GRADIENTS.entries()) {
      const gradient = gradients[i]! + decay * value;
      velocity = at === 0 ? gradient : momentum * velocity + (1 - dampening) * gradient;
      if (momentum === 0) velocity = gradient;
      value -= rate * (settings.nesterov ? gradient + momentum * velocity : velocity);
    }
    return value;
  });
}

const plain = { learningRate: 0.1, weightDecay: 0 };
const expectations: Record<OptimizerName, { expected: (s: OptimizerSettings) => number[]; own: object[] }> = {
  adam: { expected: (s) => adam(s, false), own: [{ betas: [0.5, 0.8] }, { epsilon: 0.1 }] },
  adamw: { expected: (s) => adam(s, true), own: [{ betas: [0.5, 0.8] }, { epsilon: 0.1 }] },
  sgd: {
    expected: sgd,
    own: [{ momentum: 0.9 }, { momentum: 0.9, nesterov: true }, { momentum: 0.9, dampening: 0.5 }],
  },
};

describe.each(Object.entries(expectations) as [OptimizerName, (typeof expectations)["adam"]][])(
  "%s",
  (name, { expected, own }) => {
    const settings: OptimizerSettings[] = [
      {},
      { weightDecay: 0.05 },
      { weightDecay: 0.05, learningRate: 1e-3 },
      ...own,
    ].map((changes) => ({ ...plain, ...changes }));

    test.each(settings.map((s) => [JSON.stringify(s), s] as const))("%s", (_, given) => {
      expectClose(train(name, given), expected(given), 1e-13);
    });

    test("each of its own options changes what it does", () => {
      const base = JSON.stringify(train(name, plain));
      for (const changes of own) expect(JSON.stringify(train(name, { ...plain, ...changes }))).not.toBe(base);
    });

    test("options have defaults, and unknown ones are refused", () => {
      const entry: OptimizerEntry = optimizers[name];
      expect(() => entry.options.parse({})).not.toThrow();
      expect(() => entry.options.parse({ momentun: 0.9 })).toThrow(/momentun/);
      expect(entry.summary.length).toBeGreaterThan(10);
      expect(entry.source).toBeTruthy();
    });

    test("what stands beside its options in a file, such as the schedule, does not disturb it", () => {
      const given = { ...plain, name, schedule: { milestones: [3], gamma: 0.2 } };
      expect(train(name, given)).toEqual(train(name, plain));
    });
  },
);

test("a schedule multiplies by gamma at each milestone", () => {
  // The values of arXiv 2402.09050's code: 5e-4, times 0.2 at 200, 300, 350 and 375.
  const rate = (epoch: number) => optim.multiStep(5e-4, epoch, { milestones: [200, 300, 350, 375], gamma: 0.2 });
  expectClose(
    [0, 199, 200, 299, 300, 350, 374, 375, 399].map(rate),
    [5e-4, 5e-4, 1e-4, 1e-4, 2e-5, 4e-6, 4e-6, 8e-7, 8e-7],
    1e-15,
  );
});
