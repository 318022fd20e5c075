// Numbers made ready to draw: means over seeds with their intervals, paths through the information plane with the
// direction they are walked in, and axis ranges. Nothing here knows the charting library.
import { type Interval, summarise, type Trajectory } from "../statistics/index.js";

/** A number over seeds at one epoch; low and high are its 95 % interval, equal to the mean where there is none. */
export interface BandPoint {
  epoch: number;
  mean: number;
  low: number;
  high: number;
  n: number;
}

/** One stop on a mean path through the plane. */
export interface PathPoint {
  epoch: number;
  x: number;
  y: number;
}

export interface Arrow extends PathPoint {
  /** Bearing in degrees on the screen, clockwise from up. */
  angle: number;
}

export interface Panel {
  width: number;
  height: number;
  xDomain: Interval;
  yDomain: Interval;
}

/**
 * Mean and interval over runs at each epoch. Only epochs that every run has are taken, because a mean over changing
 * runs jumps; where there are no two such epochs, every epoch that any run has.
 */
export function band(trajectories: readonly Trajectory[]): BandPoint[] {
  const known = trajectories.filter((one) => one.length > 0);
  const values = new Map<number, number[]>();
  for (const one of known) {
    for (const { epoch, value } of one) values.set(epoch, [...(values.get(epoch) ?? []), value]);
  }
  const epochs = [...values.keys()].sort((a, b) => a - b);
  const shared = epochs.filter((epoch) => values.get(epoch)!.length === known.length);
  return (shared.length >= 2 ? shared : epochs).map((epoch) => {
    const { mean, n, interval } = summarise(values.get(epoch)!);
    return { epoch, mean, low: interval?.[0] ?? mean, high: interval?.[1] ?? mean, n };
  });
}

/** A path through the plane where both coordinates were measured at an epoch. */
export function path(x: readonly { epoch: number; value: number }[], y: Trajectory): PathPoint[] {
  const yAt = new Map(y.map(({ epoch, value }) => [epoch, value]));
  return x.flatMap(({ epoch, value }) => (yAt.has(epoch) ? [{ epoch, x: value, y: yAt.get(epoch)! }] : []));
}

/** At most `limit` points: first and last stay, those between are taken evenly. */
export function thin<T>(points: readonly T[], limit: number): T[] {
  if (points.length <= limit) return [...points];
  return Array.from({ length: limit }, (_, index) => points[Math.round((index * (points.length - 1)) / (limit - 1))]!);
}

/**
 * A range that holds every value with a margin; never empty, so that a flat line lies in its middle. Beyond what the
 * values can be at all, the margin is that of a line's width.
 */
export function domain(values: readonly number[], margin = 0.06, possible: Interval = [-Infinity, Infinity]): Interval {
  const finite = values.filter((value) => Number.isFinite(value));
  if (finite.length === 0) return [0, 1];
  const low = finite.reduce((a, b) => Math.min(a, b));
  const high = finite.reduce((a, b) => Math.max(a, b));
  const span = high - low > 1e-9 * Math.max(Math.abs(low), Math.abs(high), 1e-9) ? high - low : Math.abs(high) || 1;
  const beyond = 0.015 * span;
  return [
    tidy(Math.max(low - margin * span, Math.min(low, possible[0]) - beyond), span),
    tidy(Math.min(high + margin * span, Math.max(high, possible[1]) + beyond), span),
  ];
}

/**
 * A range that holds every mean, and of the intervals as much as leaves the lines readable: with two seeds they are many
 * times as wide as what the lines differ in. Hardly below zero where no mean is.
 */
export function readableDomain(
  points: readonly { mean: number; low: number; high: number }[],
  possible: Interval = [-Infinity, Infinity],
): Interval {
  const values = points.map(({ mean }) => mean);
  const least = values.every((mean) => mean >= 0) ? Math.max(0, possible[0]) : possible[0];
  const means = domain(values, 0.5, [least, possible[1]]);
  const everything = domain(
    points.flatMap(({ mean, low, high }) => [mean, low, high]),
    undefined,
    possible,
  );
  return [Math.max(means[0], everything[0]), Math.min(means[1], everything[1])];
}

/** The value below which a share of the values lies, between neighbours in proportion. @param values - one or more */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const at = share * (sorted.length - 1);
  const below = sorted[Math.floor(at)]!;
  return below + (at - Math.floor(at)) * (sorted[Math.ceil(at)]! - below);
}

