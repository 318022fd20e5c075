// Multiply-adds against figures worked out by hand (the products beside each case) and against published networks.
import { describe, expect, it, vi } from "vitest";
import * as torch from "../src/index.js";
import { countMultiplyAdds, forwardGradient, jvp, makeDual, nn, noGrad, scope, type Tensor } from "../src/index.js";
import { native } from "../src/native.js";

const ones = (...shape: number[]) => torch.ones(shape);
const trained = (...shape: number[]) => torch.ones(shape).requiresGrad_();
const forwardOf = (body: () => unknown) => scope(() => countMultiplyAdds(body).forward);
const both = (body: () => unknown) =>
  scope(() => {
    const { forward, backward } = countMultiplyAdds(body);
    return [forward, backward];
  });

/** What is computed, and its multiply-adds: for each output element (or input element, transposed) the length of its sum. */
const forwards: Record<string, [run: () => unknown, multiplyAdds: number]> = {
  "conv1d, 2 x 5 x 8 outputs of 3 x 3": [() => torch.conv1d(ones(2, 3, 10), ones(5, 3, 3)), 80 * 9],
  "conv2d with stride and padding, 2 x 4 x 4 x 4 outputs of 3 x 9": [
    () => torch.conv2d(ones(2, 3, 8, 8), ones(4, 3, 3, 3), { stride: 2, padding: 1, bias: ones(4) }),
    128 * 27,
  ],
  "conv2d without a batch": [() => torch.conv2d(ones(3, 8, 8), ones(4, 3, 3, 3)), 4 * 36 * 27],
  "conv2d in 2 groups, 6 x 3 x 3 outputs of 2 x 9": [
    () => torch.conv2d(ones(1, 4, 5, 5), ones(6, 2, 3, 3), { groups: 2 }),
    54 * 18,
  ],
  "conv2d of each channel alone": [
    () => torch.conv2d(ones(1, 4, 5, 5), ones(4, 1, 3, 3), { groups: 4 }),
    4 * 9 * 9, // biome-ignore format: a row
  ],
  "conv2d with dilation, 1 x 2 x 2 outputs of 9": [
    () => torch.conv2d(ones(1, 1, 6, 6), ones(1, 1, 3, 3), { dilation: 2 }),
    4 * 9,
  ],
  "conv2d with padding same and an even kernel": [
    () => torch.conv2d(ones(1, 1, 4, 4), ones(1, 1, 2, 2), { padding: "same" }),
    16 * 4,
  ],
  "conv3d, 3 x 3 x 3 x 3 outputs of 2 x 8": [() => torch.conv3d(ones(1, 2, 4, 4, 4), ones(3, 2, 2, 2, 2)), 81 * 16],
  "convTranspose1d in 2 groups, 4 x 5 inputs to 3 x 2": [
    () => torch.convTranspose1d(ones(1, 4, 5), ones(4, 3, 2), { groups: 2 }),
    20 * 6,
  ],
  "convTranspose2d, 2 x 3 x 4 x 4 inputs to 5 x 4": [
    () => torch.convTranspose2d(ones(2, 3, 4, 4), ones(3, 5, 2, 2), { stride: 2 }),
    96 * 20,
  ],
  "linear with a bias": [() => torch.linear(ones(7, 5), ones(3, 5), ones(3)), 7 * 3 * 5],
  "linear of more dimensions": [() => torch.linear(ones(2, 7, 5), ones(3, 5)), 14 * 3 * 5],
  "linear of a vector": [() => torch.linear(ones(5), ones(3, 5)), 15],
  bilinear: [() => torch.bilinear(ones(6, 2), ones(6, 3), ones(4, 2, 3)), 6 * 4 * 6],
  mm: [() => torch.mm(ones(2, 3), ones(3, 4)), 2 * 4 * 3],
  bmm: [() => torch.bmm(ones(5, 2, 3), ones(5, 3, 4)), 5 * 24],
  mv: [() => torch.mv(ones(2, 3), ones(3)), 6],
  dot: [() => torch.dot(ones(3), ones(3)), 3],
  addmm: [() => torch.addmm(ones(4), ones(2, 3), ones(3, 4)), 24],
  baddbmm: [() => torch.baddbmm(ones(5, 2, 4), ones(5, 2, 3), ones(5, 3, 4)), 5 * 24],
  "matmul, broadcast to 4 x 5 products": [() => torch.matmul(ones(4, 1, 2, 3), ones(5, 3, 6)), 20 * 2 * 6 * 3],
  "matmul with a vector": [() => ones(5, 2, 3).matmul(ones(3)), 5 * 2 * 3],
  "matmul of a vector": [() => ones(3).matmul(ones(3, 4)), 12],
  "scaled-dot-product attention, 3 x 5 scores of 4, 3 x 6 outputs of 5, twice": [
    () => torch.scaledDotProductAttention(ones(2, 3, 4), ones(2, 5, 4), ones(2, 5, 6)),
    2 * (15 * 4 + 18 * 5),
  ],
  "multi-head attention: four projections, scores and outputs": [
    () => new nn.MultiheadAttention(8, 2, { batchFirst: true }).forward(ones(3, 5, 8)),
    3 * (4 * 5 * 8 * 8 + 2 * 5 * 5 * 8),
  ],
  "an operator by name": [
    () =>
      torch.operator<unknown[], Tensor>("aten::conv2d", "input weight bias stride")(
        ones(1, 1, 4, 4),
        ones(2, 1, 2, 2),
        null,
        [2, 2],
      ),
    8 * 4,
  ],
  "the general convolution, transposed": [
    () =>
      torch.operator<unknown[], Tensor>(
        "aten::convolution",
        "input weight",
      )(...[ones(1, 2, 3, 3), ones(2, 5, 2, 2), null, [1, 1], [0, 0], [1, 1], true, [0, 0], 1]),
    18 * 20,
  ],
  "einsum as a product of matrices": [() => torch.einsum("ij,jk->ik", [ones(2, 3), ones(3, 4)]), 24],
  "einsum with a batch and no arrow": [() => torch.einsum("bij, bkj", [ones(5, 2, 3), ones(5, 4, 3)]), 5 * 24],
  "einsum over an ellipsis, broadcast": [
    () => torch.einsum("...ij,...jk->...ik", [ones(5, 2, 3), ones(4, 1, 3, 6)]),
    20 * 2 * 6 * 3,
  ],
  "einsum of three, from left to right": [
    () => torch.einsum("ij,jk,kl->il", [ones(2, 3), ones(3, 4), ones(4, 5)]),
    2 * 4 * 3 + 2 * 5 * 4,
  ],
  "einsum with a letter that only one has": [
    () => torch.einsum("ij,jkl->ik", [ones(2, 3), ones(3, 4, 7)]), // l is summed over first
    24,
  ],
  "einsum with nothing to sum over": [() => torch.einsum("i,j->ij", [ones(3), ones(4)]), 0],
  "what is not a matrix product": [
    () => {
      const x = ones(2, 3, 4, 4);
      const indices = torch.tensor([0, 1], { dtype: "int64" });
      torch.batchNorm(torch.relu(x.add(x).mul(2)), { runningMean: null, runningVar: null, training: true });
      torch.crossEntropy(torch.softmax(ones(2, 3), 1), indices);
      torch.maxPool2d(x, 2).sum();
      torch.embedding(indices, ones(5, 3));
      torch.outer(ones(3), ones(4));
    },
    0,
  ],
};

