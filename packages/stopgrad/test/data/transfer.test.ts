// Where a set lies and how its batches travel. A GPU's side of it is cuda.test.ts; here a transfer within the CPU stands in
// for the one to a GPU, with the same three steps, so that order, values and life of what travels can be looked at anywhere.
import "../support/one-thread.js";
import { cuda, Generator, memory, scope, type Tensor, tensor, zeros } from "@stopgrad/torch";
import { describe, expect, test } from "vitest";
import type { Augmentation } from "../../src/data/augmentation.js";
import { EpochOrder, type Normalisation, slice, type TensorSet } from "../../src/data/loader.js";
import { placeOn, resident, streamed, type Transfer } from "../../src/data/transfer.js";

const COUNT = 22;
const BATCH = 5;
const none: Augmentation = { flip: false, crop: null };
const all: Augmentation = { flip: true, crop: { padding: 1 } };

/** Image i is filled with i; label i is i. */
function made(): TensorSet {
  const pixels = Uint8Array.from({ length: COUNT * 3 * 4 * 4 }, (_, at) => Math.floor(at / 48));
  return {
    images: tensor(pixels, { shape: [COUNT, 3, 4, 4] }),
    labels: tensor(BigInt64Array.from({ length: COUNT }, (_, at) => BigInt(at))),
    count: COUNT,
  };
}

const normalisation = (): Normalisation => ({
  scale: tensor([1, 1, 1]).reshape([1, 3, 1, 1]),
  shift: tensor([0, 0, 0]).reshape([1, 3, 1, 1]),
});

/** Copies within the CPU and writes down what is asked of it. `receive` refuses what it has not sent, or twice. */
class Recorded implements Transfer {
  readonly device = "cpu";
  readonly calls: string[] = [];
  readonly #underWay = new Set<Tensor>();

  stage(shape: readonly number[]): Tensor {
    this.calls.push(`stage ${shape[0]}`);
    return zeros(shape, { dtype: "uint8" });
  }

  send(staged: Tensor): Tensor {
    const sent = staged.clone();
    this.#underWay.add(sent);
    this.calls.push(`send ${staged.toNumbers()[0]}`);
    return sent;
  }

  receive(sent: Tensor): void {
    if (!this.#underWay.delete(sent)) throw new Error("received what was not sent, or twice");
    this.calls.push(`receive ${sent.toNumbers()[0]}`);
  }
}

/** Every batch of an epoch: pixels and labels. */
function epoch(set: TensorSet, augmentation: Augmentation, ahead: boolean) {
  return scope(() => {
    const order = new EpochOrder(set, BATCH, new Generator(3));
    const generator = new Generator(4);
    const given = normalisation();
    const seen: { images: number[]; labels: number[] }[] = [];
    for (let at = 0; at < order.batches; at++) {
      const { images, labels } = order.get(at, given, augmentation, generator);
      seen.push({ images: images.toNumbers(), labels: labels.toNumbers() });
      if (ahead) order.fetchAhead(at + 1);
    }
    order.dispose();
    return seen;
  });
}

describe("batches that are transferred", () => {
  test.each([
    ["plain", none],
    ["augmented", all],
  ])("%s are those of a set that is at hand, fetched ahead or not", (_, augmentation) => {
    scope(() => {
      const at = epoch(made(), augmentation, false);
      expect(at.map(({ labels }) => labels.length)).toEqual([5, 5, 5, 5, 2]);
      for (const ahead of [false, true]) {
        expect(epoch(streamed(made(), new Recorded()), augmentation, ahead)).toEqual(at);
      }
    });
  });

  test("fetched ahead set off before they are asked for, each once", () => {
    scope(() => {
      const transfer = new Recorded();
      const labels = epoch(streamed(made(), transfer), none, true).map((batch) => batch.labels[0]);
      const [first, ...others] = labels;
      expect(transfer.calls).toEqual([
        `stage 5`,
        `send ${first}`,
        `receive ${first}`,
        ...others.flatMap((label, at) => [`stage ${at === 3 ? 2 : 5}`, `send ${label}`, `receive ${label}`]),
      ]);
    });
  });

  test("fetched ahead draw nothing, so that a run can be saved in between", () => {
    scope(() => {
      const order = new EpochOrder(streamed(made(), new Recorded()), BATCH, new Generator(3));
      const generator = new Generator(4);
      order.get(0, normalisation(), all, generator);
      const before = generator.getState().toNumbers();
      order.fetchAhead(1);
      expect(generator.getState().toNumbers()).toEqual(before);
      order.dispose();
    });
  });

  test("leave nothing behind, an abandoned epoch's one ahead included", () => {
    scope(() => {
      const set = streamed(made(), new Recorded());
      const given = normalisation();
      const generator = new Generator(4);
      const before = memory();
      for (const last of [2, 4]) {
        const order = new EpochOrder(set, BATCH, new Generator(3));
        for (let at = 0; at <= last; at++) {
          scope(() => void order.get(at, given, all, generator));
          order.fetchAhead(at + 1);
          order.fetchAhead(at + 1); // twice is once
        }
        order.fetchAhead(order.batches); // there is none
        order.dispose();
      }
      expect(memory()).toMatchObject({ liveTensors: before.liveTensors, liveBytes: before.liveBytes });
    });
  });

  test("in order, for evaluation, are at hand too", () => {
    scope(() => {
      const [here, there] = [made(), streamed(made(), new Recorded())].map((set) => slice(set, 3, 4, normalisation()));
      expect(there!.images.equal(here!.images)).toBe(true);
      expect(there!.labels.equal(here!.labels)).toBe(true);
    });
  });
});

describe("a set", () => {
  test("stays as it is on the CPU", () => {
    scope(() => {
      const set = made();
      expect(placeOn(set, "cpu")).toBe(set);
      const same = resident(set, "cpu");
      expect(same.images).toBe(set.images);
      expect(same.labels.isDisposed).toBe(false);
    });
  });

  test.skipIf(cuda.isAvailable())("is not taken to a GPU that is not there", () => {
    scope(() => expect(() => placeOn(made(), "cuda")).toThrow(/^cuda\.memory: cuda cannot be used, because libtorch/));
  });
});
