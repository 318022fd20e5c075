// Whatever happens to a checkpoint's bytes is noticed, and the one before it serves.
import "../support/one-thread.js";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Generator, memory, scope, type Tensor, tensor } from "@stopgrad/torch";
import { beforeEach, describe, expect, it, onTestFinished } from "vitest";
import {
  checkpointSteps,
  keepsEpoch,
  keepWeights,
  readCheckpoint,
  removeUnfinished,
  restoreCheckpoint,
  saveCheckpoint,
  savedWeights,
  type TrainingState,
} from "../../src/experiment/checkpoint.js";

const identity = "0123456789abcdef".repeat(4);

function stateAt(step: number): TrainingState {
  return {
    epoch: 1,
    stepInEpoch: 3,
    step,
    seconds: 1.25,
    images: 16 * step,
    trainingMultiplyAdds: 1000,
    peakBytes: 123,
    running: { seen: 48, correct: 7, loss: 110.3, localLosses: { network: 110.3 }, seconds: 0.1 },
    trainAccuracy: 0.25,
    testAccuracy: 1 / 3,
    stages: [],
  };
}

let run: string;

beforeEach(() => {
  run = mkdtempSync(join(tmpdir(), "stopgrad-checkpoint-"));
  const created = run;
  onTestFinished(() => rmSync(created, { recursive: true, force: true }));
});

/** Writes a checkpoint with a tensor of each kind; its first weight is the step. Returns its path. */
function save(step: number, name = identity): string {
  return scope(() => {
    const tensors = new Map<string, Tensor>([
      ["backbone.weight", tensor([step, 1.5, -2.25])],
      ["optimizer.steps", tensor(Float64Array.of(step))],
      ["generator.order", tensor(Uint8Array.of(1, 2, 3, 250, 0))],
    ]);
    return saveCheckpoint(run, tensors, stateAt(step), name);
  });
}

/** What a run would go on from. */
function restore() {
  const warnings: string[] = [];
  let found: { first: number; state: TrainingState } | null = null;
  const use = (tensors: ReadonlyMap<string, Tensor>, state: TrainingState) => {
    found = { first: tensors.get("backbone.weight")!.toNumbers()[0]!, state };
  };
  const restored = restoreCheckpoint(run, identity, use, (message) => warnings.push(message));
  expect(restored).toBe(found !== null);
  return { found: found as { first: number; state: TrainingState } | null, warnings };
}

const files = () => readdirSync(join(run, "checkpoints")).sort();

