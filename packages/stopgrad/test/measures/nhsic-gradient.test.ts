// The nHSIC term: the measure's value, and its gradient against finite differences and recorded operations.
import "../support/one-thread.js";
import { cat, Generator, memory, noGrad, randn, relu, scope, type Tensor, tensor } from "@stopgrad/torch";
import { describe, expect, test } from "vitest";
import { nhsic } from "../../src/measures/nhsic.js";
import { type NhsicTermOptions, nhsicTerm } from "../../src/measures/nhsic-gradient.js";
import { differences, int64 } from "../losses/inputs.js";
import { expectClose } from "../support/compare.js";

const normal = (seed: number, shape: readonly number[]) =>
  randn(shape, { generator: new Generator(seed), dtype: "float64" });
const factorOf = (x: Tensor, options: NhsicTermOptions = {}) => {
  const { gradient: _, ...kernel } = options;
  return nhsic.factor(x, nhsic.options.parse(kernel));
};

function differentiated(z: Tensor, other: Tensor, options: NhsicTermOptions = {}) {
  const leaf = z.detach().clone().requiresGrad_();
  const value = nhsicTerm(leaf, other, options);
  value.backward();
  return { value, gradient: leaf.grad! };
}

type Found = ReturnType<typeof differentiated>;

const kernels: NhsicTermOptions[] = [{}, { distance: "plain" }, { sigma: 1.5, epsilon: 1e-3 }];

describe.each(kernels)("%j", (kernel) => {
  test.each([[[9, 4]], [[8, 2, 3, 2]], [[6, 200]], [[2, 3]]])("finite differences on [%s]", (shape) => {
    scope(() => {
      const z = normal(1, shape);
      const other = factorOf(
        normal(2, [shape[0]!, 3]).add(z.reshape([shape[0]!, -1]).mean([1], { keepDim: true })),
        kernel,
      );
      const numeric = differences(z.toNumbers(), 1e-4, (moved) =>
        scope(() => noGrad(() => nhsicTerm(tensor(moved, { shape }), other, kernel)).item()),
      );
      const largest = Math.max(...numeric.map(Math.abs));
      expect(largest).toBeGreaterThan(1e-5);
      for (const gradient of ["analytic", "autograd"] as const) {
        const found = differentiated(z, other, { ...kernel, gradient });
        expect(found.gradient.shape).toEqual(shape);
        const relative = (values: number[]) => values.map((value) => value / largest);
        expectClose(relative(found.gradient.toNumbers()), relative(numeric), 2e-6);
      }
    });
  });

  test("has the measure's value, with labels too", () => {
    scope(() => {
      const [x, z] = [normal(1, [32, 7]), normal(2, [32, 2, 3, 3])];
      const options = nhsic.options.parse(kernel);
      const labels = nhsic.labelFactor(int64(Array.from({ length: 32 }, (_, i) => i % 5)), options);
      for (const other of [factorOf(x, kernel), labels]) {
        const expected = nhsic.combine(nhsic.factor(z, options), other, options);
        for (const gradient of ["analytic", "autograd"] as const) {
          expect(differentiated(z, other, { ...kernel, gradient }).value.item()).toBeCloseTo(expected, 9);
        }
        expect(noGrad(() => nhsicTerm(z, other, kernel)).item()).toBeCloseTo(expected, 9);
      }
    });
  });

  test("samples that coincide: both ways agree, and nothing is NaN", () => {
    scope(() => {
      const half = normal(1, [5, 4]);
      const z = cat([half, half], 0);
      const other = factorOf(normal(2, [10, 3]), kernel);
      const [analytic, autograd] = (["analytic", "autograd"] as const).map((gradient) =>
        differentiated(z, other, { ...kernel, gradient }).gradient.toNumbers(),
      );
      expect(analytic!.every(Number.isFinite)).toBe(true);
      expectClose(analytic!, autograd!, 1e-6);
      const same = differentiated(half.narrow(0, 0, 1).expand([10, 4]), other, kernel);
      expect(same.value.item()).toBeCloseTo(0, 10);
      expectClose(same.gradient.toNumbers(), new Array(40).fill(0), 1e-9);
    });
  });
});

