// Forward gradients: the derivative along a direction against reverse mode and finite differences, the two moments of the
// estimate, and the rule that learns by it.
import "../support/one-thread.js";
import {
  cat,
  crossEntropy,
  Generator,
  grad,
  memory,
  nn,
  noGrad,
  Parameter,
  resetPeakBytes,
  scope,
  type Tensor,
  tensor,
} from "@stopgrad/torch";
import { describe, expect, test } from "vitest";
import { distributions, drawTangent, ParameterSpace } from "../../src/rules/parameter-space.js";
import { bytesOf, differing, expectClose, snapshot } from "../support/compare.js";
import { labelsOf } from "../support/formula.js";
import { makeBackbone, makeBatch, makeRule, modelNames, type RuleSetup, smallOptions } from "../support/networks.js";

const rule = "forward-gradient" as const;

/** All gradients as one vector. */
const flat = (gradients: readonly (Tensor | null)[]) =>
  cat(
    gradients.map((gradient) => gradient!.flatten()),
    0,
  );

/** One parameter and a linear loss: its gradient is what is given. */
class Linear extends nn.Module {
  readonly weight: Parameter;
  constructor(private readonly slope: Tensor) {
    super();
    this.weight = new Parameter(slope.mul(0));
  }
  override forward(): Tensor {
    return this.weight.mul(this.slope).sum();
  }
}

describe("directions", () => {
  const COUNT = 200_000;

  test.each(distributions)(
    "%s ones have independent entries of mean 0, variance 1 and the right fourth moment",
    (name) => {
      scope(() => {
        const all = drawTangent(3 * COUNT, name, new Generator(1))
          .to("float64")
          .view([COUNT, 3]);
        const moment = (values: Tensor) => values.mean([0]).toNumbers();
        for (const mean of moment(all)) expect(Math.abs(mean)).toBeLessThan(5 / Math.sqrt(COUNT));
        const fourth = name === "gaussian" ? 3 : 1;
        for (const variance of moment(all.square())) {
          expect(Math.abs(variance - 1)).toBeLessThan(5 * Math.sqrt((fourth - 1) / COUNT) + 1e-12);
        }
        for (const kurtosis of moment(all.pow(4))) {
          expect(Math.abs(kurtosis - fourth)).toBeLessThan(name === "gaussian" ? 5 * Math.sqrt(96 / COUNT) : 1e-12);
        }
        const rolled = cat([all.narrow(1, 1, 2), all.narrow(1, 0, 1)], 1);
        for (const product of moment(all.mul(rolled))) expect(Math.abs(product)).toBeLessThan(5 / Math.sqrt(COUNT));
      });
    },
  );

  // With gradient a: E[(a·v) v] = a, and E‖(a·v) v‖² = (p + 2) ‖a‖² for Gaussian directions, p ‖a‖² for signs.
  test.each([
    ["gaussian", 70],
    ["rademacher", 42],
  ] as const)("%s: of gradient (1, -2, 3) the estimates have that mean, and squared length %d", (name, length) => {
    scope(() => {
      const gradient = tensor([1, -2, 3], { dtype: "float64" });
      const module = new Linear(gradient);
      const space = new ParameterSpace([module]);
      const directions = drawTangent(3 * COUNT, name, new Generator(2))
        .to("float64")
        .view([COUNT, 3]);
      for (let i = 0; i < 5; i++) {
        const [v1, v2, v3] = directions.select(0, i).toNumbers() as [number, number, number];
        const { slope } = space.along(directions.select(0, i), () => ({ along: module.forward(), beside: null }));
        expect(slope.item()).toBeCloseTo(v1 - 2 * v2 + 3 * v3, 12);
      }
      const estimates = directions.matmul(gradient.unsqueeze(1)).mul(directions); // [COUNT, 3]
      const [means, spreads] = [estimates.mean([0]).toNumbers(), estimates.std([0]).toNumbers()];
      for (const [i, mean] of means.entries()) {
        expect(Math.abs(mean - [1, -2, 3][i]!)).toBeLessThan((5 * spreads[i]!) / Math.sqrt(COUNT));
      }
      const lengths = estimates.square().sum([1]);
      const error = (5 * lengths.std().item()) / Math.sqrt(COUNT);
      expect(Math.abs(lengths.mean().item() - length)).toBeLessThan(error);
      expect(error / length).toBeLessThan(0.03);
    });
  });
});

