// Forward-mode derivatives against central differences, reverse mode and closed forms, in float64.
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { describe, expect, it } from "vitest";
import * as torch from "../src/index.js";
import { forwardGradient, Generator, grad, hvp, jvp, makeDual, scope, type Tensor, unpackDual, vjp } from "../src/index.js"; // biome-ignore format: one line
import { builtPackage } from "./support/child.js";
import { allClose } from "./support/close.js";

const generator = new Generator(11);
const randn = (...shape: number[]) => torch.randn(shape, { dtype: "float64", generator });
const f64 = (values: number[]) => torch.tensor(values, { dtype: "float64" });
const labels = () => torch.tensor([0, 2, 1], { dtype: "int64" });

/** What the networks here are made of: the function, and the shapes of its arguments. */
const functions: Record<string, { shapes: number[][]; run: (...inputs: Tensor[]) => Tensor }> = {
  "conv2d with bias, stride and padding": {
    shapes: [[2, 3, 5, 5], [4, 3, 3, 3], [4]], // biome-ignore format: a row
    run: (x, w, b) => torch.conv2d(x, w, { bias: b, stride: 2, padding: 1 }),
  },
  "conv2d in groups": { shapes: [[1, 4, 5, 5], [4, 2, 3, 3]], run: (x, w) => torch.conv2d(x, w, { groups: 2 }) }, // biome-ignore format: a row
  "batchNorm in training": {
    shapes: [[4, 3, 2, 2], [3], [3]], // biome-ignore format: a row
    run: (x, weight, bias) => torch.batchNorm(x, { runningMean: null, runningVar: null, weight, bias, training: true }),
  },
  "batchNorm in evaluation": {
    shapes: [[4, 3, 2, 2], [3], [3]], // biome-ignore format: a row
    run: (x, weight, bias) => {
      const [runningMean, runningVar] = [torch.zeros([3], { dtype: "float64" }), torch.ones([3], { dtype: "float64" })];
      return torch.batchNorm(x, { runningMean, runningVar, weight, bias, training: false });
    },
  },
  layerNorm: {
    shapes: [[3, 5], [5], [5]], // biome-ignore format: a row
    run: (x, weight, bias) =>
      torch.operator<unknown[], Tensor>("aten::layer_norm", "input normalized_shape weight bias eps")(
        x, [5], weight, bias, 1e-5,
      ), // biome-ignore format: a row
  },
  maxPool2d: { shapes: [[2, 2, 4, 4]], run: (x) => torch.maxPool2d(x, 2) },
  avgPool2d: { shapes: [[2, 2, 4, 4]], run: (x) => torch.avgPool2d(x, 2) },
  adaptiveAvgPool2d: { shapes: [[2, 2, 4, 4]], run: (x) => torch.adaptiveAvgPool2d(x, 1) },
  "softmax cross-entropy": { shapes: [[3, 4]], run: (x) => torch.crossEntropy(x, labels()) },
  linear: { shapes: [[3, 4], [2, 4], [2]], run: (x, w, b) => torch.linear(x, w, b) }, // biome-ignore format: a row
  "relu, tanh and sigmoid": { shapes: [[3, 4]], run: (x) => torch.relu(x).add(torch.tanh(x)).mul(torch.sigmoid(x)) },
  gelu: { shapes: [[3, 4]], run: (x) => torch.operator<[Tensor], Tensor>("aten::gelu", "self")(x) },
  "attention written out": {
    shapes: [[2, 3, 4], [2, 3, 4], [2, 3, 4]], // biome-ignore format: a row
    run: (q, k, v) => torch.bmm(torch.softmax(torch.bmm(q, k.transpose(1, 2)).div(2), -1), v),
  },
  "normalised rows": { shapes: [[3, 4]], run: (x) => x.div(x.norm([1], { keepDim: true })) },
  "slices and views": { shapes: [[4, 6]], run: (x) => x.slice(1, 1, 5).transpose(0, 1).flatten().mul(2) },
};

describe.each(Object.entries(functions))("jvp of %s", (_, { shapes, run }) => {
  it("is the central difference along the tangents, and vᵀ(J u) = (vᵀJ) u", () => {
    scope(() => {
      const primals = shapes.map((shape) => randn(...shape));
      const tangents = shapes.map((shape) => randn(...shape));
      const [output, tangent] = jvp(run, primals, tangents);
      allClose(output.toNumbers(), run(...primals).toNumbers(), { relative: 1e-14, absolute: 1e-15 });
      const moved = (step: number) => run(...primals.map((primal, i) => primal.add(tangents[i]!.mul(step))));
      const difference = moved(1e-6).sub(moved(-1e-6)).div(2e-6);
      expect(tangent.shape).toEqual(output.shape);
      allClose(tangent.toNumbers(), difference.toNumbers(), { relative: 1e-6, absolute: 1e-7 });

      const cotangent = randn(...output.shape);
      const [, gradients] = vjp(run, primals, cotangent);
      const reverse = gradients.map((gradient, i) => gradient.mul(tangents[i]!).sum().item());
      const total = reverse.reduce((sum, part) => sum + part, 0);
      allClose([tangent.mul(cotangent).sum().item()], [total], { relative: 1e-10, absolute: 1e-12 });
    });
  });
});

