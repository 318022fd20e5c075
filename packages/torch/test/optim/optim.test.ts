// Optimizers against PyTorch's, on the fused float32 path and on the float64 path through operators.
import { describe, expect, it } from "vitest";
import * as torch from "../../src/index.js";
import { noGrad, optim, Parameter, scope, type Tensor, tensor } from "../../src/index.js";
import { allClose, exact, expectTensor, type Tolerance } from "../support/close.js";
import { decodeTensor, type Encoded, readFixture } from "../support/fixtures.js";

type Kind = "SGD" | "Adam" | "AdamW" | "RMSprop" | "Adagrad";
interface Run {
  kind: Kind;
  settings: Record<string, never>;
  /** Settings of the first matrix and of the second, or null. */
  groups: [Record<string, never>, Record<string, never>] | null;
  dtype: "float32" | "float64";
  x: Encoded;
  y: Encoded;
  start: [Encoded, Encoded];
  steps: Record<string, [Encoded, Encoded]>;
  /** PyTorch's state dict after step 10, flat. */
  saved: Record<string, Encoded>;
}

const fixture = readFixture<{
  runs: Run[];
  halves: { kind: Kind; settings: Record<string, never>; start: Encoded; gradients: Encoded[]; end: Encoded }[];
  clips: { most: number; order: number | "inf"; before: Encoded[]; norm: number; after: Encoded[] }[];
  clipValue: { value: number; before: Encoded; after: Encoded };
}>("optim.json");

const make = (kind: Kind, parameters: Parameter[], settings: Run["settings"]): optim.Optimizer =>
  new optim[kind](parameters, settings as never);

/** A parameter with holes takes the path through operators; one with other strides than its gradient has that copied. */
const layouts = {
  contiguous: (value: Tensor) => value.clone(),
  transposed: (value: Tensor) => value.t().contiguous().t(),
  holes: (value: Tensor) => torch.stack([value, value], 2).select(2, 0),
} satisfies Record<string, (value: Tensor) => Tensor>;

/** The recorded problem; in steps 3 and 4 the second matrix gets no gradient. */
class Problem {
  readonly parameters: [Parameter, Parameter];
  readonly optimizer: optim.Optimizer;
  taken = 0;

