// The decoder beside PyTorch's (fixtures/record-infopro.py), its published parameter counts, what is known of its error in
// closed form, and the way back from normalised images to pixels.
import "../support/one-thread.js";
import { readFileSync } from "node:fs";
import { Generator, memory, noGrad, scope, type Tensor, tensor, zeros } from "@stopgrad/torch";
import { describe, expect, test } from "vitest";
import { normalisationOf, normalise } from "../../src/data/loader.js";
import { inPrecision, layOutFor } from "../../src/models/precision.js";
import { ReconstructionDecoder, toPixels } from "../../src/reconstruction/index.js";
import { expectClose } from "../support/compare.js";
import { imagesOf, type Summary, setState, summaryError, summaryOf } from "../support/formula.js";
import { countParameters } from "../support/networks.js";

type Recorded = number[] | { summary: Summary };
/** What fixtures/record-infopro.py wrote of decoders. */
const { decoders } = JSON.parse(readFileSync(new URL("../fixtures/infopro.json", import.meta.url), "utf8")) as {
  decoders: {
    shape: number[];
    image: number[];
    widen: number;
    loss: number;
    state: Record<string, number[]>;
    output: Recorded;
    gradient: Recorded;
    gradients: Record<string, Recorded>;
    buffers: Record<string, Recorded>;
    evaluated: Recorded;
  }[];
};

const make = (shape: readonly number[], image: readonly number[] = [3, 32, 32], options = {}, seed = 1) =>
  new ReconstructionDecoder(shape, image, new Generator(seed), options);

function expectRecorded(actual: Tensor, expected: Recorded): void {
  if (Array.isArray(expected)) expectClose(actual.toNumbers(), expected, 1e-11);
  else expect(summaryError(summaryOf(actual), expected.summary, actual.numel)).toBeLessThan(1e-11);
}

describe.each(decoders)("PyTorch's figures: $shape to $image, widen $widen", (recorded) => {
  test("state names, images, error, gradients, running statistics, evaluation", () => {
    scope(() => {
      const { shape, image, widen } = recorded;
      const decoder = make(shape, image, { widen });
      const state = decoder.stateDict();
      expect(Object.fromEntries(Array.from(state, ([name, entry]) => [name, entry.shape]))).toEqual(recorded.state);
      setState(state);
      decoder.to("float64");
      const features = imagesOf("features", [3, ...shape])
        .to("float64")
        .requiresGrad_();
      const images = imagesOf("images", [3, ...image])
        .to("float64")
        .add(2)
        .mul(0.25);
      const loss = decoder.loss(features, images);
      expectClose([loss.item()], [recorded.loss], 1e-12);
      loss.backward();
      expectRecorded(features.grad!, recorded.gradient);
      expect([...decoder.namedParameters()].map(([name]) => name)).toEqual(Object.keys(recorded.gradients));
      for (const [name, parameter] of decoder.namedParameters()) {
        expectRecorded(parameter.grad!, recorded.gradients[name]!);
      }
      for (const [name, expected] of Object.entries(recorded.buffers)) {
        expectRecorded(decoder.stateDict().get(name)!, expected);
      }
      expectRecorded(decoder.eval().forward(features), recorded.evaluated);
      expectRecorded(decoder.train().forward(features), recorded.output);
    });
  });
});

// arXiv 2101.10832: (9 c + 1) 12 + 2 · 12 + (9 · 12 + 1) 3
test.each([
  [16, 2091],
  [32, 3819],
  [64, 7275],
])("%i channels: %i parameters", (channels, count) => {
  scope(() => expect(countParameters(make([channels, 8, 8]))).toBe(count));
});

/** The error of a decoder whose output is `logit` everywhere. */
function constantError(logit: number, images: Tensor): number {
  const decoder = make([4, 2, 2], [3, 5, 5]);
  noGrad(() => {
    decoder.conv2.weight.fill_(0);
    decoder.conv2.bias!.fill_(logit);
  });
  return decoder.loss(imagesOf("features", [2, 4, 2, 2]), images).item();
}

