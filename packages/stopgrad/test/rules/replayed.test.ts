// Passes that are recorded and replayed. A recorder that computes again stands in for a CUDA graph, and like one it reads
// its inputs from, and writes gradients and results to, memory of its own: what the graph would get wrong, this does too.
import "../support/one-thread.js";
import { keep, noGrad, Parameter, scope, type Tensor, tensor } from "@stopgrad/torch";
import { describe, expect, test } from "vitest";
import type { Batch } from "../../src/rules/index.js";
import { type Record as Recorder, Replayed, STEPS_BEFORE_RECORDING } from "../../src/rules/replayed.js";

const batchOf = (...values: number[]): Batch => ({ images: tensor(values), labels: tensor([0]), indices: tensor([0]) });

/** Gradient 2 · sum of the batch · weight; the result is the sum of the batch. */
class Passes {
  readonly weight = scope(() => new Parameter(tensor([3])));
  readonly seen: (readonly number[])[] = [];

  run = ({ images }: Batch): { sum: Tensor } => {
    this.seen.push(images.shape);
    return scope(() => {
      const sum = images.sum();
      this.weight.grad = null;
      this.weight.square().mul(sum).sum().backward();
      return { sum };
    });
  };
}

/** Computes again, into the memory of the first time. */
function recorder(passes: Passes): { record: Recorder; recordings: { replays: number; disposed: boolean }[] } {
  const recordings: { replays: number; disposed: boolean }[] = [];
  const record: Recorder = <R>(body: () => R) => {
    const state = { replays: 0, disposed: false };
    recordings.push(state);
    const result = body();
    keep((result as { sum: Tensor }).sum);
    const gradient = keep(passes.weight.grad!);
    return {
      result,
      replay() {
        state.replays += 1;
        scope(() => {
          const bound = passes.weight.grad;
          const fresh = body() as { sum: Tensor };
          noGrad(() => {
            (result as { sum: Tensor }).sum.copy_(fresh.sum);
            gradient.copy_(passes.weight.grad!);
          });
          passes.weight.grad = bound; // a replay binds nothing
        });
      },
      dispose() {
        state.disposed = true;
      },
    };
  };
  return { record, recordings };
}

describe("passes", () => {
  test("are recorded for the size of three steps, whatever sizes come between", () => {
    scope(() => {
      const passes = new Passes();
      const { record, recordings } = recorder(passes);
      const replayed = new Replayed(passes.run, [passes.weight], record);
      for (const values of [[1, 2], [3], [4, 5], [6], [7, 8]]) scope(() => replayed.run(batchOf(...values)));
      expect(recordings).toHaveLength(0);
      scope(() => replayed.run(batchOf(9, 10)));
      scope(() => replayed.run(batchOf(11)));
      scope(() => replayed.run(batchOf(12, 13)));
      expect(recordings).toEqual([{ replays: 2, disposed: false }]);
      replayed.dispose();
    });
  });

  test("give each batch's own gradients and results, computed, recorded or of another size", () => {
    scope(() => {
      const passes = new Passes();
      const { record, recordings } = recorder(passes);
      const replayed = new Replayed(passes.run, [passes.weight], record);
      const check = (...values: number[]) => {
        const total = values.reduce((sum, value) => sum + value, 0);
        const { sum } = scope(() => replayed.run(batchOf(...values)));
        expect(sum.item()).toBe(total);
        expect(passes.weight.grad!.item()).toBe(2 * total * 3);
      };
      for (let step = 0; step < STEPS_BEFORE_RECORDING; step++) check(1, step);
      expect(recordings).toEqual([]);
      check(10, 20);
      check(30, 40);
      check(5); // an epoch's last batch
      check(6);
      check(50, 60); // gradients are the recording's again
      check(70, 80);
      expect(recordings).toEqual([{ replays: 4, disposed: false }]);
      replayed.dispose();
      replayed.dispose();
      expect(recordings[0]!.disposed).toBe(true);
    });
  });

  test("are not recorded before libraries have chosen their kernels", () => {
    scope(() => {
      const passes = new Passes();
      const { record, recordings } = recorder(passes);
      const replayed = new Replayed(passes.run, [passes.weight], record);
      for (let step = 0; step < STEPS_BEFORE_RECORDING; step++) replayed.run(batchOf(1));
      expect(passes.seen).toHaveLength(STEPS_BEFORE_RECORDING);
      expect(recordings).toHaveLength(0);
      replayed.dispose();
    });
  });
});
