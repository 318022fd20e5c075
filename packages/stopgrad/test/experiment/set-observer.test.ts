// Measures of a set of images on every stage of a network: what the measure says of the stage's own output, the network as
// it was, and pairs that were not asked for left out.
import "../support/one-thread.js";
import { Generator, memory, noGrad, rand, scope, tensor } from "@stopgrad/torch";
import { expect, it } from "vitest";
import { normalisationOf, slice, type TensorSet } from "../../src/data/loader.js";
import { SetObserver } from "../../src/experiment/set-observer.js";
import { geometry } from "../../src/measures/geometry.js";
import { ksg } from "../../src/measures/mutual-information/index.js";
import { makeRule } from "../support/networks.js";

const set: TensorSet = scope(() => {
  const labels = tensor(BigInt64Array.from({ length: 40 }, (_, at) => BigInt((at * 7) % 4)));
  const brightness = labels.to("float32").mul(50).add(30).reshape([40, 1, 1, 1]);
  const images = rand([40, 3, 8, 8], { generator: new Generator(1) })
    .mul(40)
    .add(brightness)
    .to("uint8");
  return { images, labels, count: 40 };
});
const normalisation = normalisationOf({ mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25] });
const sample = { set, count: 30, normalisation, classes: 4 };

const network = () =>
  makeRule({ model: "resnet20", options: { width: 4 }, inputShape: [3, 8, 8], classes: 4, partition: 1 });

it("says of each stage what the measure says of its output", () => {
  const rule = network();
  const options = geometry.options.parse({});
  const live = memory().liveTensors;
  rule.backbone.train();
  const found = new SetObserver(geometry, options, sample).observe(rule);
  expect(rule.backbone.training).toBe(true);
  expect(memory().liveTensors).toBe(live);
  rule.backbone.eval();
  const expected = noGrad(() =>
    scope(() => {
      const { images, labels } = slice(set, 0, 30, normalisation);
      return rule.readStages(images, (z) => geometry.measure({ z, x: images, labels }, options));
    }),
  );
  const names = rule.backbone.stages.map(({ name }) => name);
  expect(found.map(({ stage, key }) => [stage, key])).toEqual(
    names.flatMap((stage) => geometry.keys.map(({ key }) => [stage, key])),
  );
  for (const { stage, key, value, problem } of found) {
    expect(problem).toBeNull();
    expect(value).toBeCloseTo(expected[names.indexOf(stage)]![key]!.value, 6);
  }
  rule.dispose();
});

it("leaves out what was not asked for, and says of each stage its own problem", () => {
  const rule = network();
  const observe = (options: object) =>
    new SetObserver(ksg, { ...ksg.options.parse({}), ...options }, sample).observe(rule);
  const wide = observe({ pairs: "labels", largestDimension: 10_000 });
  expect(new Set(wide.map(({ key }) => key))).toEqual(new Set(["ksgYZ"]));
  for (const { value, problem } of wide) {
    expect(problem).toBeNull();
    expect(Number.isFinite(value)).toBe(true);
  }
  const narrow = observe({ pairs: "labels", largestDimension: 100 });
  for (const { key, value, problem } of narrow) {
    if (Number.isNaN(value)) expect(problem).toMatch(/features/);
    else expect([key, problem]).toEqual(["ksgYZ", null]);
  }
  expect(narrow.some(({ value }) => Number.isNaN(value))).toBe(true);
  rule.dispose();
});
