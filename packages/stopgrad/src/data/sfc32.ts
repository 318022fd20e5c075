// A small seeded generator for drawn data: sfc32 (small fast counter, Chris Doty-Humphrey, PractRand), seeded through
// the finaliser of MurmurHash3 (Austin Appleby). Whole numbers only, so every platform gives the same stream. Not the
// generator of a run: shuffling and augmentation use the engine's, whose state is saved in checkpoints.

/** A stream of uniform 32-bit numbers, a function of its key alone. */
export class Sfc32 {
  #a = 0;
  #b = 0;
  #c = 0;
  #counter = 1;

  /** @param key - whole numbers; each changes the whole stream, so `(seed, split, index)` gives independent ones */
  constructor(...key: number[]) {
    let hash = 0x6a09e667;
    for (const part of key) hash = mix(hash ^ mix((part | 0) + 0x9e3779b9));
    this.#a = hash;
    this.#b = mix(hash + 0x3c6ef372);
    this.#c = mix(hash + 0xdaa66d2b);
    for (let i = 0; i < 12; i++) this.next(); // the state is well mixed after 12 steps, says its author
  }

  /** Uniform in 0 … 2³² - 1. */
  next(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0;
    return sum >>> 0;
  }

  /** Uniform in [low, high). */
  uniform(low: number, high: number): number {
    return low + (high - low) * (this.next() / 4294967296);
  }

  /** Uniform whole number in 0 … count - 1 (bias below count / 2³²). */
  integer(count: number): number {
    return Math.floor((this.next() / 4294967296) * count);
  }

  /** A random order of 0 … count - 1 (Fisher and Yates). */
  permutation(count: number): number[] {
    const order = Array.from({ length: count }, (_, i) => i);
    for (let i = count - 1; i > 0; i--) {
      const j = this.integer(i + 1);
      const held = order[i]!;
      order[i] = order[j]!;
      order[j] = held;
    }
    return order;
  }
}

function mix(value: number): number {
  let hash = value | 0;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}
