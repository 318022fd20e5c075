// Random numbers of the toy: uniform ones from sfc32, normal ones by the method of Box and Muller. A stream for each
// thing that is drawn, so that runs of one seed share their points and starts whatever else they draw.
import { Sfc32 } from "../data/sfc32.js";

/** What is drawn from a stream of its own. */
const streams = { points: 1, firstLayer: 2, linearHead: 3, mlpHead: 4, secondLayer: 5 } as const;

/** Uniform and standard normal numbers, a function of the seed and of what they are for. */
export class ToyGenerator {
  readonly #uniform: Sfc32;

  /** @param seed - whole number below 2³² */
  constructor(seed: number, stream: keyof typeof streams) {
    this.#uniform = new Sfc32(0x746f79, seed, streams[stream]);
  }

  /** In [low, high). */
  uniform(low: number, high: number): number {
    return this.#uniform.uniform(low, high);
  }

  /** N(0, 1): √(−2 ln a) cos 2πb, a in (0, 1]. Source: Box and Muller 1958. */
  normal(): number {
    const radius = Math.sqrt(-2 * Math.log(1 - this.#uniform.uniform(0, 1)));
    return radius * Math.cos(2 * Math.PI * this.#uniform.uniform(0, 1));
  }

  /** `count` numbers from N(0, deviation²). */
  normals(count: number, deviation: number): Float64Array {
    return Float64Array.from({ length: count }, () => deviation * this.normal());
  }
}