it("jvp and hvp give in float32 what they give in float64, also where the package has kernels of its own", () => {
  scope(() => {
    const inputs = [randn(2, 3, 8, 8), randn(4, 3, 3, 3), randn(4)];
    const vectors = inputs.map((input) => randn(...input.shape));
    const network = (x: Tensor, w: Tensor, b: Tensor) => {
      const hidden = torch.conv2d(x, w, { bias: b, padding: 1 });
      const normed = torch.batchNorm(hidden, { runningMean: null, runningVar: null, training: true });
      return torch.maxPool2d(torch.tanh(normed), 2).square().sum();
    };
    const [narrow, wide] = (["float32", "float64"] as const).map((dtype) => {
      const [at, along] = [inputs, vectors].map((list) => list.map((one) => one.to(dtype))) as [Tensor[], Tensor[]];
      return [jvp(network, at, along)[1].item(), hvp(network, at, along)[1].map((one) => one.toNumbers())] as const;
    }) as [readonly [number, number[][]], readonly [number, number[][]]];
    const close = { relative: 1e-3, absolute: 2e-3 };
    allClose([narrow[0]], [wide[0]], close, "slope");
    for (const [i, product] of narrow[1].entries()) allClose(product, wide[1][i]!, close, `product ${i}`);
  });
});

describe("jvp", () => {
  it("takes null for a zero tangent, gives lists for lists and zeros for what does not depend", () => {
    scope(() => {
      const [x, y] = [f64([1, 2]), f64([3, 4])];
      const [outputs, tangents] = jvp((a, b) => [a.mul(b), b.mul(2)], [x, y], [f64([1, 10]), null]) as [Tensor[], Tensor[]]; // biome-ignore format: one line
      expect(outputs.map((output) => output.toNumbers())).toEqual([[3, 8], [6, 8]]); // biome-ignore format: a matrix
      expect(tangents.map((tangent) => tangent.toNumbers())).toEqual([[3, 40], [0, 0]]); // biome-ignore format: a matrix
    });
  });

  it("has closed forms: d sin(x) = cos(x) dx, d x³ = 3 x² dx", () => {
    scope(() => {
      const [x, v] = [f64([0.3, -2]), f64([1, 2])];
      const [, sine] = jvp((a) => torch.sin(a), [x], [v]);
      allClose(sine.toNumbers(), [Math.cos(0.3), 2 * Math.cos(-2)], { relative: 1e-14, absolute: 0 });
      expect(jvp((a) => a.pow(3), [x], [v])[1].toNumbers()[1]).toBeCloseTo(24, 12);
    });
  });

  it("works without recording, and keeps float32 parameters as they are", () => {
    scope(() => {
      const weight = torch.ones([2, 2], { requiresGrad: true });
      const [, tangent] = torch.noGrad(() => jvp((w) => w.mul(w).sum(), [weight], [torch.ones([2, 2])]));
      expect([tangent.item(), tangent.requiresGrad, weight.requiresGrad]).toEqual([8, false, true]);
      expect(weight.grad).toBeNull();
    });
  });

  it("is differentiable by reverse mode: forward over reverse and reverse over forward agree with 6 x v", () => {
    scope(() => {
      const x = f64([1, -2]).requiresGrad_();
      const v = f64([3, 5]);
      const [, slope] = jvp((a) => a.pow(3).sum(), [x], [v]);
      const [product] = grad([slope], [x]); // d(3 x² · v)/dx
      allClose(product!.toNumbers(), [18, -60], { relative: 1e-14, absolute: 0 });
      const inside = forwardGradient(() => {
        const dual = makeDual(x, v);
        const [gradient] = grad([dual.pow(3).sum()], [dual], { createGraph: true });
        return unpackDual(gradient!)[1]!.toNumbers();
      });
      allClose(inside, [18, -60], { relative: 1e-14, absolute: 0 });
    });
  });

  it("refuses what does not fit", () => {
    scope(() => {
      const x = f64([1, 2]);
      const same = (a: Tensor) => a.mul(1);
      expect(() => jvp(same, [x], [])).toThrow("jvp: expected a tangent for each of 1 primals, got 0");
      expect(() => jvp(same, [x], [f64([1])])).toThrow("makeDual: expected a tangent of float64[2], got float64[1]");
      expect(() => jvp(same, [x], [torch.ones([2])])).toThrow(/expected a tangent of float64\[2\], got float32\[2\]/);
      expect(() => jvp(same, [torch.arange(0, 2)], [torch.arange(0, 2)])).toThrow(/only floating-point tensors/);
      expect(() => jvp(() => 3 as never, [x], [x])).toThrow("jvp: expected a tensor or a list of tensors");
      expect(() => makeDual(x, x)).toThrow(/expected a call inside forwardGradient/);
      expect(() => unpackDual(x)).toThrow(/expected a call inside forwardGradient/);
      expect(() => forwardGradient(async () => 1)).toThrow(/got one that returns a promise/);
      expect(() => forwardGradient(() => forwardGradient(() => 1))).toThrow(/forward derivative of a forward/);
      expect(() => makeDual(x, x)).toThrow(/expected a call inside forwardGradient/);
    });
  });
});