describe("the derivative along a direction", () => {
  // Layer norms of vit compute in float32, whatever comes.
  test.each(modelNames)(
    "of %s, in training mode, is the gradient's part there, and the central difference",
    (model) => {
      scope(() => {
        const dtype = model === "vit" ? "float32" : "float64";
        const exact = dtype === "float64";
        const backbone = makeBackbone({ model, options: smallOptions(model, 0) })
          .to(dtype)
          .train();
        const space = new ParameterSpace([...backbone.stages, ...(backbone.classifier ? [backbone.classifier] : [])]);
        const images = makeBatch(0, 4).images.to(dtype);
        const labels = labelsOf(4);
        const loss = () => crossEntropy(backbone.forward(images), labels);
        expect(space.parameters).toHaveLength(backbone.parameters().length);
        expect(new Set(space.parameters)).toEqual(new Set(backbone.parameters()));
        expect(space.size).toBe(backbone.parameters().reduce((sum, { numel }) => sum + numel, 0));

        const direction = drawTangent(space.size, "gaussian", new Generator(3)).to(dtype);
        const { values, slope } = space.along(direction, () => ({ along: loss(), beside: null }));
        const value = loss();
        expect(values.along.item()).toBeCloseTo(value.item(), exact ? 10 : 5);
        const expected = flat(grad(value, space.parameters)).mul(direction).sum().item();
        expectClose([slope.item()], [expected], exact ? 1e-9 : 1e-3);

        const parts = direction.split(
          space.parameters.map(({ numel }) => numel),
          0,
        );
        const move = (step: number) =>
          noGrad(() => {
            for (const [i, parameter] of space.parameters.entries()) {
              parameter.add_(parts[i]!.view(parameter.shape), step);
            }
            return loss().item();
          });
        const h = exact ? 1e-7 : 1e-3;
        const [above, below] = [move(h), move(-2 * h)];
        expectClose([(above - below) / (2 * h)], [expected], exact ? 1e-4 : 0.02);
        backbone.dispose();
      });
    },
  );

  test("estimates the gradient without bias, with the second moment it must have", () => {
    const DRAWS = 4000;
    scope(() => {
      const network = new nn.Sequential(
        new nn.Linear(3, 2, { generator: new Generator(1) }),
        new nn.Tanh(),
        new nn.Linear(2, 2, { generator: new Generator(2) }),
      ).to("float64");
      const space = new ParameterSpace([network]);
      const [x, y] = [tensor([[1, -2, 0.5], [0, 1, 2]], { dtype: "float64" }), labelsOf(2, 2)]; // biome-ignore format: a row
      const loss = () => crossEntropy(network.forward(x), y);
      const gradient = flat(grad(loss(), space.parameters)).toNumbers();
      const squared = gradient.reduce((sum, g) => sum + g * g, 0);
      for (const name of distributions) {
        const generator = new Generator(4);
        const sums = new Float64Array(space.size);
        const lengths: number[] = [];
        for (let i = 0; i < DRAWS; i++) {
          scope(() => {
            const direction = drawTangent(space.size, name, generator).to("float64");
            const { slope } = space.along(direction, () => ({ along: loss(), beside: null }));
            const estimate = direction.mul(slope).toNumbers();
            for (const [at, value] of estimate.entries()) sums[at]! += value;
            lengths.push(estimate.reduce((sum, value) => sum + value * value, 0));
          });
        }
        // Each entry's variance is at most 2 ‖a‖².
        for (const [at, sum] of sums.entries()) {
          expect(Math.abs(sum / DRAWS - gradient[at]!)).toBeLessThan(5 * Math.sqrt((2 * squared) / DRAWS));
        }
        const mean = lengths.reduce((sum, value) => sum + value, 0) / DRAWS;
        const spread = Math.sqrt(lengths.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (DRAWS - 1));
        const factor = name === "gaussian" ? space.size + 2 : space.size;
        expect(space.size).toBe(14);
        expect(Math.abs(mean - factor * squared)).toBeLessThan((5 * spread) / Math.sqrt(DRAWS));
      }
    });
  });

  test("leaves the parameters where they were, also after an error inside", () => {
    scope(() => {
      const layer = new nn.Linear(2, 2);
      const [weight, bias] = [layer.weight, layer.bias];
      const space = new ParameterSpace([layer, layer]);
      const direction = drawTangent(space.size, "gaussian", new Generator(1));
      expect(() =>
        space.along(direction, () => {
          expect(layer.weight).not.toBe(weight);
          throw new Error("inside");
        }),
      ).toThrow("inside");
      expect([layer.weight, layer.bias]).toEqual([weight, bias]);
      expect(layer.weight).toBe(weight);
      expect(space.size).toBe(6);
    });
  });

  test("of a loss that does not depend on the parameters is 0", () => {
    scope(() => {
      const space = new ParameterSpace([new nn.Linear(2, 2)]);
      const direction = drawTangent(space.size, "gaussian", new Generator(1));
      expect(space.along(direction, () => ({ along: tensor(3), beside: null })).slope.item()).toBe(0);
    });
  });

  test("counts a parameter that is held twice once, and moves it in both places", () => {
    scope(() => {
      const [one, other] = [new nn.Linear(2, 2, { bias: false }), new nn.Linear(2, 2, { bias: false })];
      Reflect.set(other, "weight", one.weight);
      const space = new ParameterSpace([one, other]);
      expect(space.size).toBe(4);
      const x = tensor([[1, 2]]);
      const { slope } = space.along(tensor([1, 0, 0, 0]), () => ({
        along: one.forward(x).add(other.forward(x)).sum(),
        beside: null,
      }));
      expect(slope.item()).toBe(2);
    });
  });
});

