// Optimizers against PyTorch's, on the fused float32 path and on the float64 path through operators.
import { describe, expect, it } from "vitest";
import * as torch from "../../src/index.js";
import { noGrad, optim, Parameter, scope, type Tensor, tensor } from "../../src/index.js";
import { allClose, exact, expectTensor, type Tolerance } from "../support/close.js";
import { decodeTensor, type Encoded, readFixture } from "../support/fixtures.js";

interface Run {
  kind: "SGD" | "Adam" | "AdamW";
  settings: Record<string, never>;
  dtype: "float32" | "float64";
  x: Encoded;
  y: Encoded;
  start: [Encoded, Encoded];
  steps: Record<string, [Encoded, Encoded]>;
}

const fixture = readFixture<{
  runs: Run[];
  schedule: { base: number; milestones: number[]; gamma: number; rates: number[] };
}>("optim.json");

const make = (kind: Run["kind"], parameters: Parameter[], settings: Run["settings"]): optim.Optimizer =>
  new optim[kind](parameters, settings as never);

/** The recorded problem; in steps 3 and 4 the second matrix gets no gradient. */
class Problem {
  readonly parameters: [Parameter, Parameter];
  readonly optimizer: optim.Optimizer;
  taken = 0;

  constructor(
    readonly run: Run,
    start: readonly Tensor[] = run.start.map(decodeTensor),
    strided = false,
  ) {
    // A transposed parameter is not contiguous, so that it takes the path through operators.
    const layout = (value: Tensor) => (strided ? value.t().contiguous().t() : value.clone());
    this.parameters = [new Parameter(layout(start[0]!)), new Parameter(layout(start[1]!))];
    this.optimizer = make(run.kind, this.parameters, run.settings);
  }

  step(): void {
    this.taken++;
    scope(() => {
      const [first, second] = this.parameters;
      this.optimizer.zeroGrad();
      const used = this.taken === 3 || this.taken === 4 ? second.detach() : second;
      const output = torch.tanh(decodeTensor(this.run.x).matmul(first)).matmul(used);
      torch
        .square(output.sub(decodeTensor(this.run.y)))
        .mean()
        .backward();
      this.optimizer.step();
    });
  }

  dispose(): void {
    this.optimizer.dispose();
    for (const parameter of this.parameters) parameter.dispose();
  }
}

const tolerances: Record<Run["dtype"], Tolerance> = {
  float32: { relative: 2e-6, absolute: 2e-7 }, // a few units in the last place after twenty steps
  float64: { relative: 1e-13, absolute: 1e-14 },
};
const named = fixture.runs.map((run) => [run.kind, run.dtype, JSON.stringify(run.settings), run] as const);

it("has a case for every optimizer", () => {
  const classes = Object.entries(optim).filter(([, value]) => value.prototype instanceof optim.Optimizer);
  expect(new Set(classes.map(([name]) => name))).toEqual(new Set(fixture.runs.map(({ kind }) => kind)));
});

describe("twenty steps equal PyTorch's", () => {
  it.each(named)("%s %s %s", (_, dtype, __, run) => {
    for (const strided of [false, true]) {
      scope(() => {
        const problem = new Problem(run, undefined, strided);
        expect(problem.parameters[0].isContiguous).toBe(!strided);
        for (let step = 1; step <= 20; step++) {
          problem.step();
          for (const [at, expected] of run.steps[step]?.entries() ?? []) {
            expectTensor(problem.parameters[at]!, expected, tolerances[dtype], `parameter ${at} after step ${step}`);
          }
        }
        problem.dispose();
      });
    }
  });
});