/**
 * Round numbers inside a range, for an axis: steps of 1, 2 or 5 times a power of ten. A tick so close to the range's
 * upper end that its label would stand out of the panel is left away, so that panels and their titles line up.
 *
 * @param range - of the axis
 * @param wanted - about how many ticks
 * @param pixels - length of the axis; null keeps a tick at the very end
 * @returns the ticks, and the decimals that tell them apart
 */
export function ticks(range: Interval, wanted: number, pixels: number | null): { values: number[]; decimals: number } {
  const span = range[1] - range[0];
  const rough = span / wanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5, 10].find((factor) => factor * power >= 0.75 * rough) ?? 10);
  const decimals = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  const values: number[] = [];
  for (let index = Math.ceil(range[0] / step - 1e-9); index * step <= range[1] + 1e-9 * span; index++) {
    const value = Number((index * step).toFixed(decimals));
    if (pixels === null || ((range[1] - value) / span) * pixels >= 6) values.push(value);
  }
  return { values, decimals };
}

/** As `ticks`, on a logarithmic axis: 1, 2 and 5 times powers of ten, the powers alone where those are more than wanted. */
export function logTicks(range: Interval, wanted: number): number[] {
  const powers: number[] = [];
  for (let power = Math.floor(Math.log10(range[0])); power <= Math.log10(range[1]); power++) powers.push(power);
  const inside = (factors: readonly number[]) =>
    powers
      .flatMap((power) => factors.map((factor) => Number(`${factor}e${power}`)))
      .filter((value) => value >= range[0] && value <= range[1]);
  const fine = inside([1, 2, 5]);
  return fine.length <= 2 * wanted ? fine : inside([1]);
}

/**
 * Arrowheads along a path: at even distances on the screen, none where the path is too short to have a direction,
 * and always one at its end. The bearing is that of the chord over a few pixels, so that noise does not turn it.
 *
 * @param points - the path in time order
 * @param panel - where it is drawn; bearings depend on its size and ranges
 * @param spacing - pixels between arrowheads
 */
export function arrows(points: readonly PathPoint[], panel: Panel, spacing = 75): Arrow[] {
  const screen = points.map((point) => ({
    x: (panel.width * (point.x - panel.xDomain[0])) / (panel.xDomain[1] - panel.xDomain[0]),
    y: (panel.height * (point.y - panel.yDomain[0])) / (panel.yDomain[1] - panel.yDomain[0]),
  }));
  const walked = [0];
  for (let index = 1; index < screen.length; index++) {
    const from = screen[index - 1]!;
    const to = screen[index]!;
    walked.push(walked[index - 1]! + Math.hypot(to.x - from.x, to.y - from.y));
  }
  const total = walked.at(-1) ?? 0;
  if (total < 8) return [];
  const between = Math.min(5, Math.max(1, Math.floor(total / spacing) - 1));
  const stops = Array.from({ length: between }, (_, index) => (total * (index + 1)) / (between + 1));
  return [...stops, total].map((stop) => {
    const reach = 8; // pixels before and after the arrowhead, those before alone at the end
    const before = along(screen, walked, Math.max(0, stop - reach));
    const after = along(screen, walked, Math.min(total, stop + (stop === total ? 0 : reach)));
    const here = along(points, walked, stop);
    const bearing = (Math.atan2(after.x - before.x, after.y - before.y) * 180) / Math.PI;
    return { ...here, epoch: epochAt(points, walked, stop), angle: Math.round(bearing) };
  });
}

/** The point after walking a given distance along a line. */
function along(points: readonly { x: number; y: number }[], walked: readonly number[], distance: number) {
  const { index, part } = locate(walked, distance);
  const from = points[index - 1]!;
  const to = points[index]!;
  return { x: from.x + part * (to.x - from.x), y: from.y + part * (to.y - from.y) };
}

function epochAt(points: readonly PathPoint[], walked: readonly number[], distance: number): number {
  const { index, part } = locate(walked, distance);
  return points[index - 1]!.epoch + part * (points[index]!.epoch - points[index - 1]!.epoch);
}

/** The segment a distance falls on, by its end's index, and the part of it that is walked. */
function locate(walked: readonly number[], distance: number): { index: number; part: number } {
  const found = walked.findIndex((at, index) => index > 0 && at >= distance);
  const index = found < 0 ? walked.length - 1 : found;
  const length = walked[index]! - walked[index - 1]!;
  return { index, part: length === 0 ? 1 : Math.max(0, (distance - walked[index - 1]!) / length) };
}

/** Rounded to a thousandth of the span, so that specs stay short and equal runs give equal text. */
function tidy(value: number, span: number): number {
  const step = 10 ** (Math.floor(Math.log10(span)) - 3);
  return Number((Math.round(value / step) * step).toPrecision(12));
}
