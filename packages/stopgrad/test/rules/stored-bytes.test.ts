// What stages store, against counts by hand, against whole passes, against real steps, and against the published cuts.
import "../support/one-thread.js";
import { Generator, memory, nn, noGrad, scope, type Tensor, zeros } from "@stopgrad/torch";
import { describe, expect, test } from "vitest";
import { balancedSizes, type ModuleCost } from "../../src/experiment/balance.js";
import { heads, lastMapOf } from "../../src/heads/index.js";
import { losses } from "../../src/losses/index.js";
import { Backbone, forwardThrough, Stage, stageShapes } from "../../src/models/index.js";
import {
  perBatch,
  type StoredBytes,
  storedBytes,
  storedBytesOf,
  storedInModule,
} from "../../src/rules/stored-bytes.js";
import { differing, snapshot } from "../support/compare.js";
import { type ImageShape, makeBackbone, makeBatch, makeRule, modelNames } from "../support/networks.js";
import { publishedMemoryCuts, stageNames } from "../support/published-cuts.js";

const IMAGES: ImageShape = [3, 16, 16];

function stored(backbone: Backbone, batch: number, shape: ImageShape = IMAGES): StoredBytes {
  return storedBytes(backbone, shape, batch, []);
}

test("ResNet-18 of width 8, by hand", () => {
  const backbone = makeBackbone({ model: "resnet18", options: { width: 8 }, inputShape: [3, 32, 32] });
  const batch = 64;
  const map = batch * 8 * 32 * 32 * 4;
  // Mean and inverse deviation of each channel that a batch norm saves, float32.
  const norm = (channels: number) => 2 * 4 * channels;
  const { stages, first } = stored(backbone, batch, [3, 32, 32]);
  // Stem: the convolution's output and the activation. A block: both convolutions' outputs, the inner activation and its
  // own output; one with a shortcut the output of that convolution too. Later groups' maps are half as large each.
  const maps = [2, 4, 4, 5 / 2, 4 / 2, 5 / 4, 4 / 4, 5 / 8, 4 / 8];
  const norms = [1, 2, 2, 3, 2, 3, 2, 3, 2].map(
    (count, at) => count * norm(8 * 2 ** Math.max(0, Math.ceil(at / 2) - 1)),
  );
  expect(stages).toEqual(maps.map((count, at) => count * map + norms[at]!));
  // A module's input, which is the map of the stage below.
  const inputs = [0, 1, 1, 1, 1 / 2, 1 / 2, 1 / 4, 1 / 4, 1 / 8];
  expect(first).toEqual(stages.map((bytes, at) => bytes + inputs[at]! * map));
});

describe.each(modelNames)("%s", (model) => {
  const make = () => makeBackbone({ model });

  test("stages add up to what whole modules store of another batch, wherever they begin and end", () => {
    scope(() => {
      const backbone = make();
      const { stages } = backbone;
      const batch = 12;
      const bytes = stored(backbone, batch);
      const outputs: Tensor[] = [zeros([batch, ...IMAGES])];
      for (const stage of stages) outputs.push(noGrad(() => stage.forward(outputs.at(-1)!)));
      for (let from = 0; from < stages.length; from++) {
        for (let end = from + 1; end <= stages.length; end++) {
          const input = outputs[from]!;
          const ofInput = from === 0 ? 0 : 4 * input.numel;
          const module = storedBytesOf(() => forwardThrough(stages.slice(from, end), input));
          expect(storedInModule(bytes, from, end), `stages ${from} to ${end}`).toBe(module + ofInput);
        }
      }
    });
  });

  test.each([true, false])("nothing is another afterwards, training %s", (training) => {
    scope(() => {
      const dropoutGenerator = new Generator(3);
      const backbone = makeBackbone({ model, dropoutGenerator });
      forwardThrough(backbone.stages, makeBatch(0).images); // running statistics that are not the first
      backbone.train(training);
      backbone.modules().at(-1)!.train(!training);
      const state = () => {
        const { liveTensors, liveBytes } = memory();
        return {
          modes: backbone.modules().map((module) => module.training),
          moves: backbone.modules().map((module) => (module as { movesStatistics?: boolean }).movesStatistics),
          gradients: backbone.parameters().filter(({ grad }) => grad !== null).length,
          memory: { liveTensors, liveBytes },
        };
      };
      const bits = () => scope(() => snapshot(new Map([...backbone.stateDict(), ["", dropoutGenerator.getState()]])));
      const before = { bits: bits(), state: state() };
      storedBytes(backbone, IMAGES, 8, [dropoutGenerator]);
      expect(state()).toEqual(before.state);
      expect(differing(bits(), before.bits)).toEqual([]);
      // Not even when it fails, as with images of another number of channels.
      expect(() => storedBytes(backbone, [5, 16, 16], 8, [dropoutGenerator])).toThrow();
      expect(state()).toEqual(before.state);
      expect(differing(bits(), before.bits)).toEqual([]);
    });
  });

  test("a step stores it: what is alive when a module's loss is taken", () => {
    scope(() => {
      const batch = makeBatch(0);
      const seen: number[] = [];
      const rule = makeRule({
        model,
        partition: 2,
        head: "auxiliary",
        loss: {
          ...losses["cross-entropy"],
          compute(options, input) {
            seen.push(memory().liveBytes);
            return losses["cross-entropy"].compute(options, input);
          },
        },
      });
      rule.step(batch);
      seen.length = 0;
      // Gradients are let go before the first module runs.
      const parameters = [...rule.backbone.parameters(), ...rule.auxiliary!.parameters()];
      const ofGradients = scope(() => parameters.reduce((sum, { grad }) => sum + 4 * (grad?.numel ?? 0), 0));
      const settled = memory().liveBytes - ofGradients;
      rule.step(batch);

      const end = Math.ceil(rule.backbone.stages.length / 2);
      const bytes = stored(rule.backbone, batch.labels.size(0));
      const [head] = [...rule.auxiliary!.namedChildren()].map(([, child]) => child);
      const hidden = noGrad(() => forwardThrough(rule.backbone.stages.slice(0, end), batch.images)).requiresGrad_();
      const ofHead = storedBytesOf(() => head!.forward(hidden));
      expect(seen[0]! - settled).toBe(storedInModule(bytes, 0, end) + ofHead);
      rule.dispose();
    });
  });
});