  constructor(
    readonly run: Run,
    start: readonly Tensor[] = run.start.map(decodeTensor),
    layout: keyof typeof layouts = "contiguous",
  ) {
    const [first, second] = start.map((value) => new Parameter(layouts[layout](value))) as [Parameter, Parameter];
    this.parameters = [first, second];
    const { groups } = run;
    this.optimizer = groups
      ? new optim[run.kind](this.parameters.map((parameter, at) => ({ parameters: [parameter], ...groups[at]! })), run.settings as never) // biome-ignore format: one call
      : make(run.kind, this.parameters, run.settings);
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
const named = fixture.runs.map(
  (run) => [run.kind, run.dtype, JSON.stringify([run.settings, ...(run.groups ?? [])]), run] as const,
);

it("has a case for every optimizer", () => {
  const classes = Object.entries(optim).filter(([, value]) => value.prototype instanceof optim.Optimizer);
  expect(new Set(classes.map(([name]) => name))).toEqual(new Set(fixture.runs.map(({ kind }) => kind)));
});

describe("twenty steps equal PyTorch's", () => {
  it.each(named)("%s %s %s", (_, dtype, __, run) => {
    for (const layout of ["contiguous", "transposed", "holes"] as const) {
      scope(() => {
        const problem = new Problem(run, undefined, layout);
        expect(problem.parameters[0].isContiguous).toBe(layout === "contiguous");
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

  it.each(named)("is PyTorch's, under PyTorch's names: %s %s %s", (_, dtype, __, run) => {
    scope(() => {
      const problem = new Problem(run);
      for (let i = 0; i < 10; i++) problem.step();
      const mine = problem.optimizer.stateDict();
      for (const [name, expected] of Object.entries(run.saved)) {
        // Which way a step is computed, and what it records, are not settings of ours.
        if (/\.(foreach|capturable|differentiable|fused)$/.test(name)) continue;
        const got = mine.get(name);
        expect(got, name).toBeDefined();
        // PyTorch counts steps in float32, and on some parameters an average that is not kept stands as 0.
        allClose(got!.toNumbers(), decodeTensor(expected).toNumbers(), tolerances[dtype], name);
      }
      const extra = [...mine.keys()].filter((name) => !(name in run.saved));
      expect(extra.filter((name) => !(run.kind === "SGD" && name.endsWith(".step")))).toEqual([]);
      problem.dispose();
    });
  });

  it.each(named)("goes on from PyTorch's after ten steps: %s %s %s", (_, dtype, __, run) => {
    scope(() => {
      const problem = new Problem(run, run.steps[10]!.map(decodeTensor));
      problem.taken = 10;
      const saved = new Map(Object.entries(run.saved).map(([name, value]) => [name, decodeTensor(value)]));
      problem.optimizer.loadStateDict(saved);
      for (let i = 0; i < 10; i++) problem.step();
      for (const [at, expected] of run.steps[20]!.entries()) {
        expectTensor(problem.parameters[at]!, expected, tolerances[dtype], `parameter ${at}`);
      }
      problem.dispose();
    });
  });

  it("holds the settings, and a parameter that took no step starts afresh", () => {
    scope(() => {
      const [used, unused] = [new Parameter(torch.ones([1])), new Parameter(torch.ones([1]))];
      const options = { learningRate: 0.1, initialAccumulatorValue: 0.25 };
      const first = new optim.Adagrad([used, unused], options);
      used.sum().backward();
      first.step();
      first.learningRate = 0.03;
      const saved = first.stateDict();
      expect([...saved.keys()].filter((name) => name.startsWith("state"))).toEqual(["state.0.step", "state.0.sum"]);

      const second = new optim.Adagrad([used, unused], { learningRate: 0.7, maximize: true });
      unused.sum().backward();
      second.step();
      second.loadStateDict(saved);
      expect(second.learningRate).toBe(0.03);
      expect(second.groups[0]!.settings).toEqual(first.groups[0]!.settings);
      expect([...second.groups[0]!.steps]).toEqual([1, 0]);
      expect(second.groups[0]!.state.sum!.map((sum) => sum.item())).toEqual([1.25, 0]);
      for (const item of [used, unused, first, second]) item.dispose();
    });
  });

  it("that does not fit is refused, and nothing is changed then", () => {
    scope(() => {
      const problem = new Problem(fixture.runs.find(({ kind }) => kind === "Adam")!);
      problem.step();
      const values = () => Array.from(problem.optimizer.stateDict(), ([, value]) => value.toNumbers());
      const before = values();
      const changed = () =>
        new Map(Array.from(problem.optimizer.stateDict(), ([name, value]): [string, Tensor] => [name, value.clone()]));
      const load = (change: (saved: Map<string, Tensor>) => void) => () => {
        const saved = changed();
        saved.set("param_groups.0.lr", tensor(9));
        saved.set("state.0.exp_avg", torch.ones([3, 4]));
        change(saved);
        problem.optimizer.loadStateDict(saved);
      };

      expect(load((saved) => saved.clear())).toThrow("expected saved state for 2 parameters in group 0, got none");
      expect(load((saved) => saved.set("param_groups.0.params", tensor([0, 1, 2])))).toThrow(/for 2 parameters in group 0, got 3/);
      expect(load((saved) => saved.delete("state.1.exp_avg_sq"))).toThrow("optimizer: expected saved state.1.exp_avg_sq [4, 2], got none");
      expect(load((saved) => saved.set("state.1.exp_avg_sq", torch.zeros([2, 4])))).toThrow("[4, 2], got [2, 4]");
      expect(load((saved) => saved.delete("state.1.step"))).toThrow("optimizer: expected saved state.1.step [], got none");
      expect(load((saved) => saved.delete("param_groups.0.betas"))).toThrow("expected the saved setting param_groups.0.betas, got none");
      expect(load((saved) => saved.set("param_groups.0.lr", tensor([1, 2])))).toThrow("param_groups.0.lr of another shape than [2]");
      expect(load((saved) => saved.set("state.2.exp_avg", tensor(1)))).toThrow("the saved state does not fit: unexpected state.2.exp_avg");
      expect(load((saved) => saved.set("param_groups.1.lr", tensor(1)))).toThrow("unexpected param_groups.1.lr");
      expect(load((saved) => saved.get("state.1.exp_avg_sq")!.dispose())).toThrow("optimizer: the saved state.1.exp_avg_sq was disposed");
      expect(values()).toEqual(before);
      problem.dispose();
    });
  }); // biome-ignore format: a table
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
      for (const layout of [layouts.contiguous, layouts.holes]) {
        const parameter = new Parameter(layout(torch.ones([2, 2])));
        const optimizer = new optim.Adam([parameter], { learningRate: 0.1 });
        parameter.grad = tensor([[1e20, 1e20], [1e20, 0.5]]); // biome-ignore format: a matrix
        optimizer.step();
        // PyTorch 1.13.0: (1 − β₂) · g · g from the left; g · g = 1e40 is beyond float32.
        const square = 1.0000001201466413e37;
        const expected = [square, square, square, 0.0002500000118743628];
        allClose(optimizer.stateDict().get("state.0.exp_avg_sq")!.toNumbers(), expected, {
          relative: 2e-7,
          absolute: 0,
        });
        allClose(parameter.toNumbers(), new Array(4).fill(0.9000000357627869), { relative: 2e-7, absolute: 0 });
        parameter.dispose();
        optimizer.dispose();
      }
    });
  });

  it.each(fixture.halves)("rounds a lower precision as PyTorch's: $kind $start.t $settings", (recorded) => {
    scope(() => {
      const parameter = new Parameter(decodeTensor(recorded.start));
      const optimizer = make(recorded.kind, [parameter], recorded.settings);
      for (const gradient of recorded.gradients) {
        parameter.grad = decodeTensor(gradient);
        optimizer.step();
      }
      expectTensor(parameter, recorded.end, exact);
      parameter.dispose();
      optimizer.dispose();
    });
  });

  it.each(["Adam", "AdamW", "RMSprop", "Adagrad"] as const)("works on float16: %s", (kind) => {
    scope(() => {
      const [half, single] = (["float16", "float32"] as const).map(
        (dtype) => new Parameter(torch.ones([3], { dtype })),
      );
      for (const parameter of [half!, single!]) {
        const optimizer = make(kind, [parameter], { learningRate: 0.05, epsilon: 1e-3 } as never);
        for (let i = 0; i < 5; i++) {
          parameter.grad = tensor([1, -0.5, 2], { dtype: parameter.dtype });
          optimizer.step();
        }
        optimizer.dispose();
      }
      expect(half!.dtype).toBe("float16");
      allClose(half!.toNumbers(), single!.toNumbers(), { relative: 2e-3, absolute: 1e-3 }, kind); // 11 bits, five steps
      for (const parameter of [half!, single!]) parameter.dispose();
    });
  });

  it("uses each group's learning rate, which may be set apart or together", () => {
    scope(() => {
      const [a, b] = [new Parameter(torch.zeros([1])), new Parameter(torch.zeros([1]))];
      const groups = [{ parameters: [a] }, { parameters: [b], learningRate: 3 }];
      const optimizer = new optim.SGD(groups, { learningRate: 1 });
      a.add(b).sum().backward();
      optimizer.step();
      expect([a.item(), b.item()]).toEqual([-1, -3]);
      optimizer.groups[1]!.learningRate = 5;
      expect(optimizer.learningRate).toBe(1);
      optimizer.step();
      expect([a.item(), b.item()]).toEqual([-2, -8]);
      optimizer.learningRate = 10;
      optimizer.step();
      expect([a.item(), b.item()]).toEqual([-12, -18]);
      expect(() => new optim.SGD([{ parameters: [a] }, { parameters: [b, a] }], { learningRate: 1 })).toThrow(
        "optimizer: expected every parameter once, got number 0 again as number 2",
      );
      expect(() => new optim.SGD([{ parameters: [a], rate: 1 } as never], { learningRate: 1 })).toThrow(
        /unknown setting rate \(known: learningRate, momentum/,
      );
      expect(() => new optim.SGD([{ parameters: [a] }, b] as never, { learningRate: 1 })).toThrow(
        "optimizer: expected only groups or only parameters, got a parameter as number 1",
      );
      expect(() => new optim.SGD([{ parameters: [a], momentum: -1 }], { learningRate: 1 })).toThrow(
        /momentum of at least/,
      );
      for (const item of [a, b, optimizer]) item.dispose();
    });
  });

  it("makes gradients 0 where they are asked to stay", () => {
    scope(() => {
      const parameter = new Parameter(torch.ones([2]));
      const optimizer = new optim.SGD([parameter], { learningRate: 1, momentum: 0.5 });
      optimizer.zeroGrad({ setToNone: false });
      expect(parameter.grad).toBeNull();
      parameter.sum().backward();
      optimizer.step();
      optimizer.zeroGrad({ setToNone: false });
      expect(parameter.grad!.toNumbers()).toEqual([0, 0]);
      optimizer.step();
      expect(parameter.toNumbers()).toEqual([-0.5, -0.5]); // 1 − 1 − 1/2: the momentum goes on
      for (const item of [parameter, optimizer]) item.dispose();
    });
  });

  it("is the same on one thread and on several, for parameters large enough to be shared out", () => {
    scope(() => {
      const threads = torch.getThreads();
      const run = (count: number) => {
        torch.setThreads(count);
        const generator = new torch.Generator(5);
        const parameter = new Parameter(torch.randn([300, 501], { generator }));
        const optimizer = new optim.Adam([parameter], { learningRate: 0.1, amsgrad: true, weightDecay: 0.1 });
        for (let i = 0; i < 3; i++) {
          parameter.grad = torch.randn([300, 501], { generator });
          optimizer.step();
        }
        const values = parameter.toNumbers();
        for (const item of [parameter, optimizer]) item.dispose();
        return values;
      };
      try {
        allClose(run(2), run(1), exact);
      } finally {
        torch.setThreads(threads);
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

describe("clipping", () => {
  const parametersOf = (gradients: Encoded[]) =>
    gradients.map((gradient) => {
      const parameter = new Parameter(torch.zeros(gradient.s));
      parameter.grad = decodeTensor(gradient);
      return parameter;
    });

  it.each(fixture.clips)("by a norm is PyTorch's: at most $most, order $order", ({ most, order, ...recorded }) => {
    scope(() => {
      const parameters = parametersOf(recorded.before);
      const without = new Parameter(torch.zeros([2]));
      const options = { order: order === "inf" ? Number.POSITIVE_INFINITY : order };
      const norm = optim.clipGradNorm_([...parameters, without], most, options);
      allClose([norm], [recorded.norm], { relative: 1e-6, absolute: 0 });
      for (const [at, expected] of recorded.after.entries()) expectTensor(parameters[at]!.grad!, expected);
      expect(without.grad).toBeNull();
      for (const parameter of [...parameters, without]) parameter.dispose();
    });
  });

  it("by a value is PyTorch's", () => {
    scope(() => {
      const { value, before, after } = fixture.clipValue;
      const [parameter] = parametersOf([before]);
      optim.clipGradValue_([parameter!], value);
      expectTensor(parameter!.grad!, after, exact);
      parameter!.dispose();
    });
  });

  it("refuses a norm that is not finite where that is asked, and changes nothing then", () => {
    scope(() => {
      const parameter = new Parameter(torch.zeros([2]));
      expect(optim.clipGradNorm_([parameter], 1)).toBe(0);
      parameter.grad = tensor([1, Number.NaN]);
      expect(() => optim.clipGradNorm_([parameter], 1, { errorIfNotFinite: true })).toThrow(
        "clipGradNorm: expected gradients with a finite norm, got NaN",
      );
      expect(parameter.grad!.toNumbers()).toEqual([1, Number.NaN]);
      expect(optim.clipGradNorm_([parameter], 1)).toBeNaN();
      expect(() => optim.clipGradNorm_([parameter], -1)).toThrow("expected a maxNorm of at least 0, got -1");
      expect(() => optim.clipGradNorm_([parameter], 1, { order: 0 })).toThrow("expected an order above 0, got 0");
      expect(() => optim.clipGradValue_([parameter], Number.NaN)).toThrow("expected value of at least 0, got NaN");
      parameter.dispose();
    });
  });
});