describe("the error", () => {
  const images = () => imagesOf("images", [2, 3, 5, 5]).add(2).mul(0.25);

  test("of one half everywhere is ln 2, whatever the images", () => {
    scope(() => {
      for (const pixels of [images(), zeros([2, 3, 5, 5]), zeros([2, 3, 5, 5]).add(1)]) {
        expectClose([constantError(0, pixels)], [Math.LN2], 1e-6);
      }
    });
  });

  test("of p everywhere is −m ln p − (1 − m) ln (1 − p) with m the images' mean", () => {
    scope(() => {
      const pixels = images();
      const mean = pixels.mean().item();
      const p = 1 / (1 + Math.exp(-1.5));
      expectClose([constantError(1.5, pixels)], [-mean * Math.log(p) - (1 - mean) * Math.log(1 - p)], 1e-6);
    });
  });

  test("of a hopelessly wrong output is its logit, where probabilities would be cut off", () => {
    scope(() => expectClose([constantError(300, zeros([2, 3, 5, 5]))], [300], 1e-6));
  });

  test("is that of the images it gives", () => {
    scope(() => {
      const decoder = make([4, 3, 3], [3, 6, 6]);
      const features = imagesOf("features", [2, 4, 3, 3]);
      const pixels = imagesOf("images", [2, 3, 6, 6]).add(2).mul(0.25);
      const given = decoder.forward(features).toNumbers();
      expect(Math.min(...given)).toBeGreaterThan(0);
      expect(Math.max(...given)).toBeLessThan(1);
      const wanted = pixels.toNumbers();
      const sum = given.reduce((s, p, i) => s - wanted[i]! * Math.log(p) - (1 - wanted[i]!) * Math.log(1 - p), 0);
      expectClose([decoder.loss(features, pixels).item()], [sum / given.length], 1e-6);
    });
  });

  test("sends no gradient into the images", () => {
    scope(() => {
      const [decoder, features] = [make([4, 3, 3], [3, 6, 6]), imagesOf("features", [2, 4, 3, 3]).requiresGrad_()];
      const pixels = imagesOf("images", [2, 3, 6, 6]).add(2).mul(0.25).detach().requiresGrad_();
      decoder.loss(features, pixels).backward();
      expect(pixels.grad).toBeNull();
      expect(features.grad!.abs().sum().item()).toBeGreaterThan(0);
    });
  });
});

test("corner pixels keep their values and those between are divided evenly", () => {
  scope(() => {
    // Weights that pass the one channel on: the centre of the first convolution, batch norm of evaluation with no
    // statistics, the centre of the second.
    const decoder = make([1, 2, 2], [1, 3, 4]).eval();
    noGrad(() => {
      for (const conv of [decoder.conv1, decoder.conv2]) {
        conv.weight.fill_(0);
        conv.bias!.fill_(0);
        conv.weight.select(0, 0).select(0, 0).select(0, 1).select(0, 1).fill_(1);
      }
    });
    const features = tensor([
      [
        [
          [1, 4],
          [3, 9],
        ],
      ],
    ]);
    // Rows: 1 to 4 in thirds, 3 to 9 in thirds, and their means between.
    const resized = [1, 2, 3, 4, 2, 3.5, 5, 6.5, 3, 5, 7, 9];
    const expected = resized.map((value) => 1 / (1 + Math.exp(-value / Math.sqrt(1 + 1e-5))));
    expectClose(decoder.forward(features).toNumbers(), expected, 1e-6);
  });
});

test("convolutions start normal by fan-out, biases as PyTorch's", () => {
  scope(() => {
    const { conv1, conv2 } = make([64, 8, 8]);
    for (const [conv, outputs, inputs] of [
      [conv1, 12, 64],
      [conv2, 3, 12],
    ] as const) {
      const entries = conv.weight.toNumbers();
      const deviation = Math.sqrt(entries.reduce((sum, v) => sum + v * v, 0) / entries.length);
      expect(Math.abs(deviation / Math.sqrt(2 / (9 * outputs)) - 1)).toBeLessThan(5 / Math.sqrt(2 * entries.length));
      const biases = conv.bias!.toNumbers().map(Math.abs);
      expect(Math.max(...biases)).toBeLessThanOrEqual(1 / Math.sqrt(9 * inputs));
      expect(Math.min(...biases)).toBeGreaterThan(0);
    }
    const entries = (seed: number) => make([4, 2, 2], [3, 4, 4], {}, seed).conv1.weight.toNumbers();
    expect(entries(2)).toEqual(entries(2));
    expect(entries(2)).not.toEqual(entries(3));
  });
});

