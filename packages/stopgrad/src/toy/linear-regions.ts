// Points sorted by which ReLU units are above 0 at them. Within such a region a layer of ReLU units is a linear function
// of x, so that a step of gradient descent costs about as much as one of a linear head. Between two steps the units move
// little and nearly all points stay where they are: each point has a margin, its distance from the nearest unit's line in
// units of that unit's output, and is looked at again only when the units may have moved by as much. The sums are the
// exact ones; only the order of additions differs from a loop over points and units.
import type { ToyData } from "./data.js";

/** More regions than 16 lines cut the plane into (137): those of earlier steps are kept until there are so many. */
const mostRegions = 400;

export class LinearRegions {
  readonly #unitCount: number;
  #data: ToyData | null = null;
  /** Region of each point, `[N]`. */
  #regionOf = new Int32Array(0);
  /** How far the units may move, counted from the beginning, before a point is looked at again, `[N]`. */
  #safeUntil = new Float64Array(0);
  /** How far any unit's output at any point can have moved since the beginning. */
  #moved = 0;
  #farthestFirst = 0;
  #farthestSecond = 0;
  readonly #previousUnits: Float64Array;
  /** Bits of the units above 0 in each region. */
  #masks: number[] = [];
  readonly #regionOfMask = new Map<number, number>();
  /** Slopes and offset of the layer's output in each region. */
  readonly #slopes = new Float64Array(3 * mostRegions);
  /** Σ y ρ (x₁, x₂, 1) over each region's points. */
  readonly #sums = new Float64Array(3 * mostRegions);
  readonly #pulls: Float64Array;

  /** @param unitCount - at most 31 */
  constructor(unitCount: number) {
    this.#unitCount = unitCount;
    this.#previousUnits = new Float64Array(3 * unitCount);
    this.#pulls = new Float64Array(3 * unitCount);
  }

  /**
   * Σ y ρ (x₁, x₂, 1) over the points at which each unit is above 0, with ρ = σ(−y a) and a = Σ_j c_j ReLU(unit_j(x)).
   *
   * @param units - slopes and offset of each unit as a function of x, `[units, 3]`
   * @param output - c, `[units]`
   * @returns `[units, 3]`, an array that the next call writes over
   */
  pulls(data: ToyData, units: Float64Array, output: Float64Array): Float64Array {
    this.#follow(data, units);
    const regions = this.#masks.length;
    this.#slopesOf(units, output);
    const [regionOf, slopes, sums] = [this.#regionOf, this.#slopes, this.#sums];
    const { first, second, classes } = data;
    sums.fill(0, 0, 3 * regions);
    for (let i = 0; i < classes.length; i++) {
      const at = 3 * regionOf[i]!;
      const [x1, x2, y] = [first[i]!, second[i]!, classes[i]!];
      const pull = y / (1 + Math.exp(y * (slopes[at]! * x1 + slopes[at + 1]! * x2 + slopes[at + 2]!)));
      sums[at]! += pull * x1;
      sums[at + 1]! += pull * x2;
      sums[at + 2]! += pull;
    }
    const pulls = this.#pulls.fill(0);
    for (let region = 0; region < regions; region++) {
      const at = 3 * region;
      for (let mask = this.#masks[region]!; mask !== 0; mask &= mask - 1) {
        const to = 3 * lowestBit(mask);
        pulls[to]! += sums[at]!;
        pulls[to + 1]! += sums[at + 1]!;
        pulls[to + 2]! += sums[at + 2]!;
      }
    }
    return pulls;
  }

  /** Sorts the points by the units as they are now. */
  #follow(data: ToyData, units: Float64Array): void {
    if (this.#data !== data) this.#begin(data);
    this.#moved += this.#drift(units);
    this.#previousUnits.set(units);
    if (this.#masks.length > mostRegions / 2) this.#forget();
    const [safeUntil, moved] = [this.#safeUntil, this.#moved];
    for (let i = 0; i < safeUntil.length; i++) {
      if (!(safeUntil[i]! > moved)) this.#place(i, data.first[i]!, data.second[i]!, units);
    }
  }

  #begin(data: ToyData): void {
    const count = data.classes.length;
    this.#data = data;
    this.#regionOf = new Int32Array(count);
    this.#safeUntil = new Float64Array(count);
    this.#farthestFirst = data.first.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    this.#farthestSecond = data.second.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    this.#forget();
  }

  #forget(): void {
    this.#masks = [];
    this.#regionOfMask.clear();
    this.#safeUntil.fill(Number.NEGATIVE_INFINITY);
  }

  /** An upper bound of how much any unit's output has changed at any point since the last step. */
  #drift(units: Float64Array): number {
    const before = this.#previousUnits;
    let most = 0;
    for (let j = 0; j < this.#unitCount; j++) {
      const at = 3 * j;
      const change =
        Math.abs(units[at]! - before[at]!) * this.#farthestFirst +
        Math.abs(units[at + 1]! - before[at + 1]!) * this.#farthestSecond +
        Math.abs(units[at + 2]! - before[at + 2]!);
      if (!(change <= most)) most = change; // NaN too
    }
    return most;
  }

  #place(point: number, x1: number, x2: number, units: Float64Array): void {
    let mask = 0;
    let margin = Number.POSITIVE_INFINITY;
    for (let j = 0; j < this.#unitCount; j++) {
      const unit = units[3 * j]! * x1 + units[3 * j + 1]! * x2 + units[3 * j + 2]!;
      if (unit > 0) mask |= 1 << j;
      margin = Math.min(margin, Math.abs(unit));
    }
    this.#safeUntil[point] = this.#moved + margin;
    this.#regionOf[point] = this.#regionFor(mask);
  }

  #regionFor(mask: number): number {
    const known = this.#regionOfMask.get(mask);
    if (known !== undefined) return known;
    const region = this.#masks.push(mask) - 1;
    this.#regionOfMask.set(mask, region);
    return region;
  }

  #slopesOf(units: Float64Array, output: Float64Array): void {
    for (const [region, bits] of this.#masks.entries()) {
      let [s1, s2, s0] = [0, 0, 0];
      for (let mask = bits; mask !== 0; mask &= mask - 1) {
        const j = lowestBit(mask);
        s1 += output[j]! * units[3 * j]!;
        s2 += output[j]! * units[3 * j + 1]!;
        s0 += output[j]! * units[3 * j + 2]!;
      }
      this.#slopes[3 * region] = s1;
      this.#slopes[3 * region + 1] = s2;
      this.#slopes[3 * region + 2] = s0;
    }
  }
}

/** Number of the lowest bit that is set. */
function lowestBit(mask: number): number {
  return 31 - Math.clz32(mask & -mask);
}
