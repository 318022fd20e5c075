// `match: inference`: the width whose multiply-adds are nearest to those of the network with its contexts, against counts
// by hand and a search through all widths.
import "../support/one-thread.js";
import { Generator, memory } from "@stopgrad/torch";
import { describe, expect, test } from "vitest";
import { createRule } from "../../src/experiment/create-rule.js";
import { documentFromText } from "../../src/experiment/document.js";
import { matchedSettings } from "../../src/experiment/match-cost.js";
import { settingsSchema } from "../../src/experiment/registries.js";
import type { RunSettings } from "../../src/experiment/run-settings.js";
import { trainingData } from "../support/networks.js";

const SIDE = 32;
const images = { shape: [3, SIDE, SIDE], classes: 10 };
const training = trainingData({ model: "resnet20", inputShape: [3, SIDE, SIDE] });

function settingsOf(lines: string, width = 8): RunSettings {
  const text = `data: cifar10\nmodel: { name: resnet20, width: ${width} }\nepochs: 1\nobjective: { head: 1c2f }\n${lines}\n`;
  return settingsSchema.expand(documentFromText(text, "x.yaml")).runs[0]!;
}

const matched = (lines: string, width?: number) => matchedSettings(settingsOf(lines, width), images, training);

/** Multiply-adds of ResNet-20 of a width for one image, by hand. */
function backboneCost(w: number): number {
  const pixels = (group: number) => (SIDE / 2 ** group) ** 2;
  const stem = 9 * 3 * w * pixels(0);
  const first = 6 * 9 * w * w * pixels(0);
  // The first block of a later group comes from half the channels and has a 1 x 1 convolution as its shortcut.
  const later = (group: number) => {
    const c = w * 2 ** group;
    return ((9 * c * c) / 2 + 5 * 9 * c * c + (c * c) / 2) * pixels(group);
  };
  return stem + first + later(1) + later(2) + 4 * w * 10;
}

/** Of an encoder to `channels`. */
const encoder = (channels: number) => 9 * (3 * 12 + 12 * channels) * SIDE * SIDE;
/** Of a 1 x 1 convolution on maps of `side`. */
const transfer = (from: number, to: number, side: number) => from * to * side * side;

/** What stands before modules 2 to 4 of K = 4 at width w: channels and side. */
const cutsOf = (w: number): [number, number][] => [
  [w, SIDE],
  [2 * w, SIDE / 2],
  [4 * w, SIDE / 4],
];
const CUTS = "partition: { cuts: [3, 6, 8] }\n";

/** Of contexts of a topology. */
function contextCost(w: number, encodes: boolean, previous: number): number {
  const cuts = cutsOf(w);
  return cuts.reduce((sum, [channels], at) => {
    const ofInput = encodes ? encoder(channels) : 0;
    let ofSlots = 0;
    for (let slot = 0; slot < previous; slot++) {
      const from = at - 1 - slot;
      if (from >= 0) ofSlots += transfer(cuts[from]![0], channels, cuts[from]![1]);
      else if (from === -1 && !encodes) ofSlots += transfer(3, channels, SIDE);
    }
    return sum + ofInput + ofSlots;
  }, 0);
}

/** Of all widths the one that costs nearest; of two as near the wider. */
function nearestWidth(cost: number): number {
  const widths = Array.from({ length: 200 }, (_, at) => at + 1);
  return widths.reduce((best, w) =>
    Math.abs(backboneCost(w) - cost) <= Math.abs(backboneCost(best) - cost) ? w : best,
  );
}

describe("the nearest width", () => {
  test.each([
    ["E", true, 0, 8],
    ["R1E", true, 1, 8],
    ["R2", false, 2, 8],
    ["R2E", true, 2, 5],
    ["E", true, 0, 3],
    ["R1E", true, 1, 16],
  ] as const)("%s, width %4$i", (code, encodes, previous, width) => {
    const wanted = backboneCost(width) + contextCost(width, encodes, previous);
    const found = matched(`${CUTS}context: ${code}\nmatch: inference`, width);
    expect(found.model).toEqual({ ...settingsOf(CUTS, width).model, width: nearestWidth(wanted) });
    expect(found.model.width).toBeGreaterThanOrEqual(width);
  });

  test("does not depend on the order in which modules learn, on the loss or on the device's precision", () => {
    const width = matched(`${CUTS}context: R1E\nmatch: inference`).model.width;
    for (const lines of [
      "schedule: sequential",
      "classifier: after",
      "precision: bfloat16",
      "gradientCheckpointing: true",
      "optimizer: sgd",
    ]) {
      expect(matched(`${CUTS}context: R1E\nmatch: inference\n${lines}`).model.width, lines).toBe(width);
    }
  });
});

test("all else stays, and the wider network has no context", () => {
  const given = settingsOf(`${CUTS}context: R1E\nmatch: inference`);
  const found = matchedSettings(given, images, training);
  expect(found).toEqual({ ...given, model: { ...given.model, width: found.model.width } });
  const generators = { dropout: new Generator(0), rule: new Generator(0) };
  const rule = createRule(found, images, generators, training);
  expect(rule.context).toBeNull();
  expect(rule.backbone.stages[0]!.parameters()[0]!.shape).toEqual([found.model.width, 3, 3, 3]);
  rule.dispose();
});

test("leaves nothing alive", () => {
  const before = memory();
  matched(`${CUTS}context: E\nmatch: inference`, 4);
  const { liveTensors, liveBytes } = memory();
  expect({ liveTensors, liveBytes }).toEqual({ liveTensors: before.liveTensors, liveBytes: before.liveBytes });
});
