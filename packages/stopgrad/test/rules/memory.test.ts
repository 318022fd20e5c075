// What a training step holds: one module's activations at a time, and nothing once it is over.
import "../support/one-thread.js";
import { memory, resetPeakBytes, scope } from "@stopgrad/torch";
import { beforeAll, describe, expect, test } from "vitest";
import type { Partition } from "../../src/experiment/partition.js";
import { makeBatch, makeRule, modelNames, type RuleSetup } from "../support/networks.js";

const BATCH = 64;
const WIDTH = 8;
/** Bytes of a stem-sized map: `[64, 8, 32, 32]` float32. */
const MAP = BATCH * WIDTH * 32 * 32 * 4;

/** Most bytes alive in a step beyond weights, gradients, optimizer state and the batch itself; the third step's. */
function activationBytes(setup: RuleSetup): number {
  return scope(() => {
    const rule = makeRule({ ...setup, inputShape: [3, 32, 32] });
    const batch = makeBatch(0, BATCH, [3, 32, 32]);
    for (let step = 0; step < 2; step++) rule.step(batch);
    resetPeakBytes();
    const before = memory().liveBytes;
    rule.step(batch);
    const after = memory();
    expect(after.liveBytes).toBe(before);
    rule.dispose();
    return after.peakBytes - before;
  });
}

describe("ResNet-18 of width 8, batch 64", () => {
  const setup: RuleSetup = { model: "resnet18", options: { width: WIDTH } };
  const bytes = new Map<Partition, number>();
  beforeAll(() => {
    for (const partition of [1, 2, "stage"] as const) bytes.set(partition, activationBytes({ ...setup, partition }));
  });

  // Saved for backward, in units of MAP, by hand. Stem: the convolution's output and the activation: 2. A block of the
  // first group: both convolutions' outputs, the inner activation and the block's output: 4. Later groups halve (half
  // the side twice, twice the channels), and a block with a shortcut saves its convolution's output too: 5.
  const endToEnd = 2 + (4 + 4) + (5 + 4) / 2 + (5 + 4) / 4 + (5 + 4) / 8;
  // The largest module of one stage is a block of the first group: its input, behind the stop-gradient, and its own 4.
  const oneBlock = 1 + 4;
  // Beside what is saved, in a block's backward: at most five gradients of a map at once, that of the shortcut among
  // them, which waits for the other branch.
  const passing = 5;

  test("end to end holds every activation", () => {
    expect(bytes.get(1)).toBeGreaterThan(endToEnd * MAP);
    expect(bytes.get(1)).toBeLessThan((endToEnd + passing) * MAP);
  });

  test("layer-wise holds one stage's, less than half of end to end", () => {
    expect(bytes.get("stage")).toBeGreaterThan(oneBlock * MAP);
    expect(bytes.get("stage")).toBeLessThan((oneBlock + passing) * MAP);
    expect(bytes.get("stage")).toBeLessThan(0.5 * bytes.get(1)!);
  });

  test("two modules hold the larger one's, between the two", () => {
    // Stem, both blocks of the first group and both of the second.
    const first = 2 + (4 + 4) + (5 + 4) / 2;
    expect(bytes.get(2)).toBeGreaterThan(first * MAP);
    expect(bytes.get(2)).toBeLessThan((first + passing) * MAP);
    expect(bytes.get(2)).toBeLessThan(bytes.get(1)!);
    expect(bytes.get(2)).toBeGreaterThan(bytes.get("stage")!);
  });
});

const cases = modelNames.flatMap((model) =>
  ([1, 2, "stage"] as Partition[]).flatMap((partition) =>
    (["attached", "detached"] as const).map((classifier) => ({ model, partition, classifier })),
  ),
);

test.each(cases)("$model, partition $partition, $classifier: a step leaves nothing behind", (setup) => {
  const rule = makeRule({ ...setup, head: "mlp" });
  const counts = Array.from({ length: 6 }, (_, step) => {
    scope(() => rule.step(makeBatch(step)));
    const { liveTensors, liveBytes } = memory();
    return { liveTensors, liveBytes };
  });
  for (const count of counts.slice(2)) expect(count).toEqual(counts[1]);
  rule.dispose();
});

test.each(modelNames)("%s: a disposed rule gives back every tensor and byte of its own", (model) => {
  const before = memory();
  scope(() => {
    const rule = makeRule({ model, partition: "stage", head: "mlp" });
    rule.step(makeBatch(0));
    rule.logits(makeBatch(1).images);
    expect(memory().liveBytes).toBeGreaterThan(before.liveBytes);
    rule.dispose();
  });
  const { liveTensors, liveBytes } = memory();
  expect({ liveTensors, liveBytes }).toEqual({ liveTensors: before.liveTensors, liveBytes: before.liveBytes });
});