describe("multiply-adds", () => {
  it.each(Object.entries(forwards))("%s", (_, [run, multiplyAdds]) => {
    expect(both(run)[0]).toBe(multiplyAdds);
    expect(both(() => noGrad(run))).toEqual([multiplyAdds, 0]);
  });

  it("of a backward pass: once for each factor that requires a gradient, and none that is not recorded", () => {
    const [x, w, trainedX, trainedW] = [ones(7, 5), ones(3, 5), trained(7, 5), trained(3, 5)];
    expect(both(() => torch.linear(x, w))).toEqual([105, 0]);
    expect(both(() => torch.linear(x, trainedW, trained(3)))).toEqual([105, 105]);
    expect(both(() => torch.linear(trainedX, w))).toEqual([105, 105]);
    expect(both(() => torch.linear(trainedX, trainedW))).toEqual([105, 210]);
    expect(both(() => torch.linear(torch.relu(trainedX), trainedW.detach()))).toEqual([105, 105]);
    expect(both(() => noGrad(() => torch.linear(trainedX, trainedW)))).toEqual([105, 0]);
    expect(both(() => trainedX.matmul(trainedX.t()))).toEqual([7 * 7 * 5, 2 * 7 * 7 * 5]);
    expect(both(() => torch.bilinear(trained(6, 2), ones(6, 3), trained(4, 2, 3)))).toEqual([144, 288]);
    expect(both(() => torch.conv2d(ones(1, 4, 5, 5), trained(6, 2, 3, 3), { groups: 2 }))).toEqual([972, 972]);
    expect(both(() => torch.convTranspose2d(trained(1, 3, 4, 4), trained(3, 5, 2, 2)))).toEqual([960, 1920]);
    // The first product is differentiated by one factor; the second one by both, of which one is what the first gave.
    const chain = () => torch.einsum("ij,jk,kl->il", [ones(2, 3), trained(3, 4), trained(4, 5)]);
    expect(both(chain)).toEqual([24 + 40, 24 + 80]);
  });

  it("of forward mode: once for each factor with a tangent, recorded or not", () => {
    const [x, w] = [ones(7, 5), ones(3, 5)];
    const along = (tangentOfX: Tensor | null) =>
      both(() => jvp((a, b) => torch.linear(a, b), [x, w], [tangentOfX, ones(3, 5)]));
    expect(along(null)).toEqual([105, 105]);
    expect(along(ones(7, 5))).toEqual([105, 210]);
    const live = native().liveTensors();
    const found = scope(() =>
      countMultiplyAdds(() =>
        noGrad(() => forwardGradient(() => void torch.linear(torch.linear(x, makeDual(w, ones(3, 5))), trained(2, 3)))),
      ),
    );
    expect([found.forward, found.backward]).toEqual([105 + 42, 105 + 42]);
    expect(native().liveTensors()).toBe(live);
  });

  it("nests, ends with its function also when that fails, and gives back what it returned", () => {
    scope(() => {
      const [a, b] = [ones(2, 3), ones(3, 4)];
      let inner = 0;
      const outer = countMultiplyAdds(() => {
        torch.mm(a, b);
        inner = countMultiplyAdds(() => torch.mm(a, b)).forward;
        const failing = () => {
          torch.mm(a, b);
          torch.mm(a, a);
        };
        expect(() => countMultiplyAdds(failing)).toThrow("aten::mm");
        return torch.mm(a, b);
      });
      torch.mm(a, b);
      expect([inner, outer.forward]).toEqual([24, 4 * 24]);
      expect(outer.result.toNumbers()).toEqual(new Array(8).fill(3));
      expect(countMultiplyAdds(() => torch.mm(a, b)).forward).toBe(24);
    });
    expect(() => countMultiplyAdds(3 as never)).toThrow("countMultiplyAdds: expected a function to run, got number");
    expect(() => countMultiplyAdds(async () => 1)).toThrow("countMultiplyAdds: expected a function that returns when");
    expect(countMultiplyAdds(() => 1)).toEqual({ result: 1, forward: 0, backward: 0 });
  });
});

