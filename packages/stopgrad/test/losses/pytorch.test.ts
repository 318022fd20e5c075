// Losses and the nHSIC term against a transcription of their formulas in PyTorch, sample by sample, in float64
// (fixtures/record-losses.py): values and gradients.
import "../support/one-thread.js";
import { readFileSync } from "node:fs";
import { cat, Generator, type nn, noGrad, scope, type Tensor, tensor } from "@stopgrad/torch";
import { describe, expect, test } from "vitest";
import { type LocalLoss, losses } from "../../src/losses/index.js";
import { nhsic } from "../../src/measures/nhsic.js";
import { nhsicTerm } from "../../src/measures/nhsic-gradient.js";
import { expectClose } from "../support/compare.js";
import { type Summary, summaryError, summaryOf, values } from "../support/formula.js";
import { int64 } from "./inputs.js";

type Recorded = number[] | { summary: Summary };
interface Case {
  loss: string;
  name: string;
  options: Record<string, unknown>;
  shapes: Record<string, number[]>;
  labels: number[];
  classes: number;
  value: number;
  gradients: Record<string, Recorded>;
}
const { cases } = JSON.parse(readFileSync(new URL("../fixtures/losses.json", import.meta.url), "utf8")) as {
  cases: Case[];
};

function inputsOf({ loss, name, shapes }: Case): Record<string, Tensor> {
  const make = ([key, shape]: [string, number[]]) => {
    const formula = values(
      `${loss}/${name}/${key}`,
      shape.reduce((product, size) => product * size, 1),
    );
    return [key, tensor(formula, { shape }).requiresGrad_()] as const;
  };
  return Object.fromEntries(Object.entries(shapes).map(make));
}

function expectGradients(inputs: Record<string, Tensor>, recorded: Record<string, Recorded>, tolerance: number): void {
  expect(Object.keys(recorded).length).toBeGreaterThan(0);
  for (const [key, expected] of Object.entries(recorded)) {
    const gradient = inputs[key]!.grad!;
    if (Array.isArray(expected)) expectClose(gradient.toNumbers(), expected, tolerance);
    else expect(summaryError(summaryOf(gradient), expected.summary, gradient.numel)).toBeLessThan(tolerance);
  }
}

describe.each(cases.filter(({ loss }) => loss !== "nhsic-term"))("$loss: $name", (recorded) => {
  test("PyTorch's value and gradients", () => {
    scope(() => {
      const { options, labels, classes } = recorded;
      const loss: LocalLoss = losses[recorded.loss as keyof typeof losses];
      const parsed = loss.options.parse(options);
      const inputs = inputsOf(recorded);
      const { output, hidden, images, entered, left } = inputs;
      const shown = (output ?? hidden)!;
      const value = loss.compute(parsed, {
        output: shown,
        hidden: hidden ?? shown,
        labels: int64(labels),
        classes,
        views: loss.views?.(parsed) ?? 1,
        images: images ?? shown,
        signals: entered && left ? { input: entered.detach(), output: left } : null,
        own: hidden ? decoder(loss, parsed, hidden.shape.slice(1), classes, inputs) : null,
      });
      expectClose([value.item()], [recorded.value], 1e-12);
      value.backward();
      // With a ridge of 1e-5 rounding grows by 1e5 in explicit inverses.
      expectGradients(inputs, recorded.gradients, recorded.loss === "hsic-bottleneck" ? 1e-8 : 1e-11);
    });
  });
});

/** The loss's own decoder with the recorded weights; their gradients come to stand in `inputs`. */
function decoder(
  loss: LocalLoss,
  options: Record<string, unknown>,
  shape: readonly number[],
  classes: number,
  inputs: Record<string, Tensor>,
): nn.Module {
  const made = loss.create!(options, { shape, classes, outputs: "features", generator: new Generator(1) })!;
  made.to("float64");
  const [weight, bias] = made.parameters() as [Tensor, Tensor];
  expect(weight.toNumbers().every((number) => number === 0)).toBe(true);
  expect(bias.toNumbers().some((number) => number !== 0)).toBe(true);
  noGrad(() => {
    weight.copy_(inputs.weight!);
    bias.copy_(inputs.bias!);
  });
  Object.assign(inputs, { weight, bias });
  return made;
}

describe.each(cases.filter(({ loss }) => loss === "nhsic-term"))("nHSIC term: $name", (recorded) => {
  test.each(["analytic", "autograd"] as const)("PyTorch's value and gradient, %s", (gradient) => {
    scope(() => {
      const { duplicates, ...kernel } = recorded.options;
      const inputs = inputsOf(recorded);
      const z = duplicates ? cat([inputs.z!.narrow(0, 0, 2), inputs.z!], 0) : inputs.z!;
      const factor = nhsic.factor(inputs.x!.detach(), nhsic.options.parse(kernel));
      const value = nhsicTerm(z, factor, { ...kernel, gradient });
      expectClose([value.item()], [recorded.value], 1e-9);
      value.backward();
      expectGradients(inputs, recorded.gradients, 1e-7);
    });
  });
});