describe("a checkpoint", () => {
  it("comes back with every number, and the newest first", () => {
    for (const step of [4, 8, 12]) save(step);
    expect(checkpointSteps(run)).toEqual([12, 8]);
    const live = memory().liveTensors;
    expect(restore()).toEqual({ found: { first: 12, state: stateAt(12) }, warnings: [] });
    expect(memory().liveTensors).toBe(live);
  });

  it("is noticed to be damaged whichever bit is flipped, and the one before it is used", () => {
    save(4);
    const newest = save(8);
    const whole = readFileSync(newest);
    const undetected: string[] = [];
    for (let at = 0; at < whole.length; at++) {
      for (let bit = 0; bit < 8; bit++) {
        const bytes = Buffer.from(whole);
        bytes[at]! ^= 1 << bit;
        writeFileSync(newest, bytes);
        const { found, warnings } = restore();
        const isRight = found?.first === 4 && warnings.length === 1 && warnings[0]!.includes(`${newest}: `);
        if (!isRight) undetected.push(`byte ${at}, bit ${bit}: ${warnings.join()}`);
        rmSync(`${newest}.damaged`, { force: true });
      }
    }
    expect(undetected).toEqual([]);
  });

  it("is noticed to be damaged wherever it ends, or goes on", () => {
    save(4);
    const newest = save(8);
    const whole = readFileSync(newest);
    for (let length = 0; length <= whole.length + 1; length++) {
      writeFileSync(newest, Buffer.concat([whole, Buffer.alloc(1)]).subarray(0, length));
      expect(restore().found?.first, `${length} of ${whole.length} bytes`).toBe(length === whole.length ? 8 : 4);
    }
  });

  it("that is damaged is set aside, so that it does not count among the two that are kept", () => {
    save(4);
    const newest = save(8);
    writeFileSync(newest, "rubbish");
    const { found, warnings } = restore();
    expect(found?.state.step).toBe(4);
    expect(warnings).toEqual([
      expect.stringMatching(/^passed over a checkpoint: .*step-000000008\.safetensors: .* \(kept as .*\.damaged\)$/),
    ]);
    save(5);
    expect(files()).toEqual([
      "step-000000004.safetensors",
      "step-000000005.safetensors",
      "step-000000008.safetensors.damaged",
    ]);
    expect(restore().found?.state.step).toBe(5);
  });

  it("of other settings, or that does not fit, is passed over", () => {
    save(4);
    save(8, "f".repeat(64));
    expect(restore()).toMatchObject({ found: { first: 4 }, warnings: [expect.stringContaining("of other settings")] });
    const warnings: string[] = [];
    const refuse = () => {
      throw new Error("it does not fit");
    };
    expect(restoreCheckpoint(run, identity, refuse, (message) => warnings.push(message))).toBe(false);
    expect(warnings).toEqual([expect.stringMatching(/step-000000004\.safetensors: it does not fit \(kept as /)]);
  });

  it.skipIf(process.platform === "win32")("that the system does not let us read is no reason to begin again", () => {
    save(4);
    const path = join(run, "checkpoints", "step-000000008.safetensors");
    symlinkSync(path, path); // a link to itself: reading it fails, whoever reads
    expect(() => restore()).toThrow(/step-000000008\.safetensors: /);
    expect(existsSync(join(run, "checkpoints", "step-000000004.safetensors"))).toBe(true);
  });

  it("is not there, and nor is the folder", () => {
    expect(restore()).toEqual({ found: null, warnings: [] });
    removeUnfinished(run);
  });
});

describe("weights that are kept", () => {
  /** As `save`, for good, at the end of an epoch. */
  const keepAt = (epoch: number, step: number) =>
    scope(() => {
      const tensors = new Map<string, Tensor>([
        ["backbone.weight", tensor([step, 1.5, -2.25])],
        ["heads.weight", tensor([7])],
        ["optimizer.steps", tensor(Float64Array.of(step))],
        ["generator.order", tensor(Uint8Array.of(1, 2, 3))],
      ]);
      return keepWeights(run, tensors, { ...stateAt(step), epoch, stepInEpoch: 0 }, identity);
    });

  it("are those of the epochs that were asked for", () => {
    const chosen = (keep: Parameters<typeof keepsEpoch>[0]) => [0, 1, 2, 3].filter((epoch) => keepsEpoch(keep, epoch));
    expect(chosen("all")).toEqual([0, 1, 2, 3]);
    expect(chosen([3, 0])).toEqual([0, 3]);
    expect(chosen("last")).toEqual([]);
    expect(chosen(undefined)).toEqual([]);
  });

  it("stay when newer checkpoints come, hold networks alone, and are no part of going on", () => {
    keepAt(0, 0);
    keepAt(1, 4);
    for (const step of [4, 8, 12, 16]) save(step);
    expect(files()).toEqual([
      "epoch-000000.safetensors",
      "epoch-000001.safetensors",
      "step-000000012.safetensors",
      "step-000000016.safetensors",
    ]);
    expect(restore()).toMatchObject({ found: { first: 16 }, warnings: [] });
    removeUnfinished(run);
    expect(files()).toHaveLength(4);
    const kept = scope(() => {
      const { tensors, state } = readCheckpoint(join(run, "checkpoints", "epoch-000001.safetensors"), identity);
      return {
        names: [...tensors.keys()].sort(),
        first: tensors.get("backbone.weight")!.toNumbers()[0],
        epoch: state.epoch,
      };
    });
    expect(kept).toEqual({ names: ["backbone.weight", "heads.weight"], first: 4, epoch: 1 });
  });

  it("are listed with the checkpoints, in the order of training, each epoch once", () => {
    keepAt(0, 0);
    keepAt(2, 10);
    save(8); // epoch 1, step 3 of 5
    save(12);
    const names = savedWeights(run, () => 5).map(({ epoch, path }) => [epoch, path.slice(-21)]);
    expect(names).toEqual([
      [0, "/epoch-000000.safetensors".slice(-21)],
      [1.6, "/step-000000012.safetensors".slice(-21)],
      [2, "/epoch-000002.safetensors".slice(-21)],
    ]);
    expect(savedWeights(join(run, "nowhere"), () => 5)).toEqual([]);
  });

  it("of another run, or damaged, are refused when they are read, and stand in nobody's way before", () => {
    const path = keepAt(1, 4);
    expect(() => readCheckpoint(path, "f".repeat(64))).toThrow(/the checkpoint of other settings/);
    const bytes = readFileSync(path);
    bytes[bytes.length - 1]! ^= 1;
    writeFileSync(path, bytes);
    expect(() => readCheckpoint(path, identity)).toThrow(/damaged/);
    const rubbish = join(run, "checkpoints", "step-000000012.safetensors");
    writeFileSync(rubbish, "rubbish");
    const listed = savedWeights(run, () => 5);
    expect(listed).toEqual([
      { epoch: 1, path },
      { epoch: 2.4, path: rubbish }, // by its name: 12 steps of 5 an epoch
    ]);
    expect(() => readCheckpoint(rubbish, identity)).toThrow(/step-000000012\.safetensors/);
  });
});

it("removeUnfinished takes what a killed process has left, and nothing else", () => {
  save(4);
  writeFileSync(join(run, "checkpoints", ".step-000000008.safetensors.123-abc.tmp"), "half");
  save(8);
  expect(files()).toHaveLength(3); // saving leaves alone what another process may be writing
  removeUnfinished(run);
  expect(files()).toEqual(["step-000000004.safetensors", "step-000000008.safetensors"]);
});

it("holds a generator's state to the bit", () => {
  const generator = new Generator(3);
  scope(() => saveCheckpoint(run, new Map([["generator.order", generator.getState()]]), stateAt(1), identity));
  restoreCheckpoint(
    run,
    identity,
    (tensors) => generator.setState(tensors.get("generator.order")!),
    expect.unreachable,
  );
  expect(checkpointSteps(run)).toEqual([1]);
});
