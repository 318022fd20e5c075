// Gradient checkpointing computes activations again and changes nothing else: weights, running statistics and the
// generator of dropout are the ordinary run's bit for bit, with less in memory.
import "../support/one-thread.js";
import { Generator, memory, resetPeakBytes, scope } from "@stopgrad/torch";
import { beforeAll, describe, expect, test } from "vitest";
import { Stage } from "../../src/models/index.js";
import { cutIntoSegments, RecomputedPass, usualSegments } from "../../src/rules/recomputed.js";
import { differing, snapshot } from "../support/compare.js";
import { makeBatch, makeRule, type RuleSetup } from "../support/networks.js";

const models: Record<string, RuleSetup> = {
  "resnet18 with dropout": { model: "resnet18", options: { width: 6, dropout: 0.2 } },
  "vgg11, layer-wise form": { model: "vgg11", options: { width: 6, form: "layer-wise" } },
  vit: { model: "vit", options: { width: 6, dropout: 0.2 } },
  "resnet20 with context": {
    model: "resnet20",
    options: { width: 4, dropout: 0.2 },
    context: { fromInput: true, previousModules: 1 },
  },
  "resnet20 with recomputed context": {
    model: "resnet20",
    options: { width: 4, dropout: 0.2 },
    context: { fromInput: true, previousModules: 1, recompute: true },
  },
};
const SEGMENTS: RuleSetup["segments"][] = [1, 2, 3, "square-root", 99];

const cases = Object.entries(models).flatMap(([name, setup]) =>
  (setup.context ? [2, 4] : [1, 2]).map((partition) => ({ name, partition, setup: { ...setup, partition } })),
);

/** What a run of three steps gives. */
function trained(setup: RuleSetup) {
  const dropout = new Generator(5);
  const rule = makeRule({ ...setup, dropoutGenerator: dropout });
  const results = [0, 1, 2].map((at) => scope(() => rule.step(makeBatch(at))));
  const state = scope(() => snapshot(new Map([...rule.stateDict(), ["generator", dropout.getState()]])));
  rule.dispose();
  return { results, state };
}

describe.each(cases)("$name, K = $partition", ({ setup }) => {
  let ordinary: ReturnType<typeof trained>;
  beforeAll(() => {
    ordinary = trained(setup);
  });

  test("draws masks and moves statistics", () => {
    const names = [...ordinary.state.keys()];
    expect(names.some((name) => name.endsWith("running_var"))).toBe(setup.model !== "vit");
    const untouched = scope(() => snapshot(new Map([["generator", new Generator(5).getState()]])));
    expect(differing(untouched, new Map([["generator", ordinary.state.get("generator")!]]))).toEqual(["generator"]);
  });

  test.each(SEGMENTS)("%s segments: the same bits", (segments) => {
    const found = trained({ ...setup, segments: segments! });
    expect(found.results).toEqual(ordinary.results);
    expect(differing(ordinary.state, found.state)).toEqual([]);
  });
});

test("with nHSIC and a decoder: the same bits", () => {
  const setup: RuleSetup = {
    ...models["resnet20 with context"]!,
    partition: 3,
    nhsic: { with: "module-input" },
    reconstruction: { first: { reconstruction: 2, label: 1 }, last: { reconstruction: 1, label: 1 } },
  };
  const [ordinary, found] = [trained(setup), trained({ ...setup, segments: 2 })];
  expect(found.results).toEqual(ordinary.results);
  expect(differing(ordinary.state, found.state)).toEqual([]);
});

