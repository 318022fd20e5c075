// Single operators: what a call costs, and how fast the machine multiplies matrices.

import { add, Generator, matmul, randn, scope, tensor } from "@stopgrad/torch";

/** Sums of two scalars, each a new tensor; as in a training step a scope frees them, here a hundred at a time. */
export class Scalars {
  #a = tensor([1]).reshape([]);
  #b = tensor([2]).reshape([]);

  warmUp() {
    this.run(100_000);
    return { peakBytes: null };
  }

  run(count) {
    const [a, b] = [this.#a, this.#b];
    for (let at = 0; at < count; at += 100) {
      scope(() => {
        for (let inner = 0; inner < 100; inner++) add(a, b);
      });
    }
    return { units: count };
  }
}

const SIDE = 2048;

/** Products of square float32 matrices: `units` are floating-point operations in billions. */
export class Products {
  #a = randn([SIDE, SIDE], { generator: new Generator(1) });
  #b = randn([SIDE, SIDE], { generator: new Generator(2) });

  warmUp() {
    this.run(2);
    return { peakBytes: null };
  }

  run(count) {
    for (let at = 0; at < count; at++) matmul(this.#a, this.#b).dispose();
    return { units: (count * 2 * SIDE ** 3) / 1e9 };
  }
}