it("asks nothing about anybody's arguments while nobody counts", () => {
  scope(() => {
    const asked = vi.spyOn(native(), "gradEnabled");
    try {
      const [a, b] = [ones(2, 3), ones(3, 4)];
      torch.mm(a, b);
      expect(asked).not.toHaveBeenCalled();
      countMultiplyAdds(() => torch.mm(a, b));
      expect(asked).toHaveBeenCalled();
      expect(() => countMultiplyAdds(() => torch.mm(a, a))).toThrow("aten::mm");
      asked.mockClear();
      torch.mm(a, b);
      expect(asked).not.toHaveBeenCalled();
    } finally {
      asked.mockRestore();
    }
  });
});

/** A residual network of basic blocks for 32x32 images, with projections where the shape changes. */
function residual(widths: readonly number[], blocks: number): nn.Module {
  class Block extends nn.Module {
    readonly conv1: nn.Conv2d;
    readonly bn1: nn.BatchNorm2d;
    readonly conv2: nn.Conv2d;
    readonly bn2: nn.BatchNorm2d;
    readonly shortcut: nn.Sequential | null;

    constructor(from: number, to: number, stride: number) {
      super();
      this.conv1 = new nn.Conv2d(from, to, 3, { stride, padding: 1, bias: false });
      this.bn1 = new nn.BatchNorm2d(to);
      this.conv2 = new nn.Conv2d(to, to, 3, { padding: 1, bias: false });
      this.bn2 = new nn.BatchNorm2d(to);
      const projects = from !== to || stride !== 1;
      this.shortcut = projects
        ? new nn.Sequential(new nn.Conv2d(from, to, 1, { stride, bias: false }), new nn.BatchNorm2d(to))
        : null;
    }

    override forward(input: Tensor): Tensor {
      const inside = torch.relu(this.bn1.forward(this.conv1.forward(input)));
      const beside = this.shortcut ? this.shortcut.forward(input) : input;
      return torch.relu(this.bn2.forward(this.conv2.forward(inside)).add(beside));
    }
  }
  const first = widths[0]!;
  const layers: nn.Module[] = [
    new nn.Conv2d(3, first, 3, { padding: 1, bias: false }),
    new nn.BatchNorm2d(first),
    new nn.ReLU(),
  ];
  for (const [at, width] of widths.entries()) {
    for (let block = 0; block < blocks; block++) {
      const isNew = at > 0 && block === 0;
      layers.push(new Block(isNew ? widths[at - 1]! : width, width, isNew ? 2 : 1));
    }
  }
  layers.push(new nn.AdaptiveAvgPool2d(1), new nn.Flatten(), new nn.Linear(widths.at(-1)!, 10));
  return new nn.Sequential(...layers);
}