test("leaves nothing behind but what it gives", () => {
  scope(() => {
    const [decoder, features] = [make([4, 3, 3], [3, 6, 6]), imagesOf("features", [2, 4, 3, 3])];
    const pixels = zeros([2, 3, 6, 6]);
    noGrad(() => {
      const before = memory().liveTensors;
      decoder.loss(features, pixels);
      expect(memory().liveTensors - before).toBe(1);
      decoder.forward(features);
      expect(memory().liveTensors - before).toBe(2);
    });
  });
});

test("takes features in 16 bits: error and gradients of 32, near those of 32", () => {
  scope(() => {
    const [half, full] = [make([8, 4, 4], [3, 8, 8]), make([8, 4, 4], [3, 8, 8])];
    layOutFor("bfloat16", half);
    const features = imagesOf("features", [4, 8, 4, 4]).to("bfloat16");
    const pixels = imagesOf("images", [4, 3, 8, 8]).add(2).mul(0.25);
    const loss = inPrecision("bfloat16", () => half.loss(features, pixels));
    expect(loss.dtype).toBe("float32");
    expectClose([loss.item()], [full.loss(features.to("float32"), pixels).item()], 0.02);
    loss.backward();
    for (const parameter of half.parameters()) expect(parameter.grad?.dtype).toBe("float32");
  });
});

test("sums the error of features in 16 bits in 32", () => {
  scope(() => {
    const decoder = make([4, 2, 2], [3, 5, 5]);
    noGrad(() => {
      decoder.conv2.weight.fill_(0);
      decoder.conv2.bias!.fill_(0);
    });
    const pixels = imagesOf("images", [2, 3, 5, 5]).add(2).mul(0.25);
    const error = inPrecision("bfloat16", () => decoder.loss(imagesOf("features", [2, 4, 2, 2]), pixels));
    expectClose([error.item()], [Math.LN2], 1e-6);
  });
});

test("vectors, tokens and other maps than the decoder was made for are refused", () => {
  scope(() => {
    const needs = "; a decoder needs modules that end in feature maps";
    expect(() => make([120])).toThrow(`reconstruction: expected features [C, H, W], got [120]${needs}`);
    expect(() => make([17, 64])).toThrow(`reconstruction: expected features [C, H, W], got [17, 64]${needs}`);
    expect(() => make([4, 2, 2], [10])).toThrow("reconstruction: expected images [C, H, W], got [10]");
    const decoder = make([4, 2, 2]);
    const message = "reconstruction: expected features [N, 4, 2, 2], got [5, 4, 2, 3]";
    expect(() => decoder.forward(zeros([5, 4, 2, 3]))).toThrow(message);
    expect(() => decoder.loss(zeros([5, 4, 2, 3]), zeros([5, 3, 32, 32]))).toThrow(message);
    expect(() => decoder.loss(zeros([5, 4, 2, 2]), zeros([5, 3, 16, 16]))).toThrow(/\[5, 3, 16, 16\]/);
  });
});

describe("toPixels", () => {
  const normalisation = () => normalisationOf({ mean: [0.49, 0.48, 0.45], std: [0.25, 0.24, 0.26] });
  const bytes = () =>
    tensor(
      Uint8Array.from({ length: 2 * 3 * 128 }, (_, at) => at % 256),
      { shape: [2, 3, 8, 16] },
    );

  test("undoes the normalisation, for every byte", () => {
    scope(() => {
      const seen = normalise(bytes(), normalisation());
      const pixels = toPixels(seen, normalisation());
      expect(pixels.shape).toEqual([2, 3, 8, 16]);
      expectClose(
        pixels.toNumbers(),
        bytes()
          .toNumbers()
          .map((byte) => byte / 255),
        2e-7,
      );
      expect(Math.min(...pixels.toNumbers())).toBeGreaterThanOrEqual(0);
      expect(Math.max(...pixels.toNumbers())).toBeLessThanOrEqual(1);
    });
  });

  test("stays in [0, 1], leaves its input alone and nothing else behind", () => {
    scope(() => {
      const [how, seen] = [normalisation(), imagesOf("images", [2, 3, 4, 4]).mul(9).requiresGrad_()];
      const values = seen.toNumbers();
      const before = memory().liveTensors;
      const pixels = toPixels(seen, how);
      expect(memory().liveTensors - before).toBe(1);
      expect(pixels.requiresGrad).toBe(false);
      expect(Math.min(...pixels.toNumbers())).toBe(0);
      expect(Math.max(...pixels.toNumbers())).toBe(1);
      expect(seen.toNumbers()).toEqual(values);
    });
  });
});
