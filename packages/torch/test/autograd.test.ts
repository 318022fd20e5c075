import { describe, expect, it } from "vitest";
import * as torch from "../src/index.js";
import { detectAnomaly, enableGrad, grad, isGradEnabled, noGrad, scope, tensor } from "../src/index.js";

const leaf = (values: number[]) => tensor(values, { dtype: "float64", requiresGrad: true });

describe("backward", () => {
  it("adds to the leaves' gradients until they are dropped", () => {
    scope(() => {
      const x = leaf([1, 2]);
      expect(x.grad).toBeNull();
      x.mul(x).sum().backward();
      expect(x.grad!.toNumbers()).toEqual([2, 4]);
      x.mul(3).sum().backward();
      expect(x.grad!.toNumbers()).toEqual([5, 7]);
      x.grad = null;
      expect(x.grad).toBeNull();
      x.grad = tensor([7, 8], { dtype: "float64" });
      x.mul(1).sum().backward();
      expect(x.grad!.toNumbers()).toEqual([8, 9]);
    });
  });

  it("takes a gradient to start from, and inputs to stop at", () => {
    scope(() => {
      const [x, y] = [leaf([1, 2]), leaf([3, 4])];
      x.mul(y).backward({ gradient: tensor([10, 100], { dtype: "float64" }), inputs: [x] });
      expect(x.grad!.toNumbers()).toEqual([30, 400]);
      expect(y.grad).toBeNull();
    });
  });

  it("keeps the graph only when asked", () => {
    scope(() => {
      const x = leaf([3]);
      const y = x.mul(x);
      y.backward({ retainGraph: true });
      y.backward();
      expect(x.grad!.item()).toBe(12);
      expect(() => y.backward()).toThrow(/backward: Trying to backward through the graph a second time/);
    });
  });

  it("keeps the gradient of a tensor in between only when asked", () => {
    scope(() => {
      const x = leaf([3]);
      const [kept, other] = [x.mul(2).retainGrad(), x.mul(2)];
      kept.mul(kept).add(other).backward();
      expect(kept.grad!.item()).toBe(12);
      expect(other.grad).toBeNull();
      expect([x.isLeaf, kept.isLeaf]).toEqual([true, false]);
    });
  });

  it("refuses what cannot be differentiated", () => {
    scope(() => {
      const x = leaf([1, 2]);
      expect(() => x.mul(2).backward()).toThrow(/grad can be implicitly created only for scalar outputs/);
      expect(() => tensor([1]).sum().backward()).toThrow(/does not require grad/);
      expect(() => x.detach().sum().backward()).toThrow(/does not require grad/);
      expect(() => tensor([1, 2], { dtype: "int64", requiresGrad: true })).toThrow(
        "only floating-point tensors can require gradients, got int64[2]",
      );
      expect(() => x.mul(2).requiresGrad_(false)).toThrow("only a leaf can stop requiring gradients; use detach()");
      expect(() => {
        x.grad = tensor([1, 2, 3], { dtype: "float64" });
      }).toThrow("setGrad: expected a gradient of float64[2], got float64[3]");
      expect(() => {
        x.grad = tensor([1, 2]);
      }).toThrow("expected a gradient of float64[2], got float32[2]");
      expect(() => x.add_(1)).toThrow(/a leaf Variable that requires grad is being used in an in-place operation/);
      const saved = x.mul(1);
      const product = saved.mul(saved).sum();
      saved.add_(1);
      expect(() => product.backward()).toThrow(/modified by an inplace operation/);
    });
  });
});

