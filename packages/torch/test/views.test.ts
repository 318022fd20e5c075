// Views share memory with what they look at; and how tensors lie in memory.
import { describe, expect, it } from "vitest";
import * as torch from "../src/index.js";
import { arange, scope, tensor } from "../src/index.js";
import { readFixture } from "./support/fixtures.js";

const { formats } = readFixture<{ formats: Record<string, number[]> }>("engine.json");
const grid = () => arange(0, 24, { dtype: "float32" }).view([4, 6]);

describe("a view", () => {
  const views: Record<string, (base: torch.Tensor) => torch.Tensor> = {
    slice: (base) => base.slice(1, -5, null, 2),
    narrow: (base) => base.narrow(0, 1, 2),
    select: (base) => base.select(1, -1),
    transpose: (base) => base.t(),
    diagonal: (base) => base.diagonal(1),
    unfold: (base) => base.unfold(1, 2, 2),
    asStrided: (base) => torch.asStrided(base, [3], [7], 2),
    split: (base) => base.split(4, 1)[1]!,
    "split by sizes": (base) => base.split([1, 5], 1)[1]!,
    chunk: (base) => base.chunk(4)[2]!,
    unbind: (base) => base.unbind(1)[3]!,
    "view of a view": (base) => base.slice(0, 1, 4).select(0, 1).unsqueeze(0),
    detach: (base) => base.detach(),
  };

  it.each(Object.entries(views))("by %s shows writes in its base and the other way round", (_, look) => {
    scope(() => {
      const base = grid();
      const view = look(base);
      expect(view.sharesStorage(base)).toBe(true);
      const before = view.toNumbers();
      base.add_(100);
      expect(view.toNumbers()).toEqual(before.map((number) => number + 100));
      view.fill_(-1);
      const changed = base.toNumbers().filter((number) => number === -1).length;
      expect(changed).toBe(new Set(before).size);
      view.zero_();
      view.copy_(torch.full([1], 7));
      expect(base.toNumbers().filter((number) => number === 7).length).toBe(changed);
      base.dispose();
      expect(view.toNumbers().every((number) => number === 7)).toBe(true); // the memory lives as long as a view
    });
  });

  it("knows its offset and strides", () => {
    scope(() => {
      const base = grid();
      const view = base.slice(1, 2, 6, 3);
      expect([view.shape, view.strides, view.storageOffset]).toEqual([[4, 2], [6, 3], 2]); // biome-ignore format: a row
      expect([view.isContiguous, view.contiguous().isContiguous, base.isContiguous]).toEqual([false, true, true]);
      expect(view.contiguous().sharesStorage(base)).toBe(false);
      expect(base.contiguous().sharesStorage(base)).toBe(true);
      expect([view.contiguous().storageOffset, base.clone().sharesStorage(base)]).toEqual([0, false]);
    });
  });

  it("passes gradients to its base, also when written into", () => {
    scope(() => {
      const x = torch.ones([2, 3], { requiresGrad: true });
      const y = x.mul(2);
      y.slice(1, 0, 2).mul_(5);
      y.select(0, 1).fill_(0);
      y.sum().backward();
      expect(x.grad!.toNested()).toEqual([[10, 10, 2], [0, 0, 0]]); // biome-ignore format: a matrix
    });
  });

  it("is refused beyond its base", () => {
    scope(() => {
      const base = grid();
      expect(() => base.narrow(0, 3, 2)).toThrow(torch.TorchError);
      expect(() => base.select(1, 6)).toThrow(/out of range/);
      expect(() => base.slice(2)).toThrow(/Dimension out of range/);
      expect(() => base.slice(0, 0, 4, 0)).toThrow(/slice step must be positive/);
      expect(() => base.slice(0, 0, 4, -1)).toThrow(/slice step must be positive/);
      expect(() => torch.asStrided(base, [5, 6], [6, 1])).toThrow(/out of bounds for storage/);
      expect(() => torch.asStrided(base, [2 ** 40, 2 ** 40], [2 ** 40, 1])).toThrow(/extent below 2\^53 elements/);
      expect(() => torch.asStrided(base, [2], [-1], 3)).toThrow(/[Nn]egative stride/);
      expect(() => base.unfold(0, 5, 1)).toThrow(torch.TorchError);
      expect(() => base.index([tensor([4], { dtype: "int64" })])).toThrow(/out of bounds/);
      expect(() => torch.take(base, tensor([24], { dtype: "int64" }))).toThrow(/out of range/);
      expect(() => base.gather(0, tensor([[4]], { dtype: "int64" }))).toThrow(/out of bounds/);
      expect(() => base.scatter_(0, tensor([[-9]], { dtype: "int64" }), 1)).toThrow(/out of bounds/);
      expect(() => base.expand([4, 6]).t().expand([6, 4]).copy_(base)).toThrow(torch.TorchError);
      expect(() =>
        torch
          .ones([1])
          .expand([3])
          .add_(torch.ones([3])),
      ).toThrow(/more than one element of the written-to/);
    });
  });
});

