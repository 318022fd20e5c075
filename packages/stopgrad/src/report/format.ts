// Numbers and names as people read them: percent, mean ± spread, bytes, times; and escaping for HTML.
// Stored values stay plain (fractions, bytes, seconds); units are chosen here and nowhere else.
import type { Difference, Summary } from "../statistics/index.js";

/** A unit to show a stored number in: the number is divided by `per`. */
export interface Unit {
  name: string;
  per: number;
}

/** Shown where nothing was measured. */
export const nothing = "–";

/** Fixed decimals, thousands separated by commas, a real minus sign: −1,234.50. */
export function formatFixed(value: number, decimals: number): string {
  if (!Number.isFinite(value)) return nothing;
  const text = Math.abs(value).toFixed(decimals);
  const [whole, fraction] = text.split(".");
  const grouped = whole!.replace(/\B(?=(\d{3})+$)/g, ",");
  const sign = value < 0 && Number(text) !== 0 ? "−" : "";
  return `${sign}${grouped}${fraction === undefined ? "" : `.${fraction}`}`;
}

/** About three significant digits, never fewer than the whole part: 0.123, 4.56, 78.9, 1,235. */
export function formatNumber(value: number): string {
  const size = Math.abs(value);
  const decimals = size === 0 || size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3;
  return formatFixed(value, decimals);
}

/**
 * Four significant digits, however large or small: 0.4310, 12.35, 309.8, 1,425, 0.000432; powers of ten below a ten
 * thousandth (4.31e−7) and above a hundred million.
 */
export function formatSignificant(value: number, digits = 4): string {
  if (!Number.isFinite(value)) return nothing;
  if (value === 0) return "0";
  const [mantissa, power] = Math.abs(value)
    .toExponential(digits - 1)
    .split("e") as [string, string];
  const exponent = Number(power);
  const sign = value < 0 ? "−" : "";
  if (exponent < -4 || exponent > 8) return `${sign}${mantissa}e${exponent < 0 ? "−" : ""}${Math.abs(exponent)}`;
  return formatFixed(value, Math.max(0, digits - 1 - exponent));
}

/** A fraction in [0, 1] as a percentage without the sign: 0.6458 → 64.58. */
export function formatPercent(fraction: number, decimals = 2): string {
  return formatFixed(100 * fraction, decimals);
}

/** `64.58 ± 0.31`; the mean alone where one value has no spread. */
export function formatSpread(summary: Summary | null, format: (value: number) => string): string {
  if (summary === null) return nothing;
  return summary.std === null ? format(summary.mean) : `${format(summary.mean)} ± ${format(summary.std)}`;
}

/** `−0.80 [−1.30, −0.30]`, a plus sign before what is above zero. */
export function formatDifference(difference: Difference | null, format: (value: number) => string): string {
  if (difference === null) return nothing;
  const text = signed(difference.difference, format);
  if (difference.interval === null) return text;
  return `${text} [${signed(difference.interval[0], format)}, ${signed(difference.interval[1], format)}]`;
}

/** `[0.30, 1.30]` */
export function formatInterval(interval: readonly [number, number], format: (value: number) => string): string {
  return `[${format(interval[0])}, ${format(interval[1])}]`;
}

export function signed(value: number, format: (value: number) => string): string {
  const text = format(value);
  return value > 0 && /[1-9]/.test(text) ? `+${text}` : text;
}

/** One unit for a whole column of bytes, by its largest. */
export function byteUnit(largestBytes: number): Unit {
  if (largestBytes >= 2 ** 30) return { name: "GiB", per: 2 ** 30 };
  if (largestBytes >= 2 ** 20) return { name: "MiB", per: 2 ** 20 };
  return { name: "KiB", per: 2 ** 10 };
}

/** One unit for a whole column of multiply-adds, by its largest: 0.56 G, 69.1 M, as papers have it; 1.20 P in all. */
export function multiplyAddUnit(largest: number): Unit {
  if (largest >= 1e14) return { name: "P", per: 1e15 };
  if (largest >= 1e11) return { name: "T", per: 1e12 };
  if (largest >= 1e8) return { name: "G", per: 1e9 };
  if (largest >= 1e5) return { name: "M", per: 1e6 };
  return { name: "k", per: 1e3 };
}

/** In that unit, with two decimals, less above 10 and more below 0.1: 0.0042, 0.56, 69.1, 253; none at all are 0. */
export function formatMultiplyAdds(multiplyAdds: number, unit: Unit): string {
  const value = multiplyAdds / unit.per;
  if (value === 0) return "0";
  const decimals = value < 0.1 ? 1 - Math.floor(Math.log10(value)) : value < 10 ? 2 : value < 100 ? 1 : 0;
  return formatFixed(value, decimals);
}

/** One unit for a whole column of seconds, by its largest. */
export function timeUnit(largestSeconds: number): Unit {
  if (largestSeconds >= 3 * 3600) return { name: "h", per: 3600 };
  if (largestSeconds >= 600) return { name: "min", per: 60 };
  return { name: "s", per: 1 };
}

/** `a`, `a and b`, `a, b and c`. */
export function joinWords(words: readonly string[]): string {
  return words.length < 2 ? (words[0] ?? "") : `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`;
}

/** `1 seed`, `3 seeds`. */
export function count(n: number, noun: string): string {
  return `${formatFixed(n, 0)} ${noun}${n === 1 ? "" : "s"}`;
}

/** Text that stands for itself in HTML, in an element or a quoted attribute. */
export function escapeHtml(text: string): string {
  return text
    .replace(/&/g, "&amp;")
    .replace(/</g, "&lt;")
    .replace(/>/g, "&gt;")
    .replace(/"/g, "&quot;")
    .replace(/'/g, "&#39;");
}