describe("grad", () => {
  it("leaves every .grad alone and gives one gradient for each input", () => {
    scope(() => {
      const [x, y] = [leaf([1, 2]), leaf([3, 4])];
      const [dx, dy] = grad([x.mul(y).sum()], [x, y]);
      expect([dx!.toNumbers(), dy!.toNumbers()]).toEqual([[3, 4], [1, 2]]); // biome-ignore format: a matrix
      expect([x.grad, y.grad]).toEqual([null, null]);
      const [weighted] = grad([x.mul(2), y.mul(x)], [x], {
        gradOutputs: [tensor([1, 1], { dtype: "float64" }), tensor([0, 10], { dtype: "float64" })],
      });
      expect(weighted!.toNumbers()).toEqual([2, 42]);
    });
  });

  it("differentiates twice and three times with createGraph", () => {
    scope(() => {
      const x = leaf([2]);
      const [first] = grad([x.pow(4)], [x], { createGraph: true });
      const [second] = grad([first!], [x], { createGraph: true });
      const [third] = grad([second!], [x]);
      expect([first!.item(), second!.item(), third!.item()]).toEqual([32, 48, 48]);
      expect([first!.requiresGrad, third!.requiresGrad]).toEqual([true, false]);
      x.pow(3).backward({ createGraph: true });
      expect(grad([x.grad!], [x])[0]!.item()).toBe(12);
    });
  });

  it("takes inputs that are no leaves, and leaves out what lies behind them", () => {
    scope(() => {
      const x = leaf([3]);
      const middle = x.mul(2);
      const end = middle.mul(middle);
      const [dMiddle, dX] = grad([end], [middle, x], { createGraph: true });
      expect([dMiddle!.item(), dX!.item()]).toEqual([12, 24]);
      expect(grad([dMiddle!], [x])[0]!.item()).toBe(4); // 2 middle = 4 x
      expect(middle.grad).toBeNull();
    });
  });

  it("gives null for an unused input only when allowed", () => {
    scope(() => {
      const [x, unused] = [leaf([1]), leaf([1])];
      expect(grad([x.mul(2)], [x, unused], { allowUnused: true }).map((g) => g?.item() ?? null)).toEqual([2, null]);
      expect(() => grad([x.mul(2)], [x, unused])).toThrow(/gradients: .*not have been used in the graph/);
      expect(() => grad([x.mul(2)], [])).toThrow(/gradients/);
    });
  });
});

describe("grad mode", () => {
  it("nests and comes back, also after an exception", () => {
    expect(isGradEnabled()).toBe(true);
    const inside = noGrad(() => [
      isGradEnabled(),
      enableGrad(() => [isGradEnabled(), noGrad(isGradEnabled)]),
      isGradEnabled(),
    ]);
    expect(inside).toEqual([false, [true, false], false]);
    expect(isGradEnabled()).toBe(true);
    expect(() =>
      noGrad(() => {
        enableGrad(() => {
          throw new Error("thrown inside");
        });
      }),
    ).toThrow("thrown inside");
    expect(isGradEnabled()).toBe(true);
    expect(() => noGrad(() => torch.zeros([-1]))).toThrow();
    expect(isGradEnabled()).toBe(true);
  });

  it("refuses a function that returns a promise, which would record after its first await", () => {
    for (const [name, mode] of Object.entries({ noGrad, enableGrad })) {
      const refused = () => mode(async () => isGradEnabled());
      const message = `${name}: expected a function that returns when it is done, got one that returns a promise`;
      expect(refused).toThrow(new torch.TorchError(message));
      expect(isGradEnabled()).toBe(true);
      expect(() => noGrad(refused)).toThrow(message); // inside the mode that it asks for, too
      expect(isGradEnabled()).toBe(true);
    }
  });

  it("decides whether operations are recorded", () => {
    scope(() => {
      const x = leaf([1]);
      expect(x.mul(2).requiresGrad).toBe(true);
      expect(noGrad(() => x.mul(2)).requiresGrad).toBe(false);
      expect(noGrad(() => enableGrad(() => x.mul(2))).requiresGrad).toBe(true);
      noGrad(() => x.add_(1));
      expect(x.item()).toBe(2);
    });
  });
});

describe("detectAnomaly", () => {
  it("names the operator whose gradient is NaN, and comes back", () => {
    scope(() => {
      const x = leaf([0, 1]);
      const broken = () => x.mul(0).div(x.mul(0)).sum().backward();
      expect(() => detectAnomaly(broken)).toThrow(/backward: Function 'DivBackward0' returned nan values/);
      x.grad = null;
      broken();
      expect(x.grad!.toNumbers()).toEqual([Number.NaN, Number.NaN]);
      expect(detectAnomaly(() => x.mul(2).sum().item())).toBe(2);
      expect(() => detectAnomaly(async () => 1)).toThrow(/got one that returns a promise/);
      expect(() => detectAnomaly(3 as never)).toThrow(torch.TorchError);
    });
  });
});
