// The pooling rule against its published table and PyTorch's pooling, and the heads behind it.
import "../support/one-thread.js";
import { readFileSync } from "node:fs";
import { avgPool2d, Generator, scope, type Tensor, tensor } from "@stopgrad/torch";
import { describe, expect, test } from "vitest";
import { type Head, type HeadName, heads, POOLED_SIZE, pooledFlatten, poolingFor } from "../../src/heads/index.js";
import { expectClose } from "../support/compare.js";
import { figures, imagesOf, type Summary, setState, summaryError, summaryOf, values } from "../support/formula.js";
import { countParameters } from "../support/networks.js";

type Recorded = number[] | { summary: Summary };
/** What fixtures/record-losses.py wrote of heads. */
const { heads: recordedHeads } = JSON.parse(
  readFileSync(new URL("../fixtures/losses.json", import.meta.url), "utf8"),
) as {
  heads: {
    head: string;
    options: Record<string, unknown>;
    shape: number[];
    state: Record<string, number[]>;
    outputShape: number[];
    output: Recorded;
    gradient: Recorded;
    gradients: Record<string, Recorded>;
  }[];
};

// arXiv 2402.09050, released code: channels, side; kernel, padding, output (height x width), features.
const table = [
  [64, 32, "8x4", "0x0", "4x8", 2048],
  [128, 16, "4x4", "0x0", "4x4", 2048],
  [256, 8, "4x2", "0x0", "2x4", 2048],
  [512, 4, "2x2", "0x0", "2x2", 2048],
  [512, 2, "1x1", "0x0", "2x2", 2048],
  [512, 1, "1x1", "0x0", "1x1", 512],
  [256, 32, "16x8", "0x0", "2x4", 2048],
  [512, 16, "8x8", "0x0", "2x2", 2048],
  [1024, 8, "8x4", "0x0", "1x2", 2048],
  [2048, 4, "4x4", "0x0", "1x1", 2048],
  [64, 28, "8x4", "4x0", "4x7", 1792],
  [128, 14, "4x4", "2x2", "4x4", 2048],
  [256, 7, "4x2", "2x1", "2x4", 2048],
  [64, 16, "4x2", "0x0", "4x8", 2048],
  [6, 14, "1x1", "0x0", "14x14", 1176],
] as const;

describe("pooling rule", () => {
  test.each(table)("%i channels of side %i: kernel %s, padding %s, output %s, %i features", (c, side, ...expected) => {
    const { kernel, padding, output, features } = poolingFor(c, side, side);
    expect([kernel.join("x"), padding.join("x"), output.join("x"), features]).toEqual(expected);
  });

  test("what it predicts is what pooling gives, for every side up to 40 and many widths", () => {
    scope(() => {
      for (let side = 1; side <= 40; side++) {
        for (const channels of [1, 3, 8, 20, 64, 100, 512]) {
          const { kernel, padding, output, features } = poolingFor(channels, side, side);
          expect(features).toBe(channels * output[0] * output[1]);
          if (channels <= POOLED_SIZE) expect(features).toBeLessThanOrEqual(POOLED_SIZE);
          if (channels > 8) continue; // the map's shape does not depend on how many there are
          const pooled = avgPool2d(imagesOf("map", [1, 1, side, side]), kernel, { padding });
          expect(pooled.shape.slice(2)).toEqual(output);
        }
      }
    });
  });

  test("a map that fits is not pooled, and a vector is left alone", () => {
    expect(pooledFlatten([8, 16, 16]).layers.map((layer) => layer.constructor.name)).toEqual(["Flatten"]);
    expect(pooledFlatten([9, 16, 16]).layers.map((layer) => layer.constructor.name)).toEqual(["AvgPool2d", "Flatten"]);
    expect(pooledFlatten([3000])).toEqual({ layers: [], features: 3000 });
  });

  test("zeros of the padding count in the average", () => {
    scope(() => {
      // One channel group of constant 1 on 7 x 7, kernel 4 x 2, padding 2 x 1: the corner's window holds 2 x 1 pixels of
      // the image among 4 x 2.
      const { layers } = pooledFlatten([256, 7, 7]);
      const flat = layers.reduce((value, layer) => layer.forward(value), imagesOf("any", [1, 256, 7, 7]).fill_(1));
      expect(flat.shape).toEqual([1, 2048]);
      expect(flat.toNumbers().slice(0, 8)).toEqual([0.25, 0.5, 0.5, 0.5, 0.5, 1, 1, 1]);
    });
  });

  test.each(figures.pooling)("PyTorch's figures for $shape", ({ shape, kernel, padding, shapeOut, summary, first }) => {
    scope(() => {
      const { layers } = pooledFlatten(shape);
      const pooled = layers[0]!.forward(imagesOf("pooling", [1, ...shape]).add(1));
      expect(poolingFor(...shape)).toMatchObject({ kernel, padding });
      expect(pooled.shape).toEqual([1, ...shapeOut]);
      expectClose(pooled.toNumbers().slice(0, first.length), first, 1e-6);
      expect(summaryError(summaryOf(pooled), summary, pooled.numel)).toBeLessThan(1e-6);
    });
  });
});

const context = (shape: readonly number[], outputs: "classes" | "features" = "features", seed = 1) => ({
  shape,
  classes: 7,
  outputs,
  generator: new Generator(seed),
});
/** Heads that give class scores where a loss wants them. */
const classifying: readonly string[] = ["linear", "mlp", "auxiliary"];

