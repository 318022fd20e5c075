// What is told of the label and of the image by features of which it is known: the label itself, noise, the image,
// nothing.
import { cat, Generator, oneHot, ones, rand, randint, randn, scope, type Tensor, tensor } from "@stopgrad/torch";
import { describe, expect, it } from "vitest";
import { MeasureError } from "../../src/measures/index.js";
import { information } from "../../src/measures/information.js";
import "../support/one-thread.js";

interface Images {
  readonly pixels: Tensor;
  readonly labels: Tensor;
}

const BATCH = 64;

/** Fits on `train` for some epochs in the given order and scores on `test`. */
function told(shape: number[], features: (images: Images) => Tensor, train: Images, test: Images, epochs = 10) {
  return scope(() => {
    const image = train.pixels.shape.slice(1);
    const stage = { shape, final: [8, 4, 4], image, classes: 10, device: "cpu" };
    const fit = information.begin(stage, { learningRate: 1e-2 });
    const [ofTrain, ofTest] = [features(train), features(test)];
    const batches = ({ pixels, labels }: Images, output: Tensor, show: (batch: typeof given) => void) => {
      for (let at = 0; at < labels.size(0); at += BATCH) {
        scope(() => {
          const count = Math.min(BATCH, labels.size(0) - at);
          const rows = (values: Tensor) => values.narrow(0, at, count);
          show({ output: rows(output), pixels: rows(pixels), labels: rows(labels) });
        });
      }
    };
    let given: { output: Tensor; pixels: Tensor; labels: Tensor };
    for (let epoch = 0; epoch < epochs; epoch++) batches(train, ofTrain, (batch) => fit.learn(batch, epoch / epochs));
    batches(test, ofTest, (batch) => fit.score(batch));
    const result = fit.result();
    fit.dispose();
    return result;
  });
}

/** Pixels that are each 1 with a probability of their channel and place, and labels that have nothing to do with them. */
function madeImages(count: number, seed: number, means: Tensor): Images {
  const generator = new Generator(seed);
  const pixels = rand([count, ...means.shape], { generator })
    .lt(means)
    .to("float32");
  return { pixels, labels: randint(0, 10, [count], { generator }) };
}

const binaryEntropy = (p: number) => -p * Math.log(p) - (1 - p) * Math.log(1 - p);
const entropyOfLabels = (labels: Tensor) => {
  const counts = Array<number>(10).fill(0);
  for (const label of labels.toNumbers()) counts[label]! += 1;
  return counts.reduce((sum, n) => sum - (n / labels.size(0)) * Math.log(n / labels.size(0)), 0);
};

describe("information", () => {
  const places = rand([2, 8, 8], { generator: new Generator(9) })
    .mul(0.8)
    .add(0.1);
  const uniform = tensor([0.2, 0.7]).reshape([2, 1, 1]).expand([2, 8, 8]).contiguous();
  const train = madeImages(768, 1, places);
  const test = madeImages(512, 2, places);

  it("of the label itself: all of it, and nothing of the image", () => {
    const result = told([10], ({ labels }) => oneHot(labels, 10).to("float32"), train, test);
    expect(result.informationAccuracy).toBe(1);
    const entropy = entropyOfLabels(test.labels);
    expect(result.informationY).toBeGreaterThan(entropy - 0.02);
    expect(result.informationY).toBeLessThanOrEqual(entropy);
  });

  it("of noise: none, and images no better than their mean", () => {
    const generator = new Generator(5);
    const result = told([6], ({ labels }) => randn([labels.size(0), 6], { generator }), train, test, 3);
    expect(result.informationAccuracy).toBeLessThan(0.16); // chance 0.1, its standard error on 512 images 0.013
    expect(result.informationY).toBeLessThan(0.02);
    expect(result.informationY).toBeGreaterThan(-0.3);
  });

  it("of a constant vector: the entropy of the mean image, pixel by pixel", () => {
    const result = told([3], ({ labels }) => ones([labels.size(0), 3]).mul(7), train, test, 40);
    const expected = places.toNumbers().reduce((sum, p) => sum + binaryEntropy(p), 0) / places.numel;
    expect(result.reconstructionError).toBeGreaterThan(expected - 0.01);
    expect(result.reconstructionError).toBeLessThan(expected + 0.01);
    expect(result.informationY).toBeLessThan(0.01);
  });

  it("of a constant map: the entropy of each channel's mean where places are alike", () => {
    const [one, other] = [madeImages(768, 3, uniform), madeImages(512, 4, uniform)];
    const result = told([4, 4, 4], ({ labels }) => ones([labels.size(0), 4, 4, 4]), one, other);
    const expected = (binaryEntropy(0.2) + binaryEntropy(0.7)) / 2;
    expect(result.reconstructionError).toBeGreaterThan(expected - 0.01);
    expect(result.reconstructionError).toBeLessThan(expected + 0.01);
  });

  it("of the image: nearly all of it as a map, as a vector and as tokens", () => {
    const asMap = told([2, 8, 8], ({ pixels }) => pixels.mul(1000).sub(300), train, test, 20);
    expect(asMap.reconstructionError).toBeLessThan(0.05);
    const asVector = told([128], ({ pixels }) => pixels.flatten(1), train, test, 60);
    expect(asVector.reconstructionError).toBeLessThan(0.2); // of 0.55
    const tokens = ({ pixels }: Images) => {
      const patches = pixels.flatten(2).transpose(1, 2); // [N, 64, 2]
      return cat([ones([patches.size(0), 1, 2]), patches], 1);
    };
    expect(told([65, 2], tokens, train, test, 20).reconstructionError).toBeLessThan(0.05);
  });

  it("does not depend on the scale of features, nor on draws but its own", () => {
    const scaled = (by: number) => told([128], ({ pixels }) => pixels.flatten(1).mul(by), train, test, 2);
    expect(scaled(1)).toEqual(scaled(1));
    for (const [key, value] of Object.entries(scaled(1024))) expect(scaled(1)[key]).toBeCloseTo(value, 3);
  });

  it("a map of one pixel is a vector", () => {
    const labelsOf = ({ labels }: Images) => oneHot(labels, 10).to("float32");
    const vector = told([10], labelsOf, train, test, 2);
    expect(told([10, 1, 1], (images) => labelsOf(images).reshape([-1, 10, 1, 1]), train, test, 2)).toEqual(vector);
  });

  it("refuses NaN", () => {
    expect(() => told([3], ({ labels }) => ones([labels.size(0), 3]).mul(Number.NaN), train, test, 1)).toThrow(
      MeasureError,
    );
  });
});