describe("a step", () => {
  const sgd = { optimizer: "sgd", settings: { learningRate: 1 } } as const;

  test.each([1, 3])("moves along the mean of %d estimates, as the generator decides", (tangents) => {
    scope(() => {
      const learner = makeRule({ rule, model: "lenet5", ruleOptions: { tangents }, ...sgd });
      const { images, labels, indices } = makeBatch(0);
      const parameters = learner.backbone.parameters();
      const before = parameters.map((parameter) => parameter.clone());
      const loss = crossEntropy(learner.backbone.forward(images), labels);
      const gradient = flat(grad(loss, parameters));
      const generator = new Generator(3001); // the rule's own
      let expected = gradient.mul(0);
      for (let i = 0; i < tangents; i++) {
        const direction = drawTangent(gradient.numel, "gaussian", generator);
        expected = expected.add(direction.mul(gradient.mul(direction).sum()).div(tangents));
      }
      const result = learner.step({ images, labels, indices });
      const moved = flat(parameters.map((parameter, i) => before[i]!.sub(parameter)));
      const scale = expected.abs().amax().item();
      expect(moved.sub(expected).abs().amax().item() / scale).toBeLessThan(1e-4);
      expect(result.loss).toBeCloseTo(loss.item(), 5);
      expect(result.losses).toEqual([{ module: "network", loss: result.loss }]);
      expect(Number.isInteger(result.correct)).toBe(true);
      learner.dispose();
    });
  });

  test.each(modelNames)("of %s leaves nothing behind", (model) => {
    const start = memory();
    const learner = makeRule({ rule, model, ruleOptions: { tangents: 2 } });
    const counts = Array.from({ length: 4 }, (_, at) => {
      scope(() => learner.step(makeBatch(at)));
      const { liveTensors, liveBytes } = memory();
      return { liveTensors, liveBytes };
    });
    for (const count of counts.slice(2)) expect(count).toEqual(counts[1]);
    learner.dispose();
    const { liveTensors, liveBytes } = memory();
    expect({ liveTensors, liveBytes }).toEqual({ liveTensors: start.liveTensors, liveBytes: start.liveBytes });
  });

  test("holds a block's activations, however deep the network; backpropagation holds all", () => {
    const peak = (setup: RuleSetup) =>
      scope(() => {
        const learner = makeRule({ options: { width: 4 }, ...setup });
        const batch = makeBatch(0, 64);
        learner.step(batch);
        const before = memory().liveBytes;
        resetPeakBytes();
        learner.step(batch);
        const bytes = memory().peakBytes - before;
        learner.dispose();
        return bytes;
      });
    const growth = (setup: Partial<RuleSetup>) =>
      peak({ ...setup, model: "resnet56" }) / peak({ ...setup, model: "resnet20" });
    expect(growth({ rule })).toBeLessThan(1.25);
    expect(growth({ partition: 1 })).toBeGreaterThan(2);
  });

  test("trains nothing below what another run trained", () => {
    const learner = makeRule({ rule, model: "resnet18", frozenStages: 3 });
    const before = snapshot(learner.backbone.stateDict());
    scope(() => learner.step(makeBatch(0)));
    const changed = differing(before, snapshot(learner.backbone.stateDict()));
    expect(changed.filter((name) => /^(conv1|bn1|layer1)/.test(name))).toEqual([]);
    expect(changed).toContain("layer2.0.conv1.weight");
    expect(changed).toContain("fc.weight");
    learner.dispose();
  });
});