test("the term does not see where the features' origin is, and its gradient sums to 0 over the batch", () => {
  scope(() => {
    const [z, other] = [normal(1, [16, 6]), factorOf(normal(2, [16, 3]))];
    const here = differentiated(z, other);
    const there = differentiated(z.add(100), other);
    expectClose(there.gradient.toNumbers(), here.gradient.toNumbers(), 1e-8);
    expectClose(here.gradient.sum([0]).toNumbers(), new Array(6).fill(0), 1e-10);
  });
});

test("a weighted sum of factors gives the weighted sum of terms", () => {
  scope(() => {
    const z = normal(1, [12, 5]);
    const [a, b] = [factorOf(normal(2, [12, 3])), factorOf(normal(3, [12, 4]))];
    const [ofA, ofB] = [differentiated(z, a), differentiated(z, b)];
    const both = differentiated(z, a.mul(2).add(b.mul(-0.5)));
    expect(both.value.item()).toBeCloseTo(2 * ofA.value.item() - 0.5 * ofB.value.item(), 11);
    const expected = ofA.gradient.mul(2).add(ofB.gradient.mul(-0.5)).toNumbers();
    expectClose(both.gradient.toNumbers(), expected, 1e-10);
  });
});

test.each(["analytic", "autograd"] as const)("single precision is as good as double precision, %s", (gradient) => {
  scope(() => {
    const z = relu(randn([32, 4, 5, 5], { generator: new Generator(1) }));
    const other = factorOf(normal(2, [32, 3]));
    const [single, double] = [z, z.to("float64")].map((values) => differentiated(values, other, { gradient })) as [
      Found,
      Found,
    ];
    expect([single.value.dtype, single.gradient.dtype]).toEqual(["float32", "float32"]);
    expect([double.value.dtype, double.gradient.dtype]).toEqual(["float64", "float64"]);
    expect(single.value.item() / double.value.item()).toBeCloseTo(1, 6);
    const scale = Math.max(...double.gradient.toNumbers().map(Math.abs));
    const error = single.gradient.to("float64").sub(double.gradient).abs().amax().item();
    expect(error / scale).toBeLessThan(1e-6);
  });
});

test("the gradient goes on through what z was made of, scaled by what the term is multiplied with", () => {
  scope(() => {
    const [x, other] = [normal(1, [8, 3]), factorOf(normal(2, [8, 3]))];
    const weight = normal(3, [3, 4]).requiresGrad_();
    nhsicTerm(x.matmul(weight), other).mul(-0.25).backward();
    const { gradient } = differentiated(x.matmul(weight), other);
    expectClose(weight.grad!.toNumbers(), x.t().matmul(gradient).mul(-0.25).toNumbers(), 1e-12);
  });
});

describe("limits", () => {
  test("one sample: 0, with a gradient of 0", () => {
    scope(() => {
      const found = differentiated(normal(1, [1, 3]), tensor([[0]], { dtype: "float64" }));
      expect(found.value.item()).toBe(0);
      expect(found.gradient.toNumbers().map(Math.abs)).toEqual([0, 0, 0]);
    });
  });

  test("features that are not finite give NaN", () => {
    scope(() => {
      const other = factorOf(normal(2, [3, 2]));
      const z = tensor([1, Number.NaN, 0, 1, Number.POSITIVE_INFINITY, 2]).reshape([3, 2]);
      for (const gradient of ["analytic", "autograd"] as const) {
        expect(nhsicTerm(z.clone().requiresGrad_(), other, { gradient }).item()).toBeNaN();
      }
      expect(nhsicTerm(z, other).item()).toBeNaN();
    });
  });

  test("a factor of another size is refused", () => {
    scope(() => {
      const other = factorOf(normal(2, [3, 2]));
      expect(() => nhsicTerm(normal(1, [4, 2]), other)).toThrow(
        "nHSIC term: expected a representation [N, …] and a factor [N, N], got [4, 2] and [3, 3]",
      );
    });
  });

  test("leaks nothing", () => {
    const [z, other] = [normal(1, [8, 3]), factorOf(normal(2, [8, 3]))];
    const once = () => scope(() => void differentiated(z, other));
    once();
    const { liveTensors, liveBytes } = memory();
    once();
    expect([memory().liveTensors, memory().liveBytes]).toEqual([liveTensors, liveBytes]);
  });
});