describe.each(Object.entries(heads as Record<string, Head>))("%s", (name, head) => {
  const shapes = [[64, 28, 28], [6, 14, 14], [512, 4, 4], [120], [3000], [5, 24]];
  const cases = shapes.flatMap((shape) => (["classes", "features"] as const).map((outputs) => ({ shape, outputs })));

  test.each(cases)("on $shape, $outputs", ({ shape, outputs }) => {
    scope(() => {
      const make = (seed: number) => head.create(head.options.parse({}), context(shape, outputs, seed));
      if (outputs === "classes" && name !== "none" && !classifying.includes(name)) {
        expect(() => make(1)).toThrow(`head ${name}: expected a loss on features, got one on class scores`);
        return;
      }
      const made = make(1);
      if (name === "none") {
        expect(made).toBeNull();
        return;
      }
      const { features, layers } = pooledFlatten(shape);
      const pooling = layers.reduce((sum, layer) => sum + countParameters(layer), 0);
      const size = outputs === "classes" ? 7 : features;
      const [channels = 0] = shape;
      const vector = shape.at(-1)! ** 2;
      const isMap = shape.length === 3;
      const averaged = isMap ? channels : features;
      const expected: Record<string, number> = {
        linear: pooling + (features + 1) * size,
        mlp: pooling + (features + 1) * features + (features + 1) * size,
        conv: isMap ? (9 * channels + 1) * channels : vector,
        conv2: isMap ? 2 * (9 * channels + 1) * channels : vector,
        projection: (isMap ? 0 : pooling) + (averaged + 1) * averaged + (averaged + 1) * 128,
      };
      if (name in expected) expect(countParameters(made!)).toBe(expected[name]);
      const expectedShape: Record<string, number[]> = {
        conv: [...shape],
        conv2: [...shape],
        projection: [128],
        auxiliary: [outputs === "classes" ? 7 : 128],
      };
      const images = imagesOf("features", [3, ...shape]);
      const output = made!.forward(images);
      expect(output.shape).toEqual([3, ...(expectedShape[name] ?? [size])]);
      expect(make(1)!.forward(images).toNumbers()).toEqual(output.toNumbers());
      expect(make(2)!.forward(images).toNumbers()).not.toEqual(output.toNumbers());
    });
  });

  test("has options with defaults, a summary and a source", () => {
    expect(() => head.options.parse({})).not.toThrow();
    expect(() => head.options.parse({ layers: 3 })).toThrow(/layers/);
    expect(head.summary.length).toBeGreaterThan(10);
    expect(head.source).toBeTruthy();
  });
});

describe.each(recordedHeads)("PyTorch's figures: $head $options on $shape", (recorded) => {
  test("state names, output and gradients", () => {
    scope(() => {
      const head: Head = heads[recorded.head as HeadName];
      const made = head.create(head.options.parse(recorded.options), context(recorded.shape))!;
      const state = made.stateDict();
      expect(Object.fromEntries(Array.from(state, ([name, entry]) => [name, entry.shape]))).toEqual(recorded.state);
      setState(state);
      const features = imagesOf("features", [3, ...recorded.shape]).requiresGrad_();
      const output = made.forward(features);
      expect(output.shape).toEqual(recorded.outputShape);
      const probe = tensor(Float32Array.from(values("probe", output.numel)), { shape: output.shape });
      output.mul(probe).sum().backward();
      expectRecorded(output, recorded.output);
      expectRecorded(features.grad!, recorded.gradient);
      expect([...made.namedParameters()].map(([name]) => name)).toEqual(Object.keys(recorded.gradients));
      for (const [name, parameter] of made.namedParameters()) {
        expectRecorded(parameter.grad!, recorded.gradients[name]!);
      }
    });
  });
});

function expectRecorded(actual: Tensor, expected: Recorded): void {
  if (Array.isArray(expected)) expectClose(actual.toNumbers(), expected, 2e-6);
  else expect(summaryError(summaryOf(actual), expected.summary, actual.numel)).toBeLessThan(2e-6);
}

test.each([[[5, 4]], [[9]], [[3, 2, 2]]])("a linear map to features is square: %j", (shape) => {
  scope(() => {
    const { features } = pooledFlatten(shape);
    const made = heads.linear.create({}, context(shape))!;
    expect(
      made
        .parameters()
        .slice(-2)
        .map((parameter) => parameter.shape),
    ).toEqual([[features, features], [features]]);
  });
});

test("mlp is D → D, ReLU, D → outputs", () => {
  scope(() => {
    const made = heads.mlp.create({}, { ...context([4], "classes"), classes: 3 })!;
    const [w1, b1, w2, b2] = made.parameters().map((parameter) => parameter.toNumbers());
    const x = [0.5, -1, 2, 0.25];
    const hidden = b1!.map((bias, i) => x.reduce((sum, v, j) => sum + w1![i * 4 + j]! * v, bias));
    expect(hidden.some((v) => v < 0) && hidden.some((v) => v > 0)).toBe(true);
    const expected = b2!.map((bias, i) => hidden.reduce((sum, v, j) => sum + w2![i * 4 + j]! * Math.max(0, v), bias));
    expectClose(made.forward(tensor([x])).toNumbers(), expected, 1e-6);
  });
});