test.each(["gaussian", "rademacher"])("a saved rule with %s directions goes on bit for bit", (distribution) => {
  scope(() => {
    const setup = { rule, model: "vgg11", ruleOptions: { tangents: 2, distribution } } as const;
    const [dropout, otherDropout] = [new Generator(5), new Generator(6)];
    const learner = makeRule({ ...setup, dropoutGenerator: dropout });
    // Directions are drawn from the state of a generator that nothing else uses: give the other rule a used one.
    const other = makeRule({ ...setup, dropoutGenerator: otherDropout });
    learner.step(makeBatch(0));
    other.step(makeBatch(7));
    other.loadStateDict(new Map([...learner.stateDict()].map(([name, entry]) => [name, entry.clone()])));
    otherDropout.setState(dropout.getState());
    expect(other.step(makeBatch(1))).toEqual(learner.step(makeBatch(1)));
    expect(differing(snapshot(learner.stateDict()), snapshot(other.stateDict()))).toEqual([]);
    learner.dispose();
    other.dispose();
  });
});

test("saved state of another network is refused, and nothing is changed", () => {
  const saved = makeRule({ rule, model: "mlp" }).stateDict();
  const learner = makeRule({ rule, model: "lenet5" });
  const before = snapshot(learner.stateDict());
  expect(() => learner.loadStateDict(saved)).toThrow(/missing backbone\.conv1\.weight/);
  expect(differing(before, snapshot(learner.stateDict()))).toEqual([]);
});

test("learns a batch, and faster with more directions", () => {
  const gain = (tangents: number) => {
    const learner = makeRule({
      rule,
      model: "mlp",
      inputShape: [1, 4, 4],
      classes: 3,
      ruleOptions: { tangents, distribution: "rademacher" },
      settings: { learningRate: 2e-2 },
    });
    const batch = makeBatch(0, 8, [1, 4, 4], 3);
    const losses = Array.from({ length: 200 }, () => scope(() => learner.step(batch).loss));
    learner.dispose();
    return losses[0]! - losses.at(-1)!;
  };
  const [one, eight] = [gain(1), gain(8)];
  expect(one).toBeGreaterThan(0.2);
  expect(eight).toBeGreaterThan(one + 0.1);
});

test("in 16 bits: finite, learns, and parameters stay float32", () => {
  const learner = makeRule({
    rule,
    model: "resnet18",
    precision: "bfloat16",
    ruleOptions: { tangents: 4 },
    settings: { learningRate: 2e-3 },
  });
  const losses = Array.from({ length: 40 }, () => scope(() => learner.step(makeBatch(0)).loss));
  for (const parameter of learner.backbone.parameters()) expect(parameter.dtype).toBe("float32");
  expect(losses.every(Number.isFinite)).toBe(true);
  expect(losses[0]! - losses.at(-1)!).toBeGreaterThan(0.05);
  learner.dispose();
});

test("draws come from the rule's generator only", () => {
  const dropout = new Generator(5);
  const before = bytesOf(dropout.getState());
  const learner = makeRule({ rule, model: "lenet5", dropoutGenerator: dropout });
  scope(() => learner.step(makeBatch(0)));
  expect(Buffer.compare(before, bytesOf(dropout.getState()))).toBe(0);
  learner.dispose();
});