describe("networks", () => {
  it("LeNet-5 by hand: three times the forward pass, less the gradient of the images", () => {
    scope(() => {
      const lenet5 = new nn.Sequential(
        new nn.Conv2d(3, 6, 5), // 6 x 28 x 28 outputs of 75
        new nn.MaxPool2d(2),
        new nn.ReLU(),
        new nn.Conv2d(6, 16, 5), // 16 x 10 x 10 of 150
        new nn.MaxPool2d(2),
        new nn.ReLU(),
        new nn.Flatten(),
        new nn.Linear(400, 120),
        new nn.ReLU(),
        new nn.Linear(120, 84),
        new nn.ReLU(),
        new nn.Linear(84, 10),
      );
      const [conv1, rest] = [6 * 28 * 28 * 75, 16 * 10 * 10 * 150 + 400 * 120 + 120 * 84 + 84 * 10];
      expect(conv1 + rest).toBe(651_720);
      const labels = torch.zeros([4], { dtype: "int64" });
      const step = () => torch.crossEntropy(lenet5.forward(ones(4, 3, 32, 32)), labels).backward();
      expect(both(step)).toEqual([4 * (conv1 + rest), 4 * (conv1 + 2 * rest)]);
    });
  });

  it("ResNet-32 with projections: 466,906 parameters, published 69.1 M multiply-adds", () => {
    scope(() => {
      const resnet32 = residual([16, 32, 64], 5);
      expect(resnet32.parameters().reduce((sum, { numel }) => sum + numel, 0)).toBe(466_906);
      const forward = forwardOf(() => noGrad(() => resnet32.forward(ones(1, 3, 32, 32))));
      expect(forward).toBe(69_124_736);
      expect((forward / 1e6).toFixed(1)).toBe("69.1");
    });
  });

  it("ResNet-18 of width 64 on 32x32 images: 11,173,962 parameters, 0.56 G multiply-adds", () => {
    scope(() => {
      const resnet18 = residual([64, 128, 256, 512], 2);
      expect(resnet18.parameters().reduce((sum, { numel }) => sum + numel, 0)).toBe(11_173_962);
      const [forward, backward] = both(() => resnet18.forward(ones(2, 3, 32, 32)));
      expect(forward).toBe(2 * 555_422_720);
      expect(backward).toBe(2 * (2 * 555_422_720 - 3 * 64 * 9 * 1024)); // no gradient of the images
    });
  });
});