describe("state", () => {
  it.each(named)("saved and restored goes on bit for bit: %s %s %s", (_, __, ___, run) => {
    scope(() => {
      const straight = new Problem(run);
      const first = new Problem(run);
      for (let i = 0; i < 10; i++) {
        straight.step();
        first.step();
      }
      const copies = Array.from(first.optimizer.stateDict(), ([name, value]): [string, Tensor] => [
        name,
        value.clone(),
      ]);
      const second = new Problem(
        run,
        first.parameters.map((parameter) => parameter.detach()),
      );
      second.taken = first.taken;
      second.optimizer.loadStateDict(new Map(copies));
      for (let i = 0; i < 10; i++) {
        straight.step();
        second.step();
      }
      for (const at of [0, 1] as const) {
        allClose(second.parameters[at].toNumbers(), straight.parameters[at].toNumbers(), exact, `parameter ${at}`);
      }
      for (const problem of [straight, first, second]) problem.dispose();
    });
  });

  it("is named for PyTorch's, with the steps of each parameter", () => {
    scope(() => {
      const adam = new Problem(fixture.runs.find(({ kind }) => kind === "Adam")!);
      for (let i = 0; i < 5; i++) adam.step();
      const state = adam.optimizer.stateDict();
      expect([...state.keys()]).toEqual(["steps", "exp_avg.0", "exp_avg.1", "exp_avg_sq.0", "exp_avg_sq.1"]);
      expect(state.get("steps")!.toNumbers()).toEqual([5, 3]);
      adam.dispose();
    });
  });

  it("that does not fit is refused, and nothing is changed then", () => {
    scope(() => {
      const problem = new Problem(fixture.runs.find(({ kind }) => kind === "Adam")!);
      problem.step();
      const values = () => Array.from(problem.optimizer.stateDict(), ([, value]) => value.toNumbers());
      const before = values();
      const changed = () =>
        new Map(Array.from(problem.optimizer.stateDict(), ([name, value]): [string, Tensor] => [name, value.add(1)]));
      const load = (saved: Map<string, Tensor>) => () => problem.optimizer.loadStateDict(saved);

      expect(load(new Map())).toThrow("optimizer: expected saved state for 2 parameters, got none");
      expect(load(changed().set("steps", tensor([1, 2, 3])))).toThrow(/for 2 parameters, got 3/);
      const missing = changed();
      missing.delete("exp_avg_sq.1");
      expect(load(missing)).toThrow("optimizer: expected saved exp_avg_sq.1 [4, 2], got none");
      expect(load(changed().set("exp_avg_sq.1", torch.zeros([2, 4])))).toThrow("[4, 2], got [2, 4]");
      const gone = changed();
      const last = gone.get("exp_avg_sq.1")!;
      expect(last.shape).toEqual([4, 2]);
      last.dispose();
      expect(load(gone)).toThrow("optimizer: the saved exp_avg_sq.1 was disposed");
      expect(values()).toEqual(before);
      problem.dispose();
    });
  });
});