describe("masks and positions", () => {
  it("read and write the elements they name", () => {
    scope(() => {
      const base = grid();
      const mask = base.remainder(5).eq(0);
      expect(base.index([mask]).toNumbers()).toEqual([0, 5, 10, 15, 20]);
      expect(base.maskedSelect(mask).toNumbers()).toEqual([0, 5, 10, 15, 20]);
      expect(base.maskedFill(mask, -1).sum().item()).toBe(276 - 50 - 5);
      base.indexPut_([tensor([0, -1], { dtype: "int64" }), null], torch.zeros([6]));
      expect(base.sum([1]).toNumbers()).toEqual([0, 51, 87, 0]);
      base.maskedFill_(mask, 1000);
      expect(base.amax().item()).toBe(1000);
      expect(mask.nonzero().toNested()).toEqual([[0, 0], [0, 5], [1, 4], [2, 3], [3, 2]]); // biome-ignore format: a matrix
    });
  });
});

describe("channels-last", () => {
  it("has PyTorch's strides, and operators keep it", () => {
    scope(() => {
      const x = torch.rand([2, 4, 5, 6]);
      const last = x.contiguous("channels-last");
      const kernel = torch.rand([3, 4, 3, 3]);
      const batchNorm = torch.batchNorm(last, { runningMean: null, runningVar: null, training: true });
      expect({
        channelsLast: last.strides,
        convolution: torch.conv2d(last, kernel).strides,
        kernelLast: torch.conv2d(x, kernel.contiguous("channels-last")).strides,
        relu: last.relu().strides,
        pool: torch.maxPool2d(last, 2).strides,
        batchNorm: batchNorm.strides,
        sum: last.add(last).strides,
        clone: last.clone().strides,
        double: last.to("float64").strides,
        slice: last.slice(2, 1).strides,
      }).toEqual(formats);
      for (const same of [x.to({ memoryFormat: "channels-last" }), x.clone("channels-last")]) {
        expect(same.strides).toEqual(last.strides);
      }
      expect(last.toNumbers()).toEqual(x.toNumbers()); // the order in memory is not seen in values
      expect([x.isContiguousAs("channels-last"), last.isContiguousAs("channels-last")]).toEqual([false, true]);
      expect([last.isContiguous, x.isContiguousAs("row-major")]).toEqual([false, true]);
      expect(last.contiguous("channels-last").sharesStorage(last)).toBe(true);
      expect(last.contiguous().isContiguous).toBe(true);
      expect(last.to({ memoryFormat: "channels-last" }).sharesStorage(last)).toBe(true);
      expect(last.to({ memoryFormat: "channels-last", copy: true }).sharesStorage(last)).toBe(false);
      expect(torch.rand([1, 2, 2, 2, 2]).contiguous("channels-last-3d").isContiguousAs("channels-last-3d")).toBe(true);
    });
  });

  it("keeps gradients' values, and is refused for other dimensions and names", () => {
    scope(() => {
      const x = torch.rand([1, 2, 4, 4]);
      const weight = torch.rand([3, 2, 3, 3]);
      const gradients = (["row-major", "channels-last"] as const).map((format) => {
        const leaf = weight.detach().requiresGrad_();
        torch.conv2d(x.contiguous(format), leaf.contiguous(format)).square().sum().backward();
        return leaf.grad!;
      });
      expect(gradients[0]!.allclose(gradients[1]!, { relative: 1e-4, absolute: 1e-5 })).toBe(true);
      expect(() => torch.rand([2, 2]).contiguous("channels-last")).toThrow(/required rank 4 tensor/);
      expect(() => x.contiguous("rows" as never)).toThrow(/to be a memory format such as "channels-last", got "rows"/);
      expect(() => x.isContiguousAs("preserve" as never)).toThrow(/expected a format to compare with/);
    });
  });
});