describe("memory", () => {
  const BATCH = 32;
  const SIDE = 32;

  /** Most bytes of the third step beyond what is alive between steps. */
  function activationBytes(setup: RuleSetup): number {
    return scope(() => {
      const rule = makeRule({ ...setup, inputShape: [3, SIDE, SIDE] });
      const batch = makeBatch(0, BATCH, [3, SIDE, SIDE]);
      for (let step = 0; step < 2; step++) rule.step(batch);
      resetPeakBytes();
      const before = memory().liveBytes;
      rule.step(batch);
      const { liveBytes, peakBytes } = memory();
      expect(liveBytes).toBe(before);
      rule.dispose();
      return peakBytes - before;
    });
  }

  test.each(Object.keys(models))("%s: less in memory than the ordinary step, in a module of many stages", (name) => {
    const setup = { ...models[name]!, partition: models[name]!.context ? 2 : 1 };
    const [ordinary, one, usual] = ([null, 1, "square-root"] as const).map((segments) =>
      activationBytes({ ...setup, segments }),
    );
    expect(one).toBe(ordinary);
    // Where images are large the first stages store most of it, which a segment of theirs does as well.
    expect(usual).toBeLessThan(0.9 * ordinary!);
  });

  test("by hand: a stem and three equal blocks", () => {
    // A map here is [32, 4, 32, 32] float32. A block of the first group stores 4 maps (both convolutions' outputs, the
    // inner activation, its output), the stem 2: the first module 14. In two segments of two stages the first one's
    // output is kept beside the second one's 8; while the first is computed again, it is its own 6 and that output.
    const MAP = BATCH * 4 * SIDE * SIDE * 4;
    const setup: RuleSetup = { model: "resnet20", options: { width: 4 }, partition: { cuts: [4] } };
    const [ordinary, two] = [null, 2].map((segments) => activationBytes({ ...setup, segments }));
    const passing = 5; // gradients at once in a block's backward, see memory.test.ts
    expect(ordinary).toBeGreaterThan(14 * MAP);
    expect(ordinary).toBeLessThan((14 + passing) * MAP);
    expect(two).toBeGreaterThan((1 + 8) * MAP);
    expect(two).toBeLessThan((1 + 8 + passing) * MAP);
  });

  test("an input of a segment is let go when the segment is done", () => {
    const rule = makeRule({ model: "resnet20", options: { width: 4 } });
    const stages = rule.backbone.stages.slice(0, 4); // maps of one size, as the stem's
    const map = 8 * 4 * 16 * 16 * 4;
    scope(() => {
      const pass = new RecomputedPass(cutIntoSegments(stages, 4), new Generator(1));
      const output = pass.forward(makeBatch(0).images, false);
      output.sum().backward();
      const before = memory().liveBytes;
      pass.backward();
      for (const parameter of rule.backbone.parameters()) parameter.grad = null;
      // Of the inputs of segments 2 to 4 and the gradient of the last of them, all but that last input, which the graph of
      // `output` holds. What remains beside it is a state of the generator.
      expect(before - memory().liveBytes).toBeGreaterThanOrEqual(3 * map - 8192);
    });
    rule.dispose();
  });
});

describe("segments", () => {
  const stages = (count: number) => Array.from({ length: count }, (_, at) => new Stage(`s${at}`, {}, (input) => input));
  const sizes = (count: number, segments: number) =>
    cutIntoSegments(stages(count), segments).map((segment) => segment.map(({ name }) => name).join(""));

  test("are consecutive, as equal as can be, and never empty", () => {
    expect(sizes(4, 2)).toEqual(["s0s1", "s2s3"]);
    expect(sizes(5, 2)).toEqual(["s0s1", "s2s3s4"]);
    expect(sizes(3, 9)).toEqual(["s0", "s1", "s2"]);
    for (let count = 1; count <= 12; count++) {
      for (let segments = 1; segments <= 14; segments++) {
        const found = cutIntoSegments(stages(count), segments);
        expect(found.flat().map(({ name }) => name)).toEqual(stages(count).map(({ name }) => name));
        const lengths = found.map(({ length }) => length);
        expect(found).toHaveLength(Math.min(count, segments));
        expect(Math.max(...lengths) - Math.min(...lengths)).toBeLessThanOrEqual(1);
      }
    }
  });

  test("are √stages, rounded up, unless said", () => {
    expect([1, 2, 4, 5, 9, 10, 55].map(usualSegments)).toEqual([1, 2, 2, 3, 3, 4, 8]);
  });
});
