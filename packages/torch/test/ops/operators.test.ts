// Every exported operator: its result against PyTorch's, and its gradient against central differences in float64.
import { describe, expect, it } from "vitest";
import { add, eye, Generator, grad, matmul, mul, randn, scope, sum, Tensor } from "../../src/index.js";
import * as arithmetic from "../../src/ops/arithmetic.js";
import * as comparison from "../../src/ops/comparison.js";
import * as creation from "../../src/ops/creation.js";
import * as functional from "../../src/ops/functional.js";
import * as inPlaceOperators from "../../src/ops/in-place.js";
import * as indexing from "../../src/ops/indexing.js";
import * as linalg from "../../src/ops/linalg.js";
import * as reduction from "../../src/ops/reduction.js";
import * as shape from "../../src/ops/shape.js";
import * as sorting from "../../src/ops/sorting.js";
import { allClose, exact, expectResult } from "../support/close.js";
import { decode, type Encoded, type OperatorCase, readOperatorCases } from "../support/fixtures.js";

type Operator = (...args: unknown[]) => Tensor | Tensor[] | number | boolean;

const operators = readOperatorCases();

/** Not operators: a handle without an owner, tested with Parameter, and what makes two operators one. */
const internal = new Set(["detachHandle", "binary"]);

const areas = [
  arithmetic,
  comparison,
  creation,
  functional,
  inPlaceOperators,
  indexing,
  linalg,
  reduction,
  shape,
  sorting,
];
const exported = new Map<string, Operator>(
  areas
    .flatMap((area) => Object.entries(area))
    .filter(([name, value]) => typeof value === "function" && !internal.has(name)) as [string, Operator][],
);

/** Where a method has another name than its operator. */
const methodNames: Record<string, string> = { toDType: "to", convertTensor: "to", unfoldDimension: "unfold" };

const streams = new Set([
  ...["rand", "randn", "randint", "randperm", "multinomial", "bernoulli", "uniform_", "normal_", "bernoulli_"],
]);

/** Vectors may have the other sign: compared by what they make up, in linalg.test.ts. */
const decompositions = new Set(["linalgEigh", "linalgSvd", "linalgQr"]);

/** Flat wherever they have a derivative. */
const steps = new Set(["sign", "floor", "ceil", "round", "trunc"]);

/** Recorded by libtorch, to be refused in the backward pass. */
const undifferentiable = new Set(["floorDivide", "bincount"]);

/** Only a symmetric matrix has a Cholesky factor: differentiate with respect to what makes one. */
const prepared: Record<string, (args: unknown[]) => unknown[]> = {
  linalgCholesky: ([self]) => [definite(self as Tensor)],
  choleskyInverse: ([self]) => [linalg.linalgCholesky(definite(self as Tensor))],
  linalgEigvalsh: ([self]) => [add(self as Tensor, (self as Tensor).transpose(-1, -2))],
};
function definite(self: Tensor): Tensor {
  const product = matmul(self, self.transpose(-1, -2));
  return add(product, eye(self.shape.at(-1)!, { dtype: "float64" }));
}

it("has a case for every exported operator, and no other", () => {
  expect(Object.keys(operators).sort()).toEqual([...exported.keys()].sort());
});