test("in 16 bits images take half, and weights in 16 bits come to them", () => {
  scope(() => {
    const backbone = makeBackbone({ model: "resnet18", options: { width: 8 } });
    const perImage = () => {
      const [one, two] = [1, 2].map((batch) => stored(backbone, batch).stages);
      return two!.map((bytes, at) => bytes - one![at]!);
    };
    const full = perImage();
    backbone.usePrecision("bfloat16");
    // The images, which the first convolution saves, are converted.
    const ofImages = [2 * 3 * 16 * 16];
    expect(perImage()).toEqual(full.map((bytes, at) => bytes / 2 + (ofImages[at] ?? 0)));
    const images = zeros([12, ...IMAGES]);
    const whole = storedBytesOf(() => forwardThrough(backbone.stages, images));
    expect(storedInModule(stored(backbone, 12), 0, backbone.stages.length)).toBe(whole);
  });
});

test("what is counted of a body: its result, what is saved, and what it does not let go", () => {
  scope(() => {
    const input = zeros([10, 10]).requiresGrad_();
    const other = zeros([10, 10]);
    expect(storedBytesOf(() => input.mul(other))).toBe(400); // the result; what is saved was there
    expect(storedBytesOf(() => input.exp().sum())).toBe(400 + 4); // saved for backward, and the result
    expect(storedBytesOf(() => other.exp().sum())).toBe(400 + 4); // not saved, not let go
    expect(storedBytesOf(() => scope(() => other.exp().sum()))).toBe(4);
    expect(storedBytesOf(() => scope(() => input.exp().sum()))).toBe(400 + 4);
  });
});

test("what is measured is training with recording on, whatever is on outside", () => {
  scope(() => {
    const backbone = makeBackbone({ model: "resnet18" });
    const trained = stored(backbone, 8);
    backbone.eval();
    expect(noGrad(() => stored(backbone, 8))).toEqual(trained);
  });
});

test("the first stage of a module saves nothing for a gradient that is not wanted", () => {
  scope(() => {
    const stage = (name: string) => {
      const linear = new nn.Linear(10, 10);
      // Saves its result where the input wants a gradient; the product is saved by the linear layer in any case.
      return new Stage(name, { [name]: linear }, (input) => linear.forward(input.exp().mul(2)));
    };
    const batch = 6;
    const vector = batch * 10 * 4;
    const { stages, first } = storedBytes(new Backbone([stage("one"), stage("two")], null), [10], batch, []);
    // The product and the output; the result of exp, or the input.
    expect(stages).toEqual([2 * vector, 3 * vector]);
    expect(first).toEqual([2 * vector, 3 * vector]);
    expect(storedInModule({ stages, first }, 0, 2)).toBe(5 * vector);
  });
});

/** What each module of a ResNet stores of 128 images, without and with heads of 1 convolution and 2 linear layers. */
function costs(model: "resnet32" | "resnet110", shape: ImageShape): Record<"stages" | "heads", ModuleCost> {
  const batch = 128;
  return scope(() => {
    const backbone = makeBackbone({ model, options: {}, inputShape: shape });
    const bytes = stored(backbone, batch, shape);
    const shapes = stageShapes(backbone, shape);
    const final = lastMapOf(shapes);
    const generator = new Generator(1);
    const byShape = new Map<string, number>();
    const headBytes = (shape: readonly number[]): number => {
      const key = shape.join();
      if (!byShape.has(key)) {
        const head = heads.auxiliary.create({}, { shape, final, classes: 10, outputs: "classes", generator })!;
        const bytes = perBatch(batch, (images) => {
          const hidden = zeros([images, ...shape]).requiresGrad_();
          return storedBytesOf(() => head.forward(hidden));
        });
        byShape.set(key, bytes);
      }
      return byShape.get(key)!;
    };
    const ofHeads = shapes.map((shape, at) => (at === shapes.length - 1 ? 0 : headBytes(shape)));
    const alone: ModuleCost = (from, end) => storedInModule(bytes, from, end);
    return { stages: alone, heads: (from, end) => alone(from, end) + ofHeads[end - 1]! };
  });
}

function largest(sizes: readonly number[], cost: ModuleCost): number {
  let from = 0;
  return Math.max(
    ...sizes.map((size) => {
      from += size;
      return cost(from - size, from);
    }),
  );
}

describe.each([
  { model: "resnet32", depth: 32, data: "CIFAR-10", shape: [3, 32, 32] },
  { model: "resnet110", depth: 110, data: "CIFAR-10", shape: [3, 32, 32] },
] as const)("$model on $data", ({ model, depth, data, shape }) => {
  const cost = costs(model, shape);
  const published = publishedMemoryCuts.filter((one) => one.depth === depth && one.data === data);

  test.each(published)("no module stores more than the largest of the published cuts $cuts", ({ sizes }) => {
    for (const of of Object.values(cost)) {
      const ours = balancedSizes(stageNames(depth).length, sizes.length, of);
      expect(largest(ours, of)).toBeLessThanOrEqual(largest(sizes, of));
    }
  });
});