describe("forwardGradient", () => {
  it("drops tangents at its end, also by an exception, and frees everything", () => {
    const before = torch.memory();
    scope(() => {
      const x = f64([1, 2]);
      let escaped: Tensor | undefined;
      expect(() =>
        forwardGradient(() => {
          escaped = makeDual(x, f64([5, 5])).mul(2);
          expect(unpackDual(escaped)[1]!.toNumbers()).toEqual([10, 10]);
          throw new Error("thrown inside");
        }),
      ).toThrow("thrown inside");
      forwardGradient(() => {
        expect(unpackDual(escaped!)[1]).toBeNull();
        expect(unpackDual(x)[1]).toBeNull();
        expect(escaped!.toNumbers()).toEqual([2, 4]);
      });
    });
    expect(torch.memory()).toMatchObject({ liveTensors: before.liveTensors, liveBytes: before.liveBytes });
  });

  it("works in several threads at once", async () => {
    const body = `(async () => {
      const { parentPort } = await import("node:worker_threads");
      const torch = await import("${builtPackage}");
      let sum = 0;
      for (let i = 0; i < 300; i++) torch.scope(() => {
        const x = torch.full([16], 2, { dtype: "float64" });
        sum += torch.jvp((a) => a.pow(3).sum(), [x], [torch.onesLike(x)])[1].item();
      });
      parentPort.postMessage([sum, torch.memory().liveTensors]);
    })();`;
    const workers = Array.from({ length: 3 }, () => new Worker(body, { eval: true }));
    const results = await Promise.all(workers.map(async (worker) => (await once(worker, "message"))[0]));
    expect(results).toEqual(Array.from({ length: 3 }, () => [300 * 16 * 12, 0]));
    await Promise.all(workers.map((worker) => worker.terminate()));
  });
});

describe("vjp and hvp", () => {
  it("give zeros for what is not used", () => {
    scope(() => {
      const [x, y] = [f64([1, 2]), f64([3])];
      const [output, gradients] = vjp((a) => a.mul(a), [x, y], f64([1, 10])) as [Tensor, Tensor[]];
      expect([output, ...gradients].map((one) => one.toNumbers())).toEqual([[1, 4], [2, 40], [0]]); // biome-ignore format: a row
      expect(() => vjp((a) => [a, a], [x], f64([1, 1]))).toThrow("expected a cotangent for each of 2 outputs, got 1");
    });
  });

  it("hvp is the Hessian's product: of a quadratic form, of Rosenbrock's function, of a line", () => {
    scope(() => {
      const a = randn(4, 4);
      const [x, v] = [randn(4), randn(4)];
      const [value, [product]] = hvp((u) => torch.dot(u, torch.mv(a, u)), [x], [v]);
      allClose(product!.toNumbers(), torch.mv(a.add(a.t()), v).toNumbers(), { relative: 1e-12, absolute: 1e-12 });
      allClose([value.item()], [torch.dot(x, torch.mv(a, x)).item()], { relative: 1e-12, absolute: 1e-12 });
      const valley = (p: Tensor, q: Tensor) =>
        p
          .neg()
          .add(1)
          .pow(2)
          .add(q.sub(p.pow(2)).pow(2).mul(100))
          .sum();
      const [, [first, second]] = hvp(valley, [f64([-1.2]), f64([1])], [f64([1]), f64([2])]);
      // H = [[1200 p² − 400 q + 2, −400 p], [−400 p, 200]]
      allClose([first!.item(), second!.item()], [1330 + 960, 480 + 400], { relative: 1e-12, absolute: 0 });
      expect(hvp((u) => u.mul(2).sum(), [x], [v])[1][0]!.toNumbers()).toEqual([0, 0, 0, 0]);
    });
  });
});