describe.each([...exported])("%s", (name, operator) => {
  const cases = operators[name] ?? [];
  const inPlace = name.endsWith("_");
  const tolerance = streams.has(name) ? exact : undefined;

  it.each(cases.map((recorded, at) => [at, recorded] as const))("gives PyTorch's result (case %i)", (_, recorded) => {
    scope(() => {
      const args = decode(recorded.args) as unknown[];
      const result = operator(...args);
      if (decompositions.has(name)) return expectShapes(result as Tensor[], recorded);
      expectResult(result, recorded.result, tolerance, name);
      if (inPlace) expect(result).toBe(args[0]);
    });
  });

  const method = methodNames[name] ?? name;
  if (method in Tensor.prototype) {
    it.each(cases.map((recorded, at) => [at, recorded] as const))("is the method's result (case %i)", (_, recorded) => {
      scope(() => {
        const [self, ...args] = decode(recorded.args) as [Tensor, ...unknown[]];
        const result = (self as unknown as Record<string, Operator>)[method]!(...args);
        expectResult(result, recorded.result, tolerance, name);
        if (inPlace) expect(result).toBe(self);
      });
    });
  }

  const differentiable = cases.flatMap((recorded, at) => (recorded.differentiable ? [[at, recorded] as const] : []));
  if (differentiable.length > 0) {
    it.each(differentiable)("has the gradient of finite differences (case %i)", (_, recorded) => {
      scope(() => checkGradient(name, operator, recorded));
    });
  } else if (!decompositions.has(name)) {
    it("records nothing for differentiation", () => {
      scope(() => {
        for (const recorded of cases) {
          const args = decode(recorded.args) as unknown[];
          if (!inPlace) for (const input of floatsIn(args)) input.requiresGrad_();
          const result = operator(...args);
          if (!(result instanceof Tensor) || !result.dtype.startsWith("float")) continue;
          if (["toDType", "batchNorm"].includes(name)) continue;
          expect(result.requiresGrad).toBe(
            (steps.has(name) || undifferentiable.has(name)) && floatsIn(args).length > 0,
          );
          if (!result.requiresGrad) continue;
          if (undifferentiable.has(name)) {
            expect(() => grad([sum(result)], floatsIn(args))).toThrow(/derivative for .* is not implemented/);
            continue;
          }
          const [gradient] = grad([sum(result)], floatsIn(args));
          expect(gradient!.toNumbers().every((number) => number === 0)).toBe(true);
        }
      });
    });
  }
});

function expectShapes(actual: readonly Tensor[], recorded: OperatorCase): void {
  expect(actual.map(({ shape }) => shape)).toEqual((recorded.result as Encoded[]).map(({ s }) => s));
}

/** All float64 tensors in `value`, also inside lists and options. */
function floatsIn(value: unknown): Tensor[] {
  if (value instanceof Tensor) return value.dtype === "float64" ? [value] : [];
  if (value instanceof Generator || typeof value !== "object" || value === null) return [];
  return Object.values(value).flatMap(floatsIn);
}

function checkGradient(name: string, operator: Operator, recorded: OperatorCase): void {
  const args = decode(recorded.args) as unknown[];
  const inputs = floatsIn(args);
  expect(inputs.length).toBeGreaterThan(0);
  const call = (): Tensor[] => {
    const given = prepared[name]?.(args) ?? args;
    const copied = name.endsWith("_") ? [(given[0] as Tensor).clone(), ...given.slice(1)] : given;
    return floatsIn(operator(...copied));
  };
  const generator = new Generator(1);
  const weights = call().map((output) => randn(output.shape, { dtype: "float64", generator }));
  const projected = (): Tensor =>
    call()
      .map((output, i) => sum(mul(output, weights[i]!)))
      .reduce((a, b) => add(a, b));

  // Central differences: the error of h² and that of rounding, 1e-16 / h, are about equal.
  const step = 1e-5;
  const differences = inputs.map((input) => {
    const flat = input.view([-1]);
    return Array.from({ length: input.numel }, (_, i) =>
      scope(() => {
        const element = flat.narrow(0, i, 1);
        const value = element.item();
        element.fill_(value + step);
        const above = projected().item();
        element.fill_(value - step);
        const below = projected().item();
        element.fill_(value);
        return (above - below) / (2 * step);
      }),
    );
  });

  for (const input of inputs) input.requiresGrad_();
  const gradients = grad([projected()], inputs, { allowUnused: true });
  for (const [at, gradient] of gradients.entries()) {
    const numbers = gradient?.toNumbers() ?? new Array(inputs[at]!.numel).fill(0);
    allClose(numbers, differences[at]!, { relative: 1e-7, absolute: 1e-8 }, `${name}: gradient of input ${at}`);
  }
}