describe("a step", () => {
  it("passes over parameters without a gradient, and leaves gradients alone", () => {
    scope(() => {
      for (const kind of ["SGD", "Adam", "AdamW"] as const) {
        const [used, unused] = [new Parameter(torch.ones([3])), new Parameter(torch.ones([3]))];
        const settings = { learningRate: 0.1, weightDecay: 0.1, ...(kind === "SGD" ? { momentum: 0.9 } : {}) };
        const optimizer = make(kind, [used, unused], settings as never);
        used.mul(2).sum().backward();
        optimizer.step();
        expect(unused.toNumbers()).toEqual([1, 1, 1]);
        expect(used.toNumbers().every((value) => value < 1)).toBe(true);
        expect(used.grad!.toNumbers()).toEqual([2, 2, 2]);
        optimizer.zeroGrad();
        expect(used.grad).toBeNull();
        for (const item of [used, unused, optimizer]) item.dispose();
      }
    });
  });

  it("starts the momentum at a parameter's first gradient, however late", () => {
    scope(() => {
      const [early, late] = [new Parameter(torch.zeros([1])), new Parameter(torch.zeros([1]))];
      const optimizer = new optim.SGD([early, late], { learningRate: 1, momentum: 0.5, dampening: 0.5 });
      const step = (loss: Tensor) => {
        optimizer.zeroGrad();
        loss.sum().backward();
        optimizer.step();
      };
      step(early);
      step(early);
      step(early.add(late));
      expect(early.item()).toBe(-3); // 1, then 1/2 + 1/2 twice
      expect(late.item()).toBe(-1); // not dampened
      for (const item of [early, late, optimizer]) item.dispose();
    });
  });

  it("counts as a change that autograd sees", () => {
    scope(() => {
      const parameter = new Parameter(torch.ones([2]));
      const optimizer = new optim.SGD([parameter], { learningRate: 0.1 });
      const loss = parameter.mul(parameter).sum();
      loss.backward({ retainGraph: true });
      optimizer.step();
      expect(() => loss.backward()).toThrow(/modified by an inplace operation/);
      parameter.dispose();
    });
  });

  it("takes the learning rate of the moment, and works under noGrad", () => {
    scope(() => {
      const parameter = new Parameter(torch.zeros([1]));
      const optimizer = new optim.SGD([parameter], { learningRate: 1 });
      parameter.sum().backward();
      optimizer.step();
      optimizer.learningRate = 0.5;
      noGrad(() => optimizer.step());
      expect(parameter.item()).toBe(-1.5);
      expect(parameter.requiresGrad).toBe(true);
      parameter.dispose();
    });
  });

  it("keeps the square of a huge gradient finite, as PyTorch, on both paths", () => {
    scope(() => {
      for (const strided of [false, true]) {
        const start = torch.ones([2, 2]);
        const parameter = new Parameter(strided ? start.t() : start);
        const optimizer = new optim.Adam([parameter], { learningRate: 0.1 });
        parameter.grad = tensor([[1e20, 1e20], [1e20, 0.5]]); // biome-ignore format: a matrix
        optimizer.step();
        // PyTorch 1.13.0: (1 − β₂) · g · g from the left; g · g = 1e40 is beyond float32.
        const square = 1.0000001201466413e37;
        const expected = [square, square, square, 0.0002500000118743628];
        allClose(optimizer.stateDict().get("exp_avg_sq.0")!.toNumbers(), expected, { relative: 2e-7, absolute: 0 });
        allClose(parameter.toNumbers(), new Array(4).fill(0.9000000357627869), { relative: 2e-7, absolute: 0 });
        parameter.dispose();
        optimizer.dispose();
      }
    });
  });

  it("converts a lower precision through operators: bfloat16", () => {
    scope(() => {
      const parameter = new Parameter(torch.ones([2], { dtype: "bfloat16" }));
      const optimizer = new optim.Adam([parameter], { learningRate: 0.5 });
      parameter.mul(3).sum().backward();
      optimizer.step();
      expect(parameter.dtype).toBe("bfloat16");
      allClose(parameter.toNumbers(), [0.5, 0.5], { relative: 2 ** -7, absolute: 0 }); // 8 bits of precision
      parameter.dispose();
      optimizer.dispose();
    });
  });
});

it("refuses settings that make no sense", () => {
  const parameter = new Parameter(torch.zeros([1]));
  const parameters = [parameter];
  expect(() => new optim.Adam([])).toThrow("optimizer: expected at least one parameter, got none");
  expect(() => new optim.Adam(parameters, { learningRate: -1 })).toThrow(/learningRate of at least 0, got -1/);
  expect(() => new optim.Adam(parameters, { learningRate: Number.NaN })).toThrow(/got NaN/);
  expect(() => new optim.Adam(parameters, { betas: [1, 0.9] })).toThrow(/betas in \[0, 1\), got 1/);
  expect(() => new optim.Adam(parameters, { epsilon: -1 })).toThrow(/epsilon/);
  expect(() => new optim.SGD(parameters, { learningRate: 1, momentum: -1 })).toThrow(/momentum/);
  expect(() => new optim.SGD(parameters, { learningRate: 1, weightDecay: Number.POSITIVE_INFINITY })).toThrow(
    /weightDecay/,
  );
  expect(() => new optim.SGD(parameters, { learningRate: 1, nesterov: true })).toThrow(/nesterov needs a momentum/);
  const other = new Parameter(torch.zeros([1]));
  for (const kind of ["SGD", "Adam", "AdamW"] as const) {
    expect(() => make(kind, [other, parameter, other], { learningRate: 1 } as never)).toThrow(
      new torch.TorchError("optimizer: expected every parameter once, got number 0 again as number 2"),
    );
  }
  other.dispose();
  parameter.dispose();
});

it("multiStep gives MultiStepLR's rates", () => {
  const { base, milestones, gamma, rates } = fixture.schedule;
  const mine = rates.map((_, epoch) => optim.multiStep(base, epoch, { milestones, gamma }));
  allClose(mine, rates, { relative: 1e-14, absolute: 0 });
  expect(optim.multiStep(1, 5, { milestones: [5] })).toBe(0.1);
  expect(optim.multiStep(1, 4, { milestones: [5] })).toBe(1);
});
