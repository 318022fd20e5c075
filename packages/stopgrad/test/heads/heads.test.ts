// The pooling rule against its published table and PyTorch's pooling, and the heads behind it.
import "../support/one-thread.js";
import { avgPool2d, Generator, scope, tensor } from "@stopgrad/torch";
import { describe, expect, test } from "vitest";
import { type Head, heads, POOLED_SIZE, pooledFlatten, poolingFor } from "../../src/heads/index.js";
import { expectClose } from "../support/compare.js";
import { figures, imagesOf, summaryError, summaryOf } from "../support/formula.js";
import { countParameters } from "../support/networks.js";

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

describe.each(Object.entries(heads as Record<string, Head>))("%s", (name, head) => {
  const shapes = [[64, 28, 28], [6, 14, 14], [512, 4, 4], [120], [3000]];

  test.each(shapes.map((shape) => [shape]))("on [%s]", (shape) => {
    scope(() => {
      const { features } = pooledFlatten(shape);
      const make = (seed: number) =>
        head.create(head.options.parse({}), { shape, outputs: 7, generator: new Generator(seed) });
      const made = make(1);
      if (name === "none") {
        expect(made).toBeNull();
        return;
      }
      const expected: Record<string, number> = {
        linear: (features + 1) * 7,
        mlp: (features + 1) * features + (features + 1) * 7,
      };
      if (name in expected) expect(countParameters(made!)).toBe(expected[name]);
      const images = imagesOf("features", [3, ...shape]);
      const output = made!.forward(images);
      expect(output.shape).toEqual([3, 7]);
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

test("mlp is D → D, ReLU, D → outputs", () => {
  scope(() => {
    const made = heads.mlp.create({}, { shape: [4], outputs: 3, generator: new Generator(1) })!;
    const [w1, b1, w2, b2] = made.parameters().map((parameter) => parameter.toNumbers());
    const x = [0.5, -1, 2, 0.25];
    const hidden = b1!.map((bias, i) => x.reduce((sum, v, j) => sum + w1![i * 4 + j]! * v, bias));
    expect(hidden.some((v) => v < 0) && hidden.some((v) => v > 0)).toBe(true);
    const expected = b2!.map((bias, i) => hidden.reduce((sum, v, j) => sum + w2![i * 4 + j]! * Math.max(0, v), bias));
    expectClose(made.forward(tensor([x])).toNumbers(), expected, 1e-6);
  });
});
