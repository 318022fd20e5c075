import { describe, expect, it } from "vitest";
import {
  byteUnit,
  count,
  escapeHtml,
  formatDifference,
  formatFixed,
  formatMultiplyAdds,
  formatNumber,
  formatPercent,
  formatSignificant,
  formatSpread,
  joinWords,
  multiplyAddUnit,
  timeUnit,
} from "../../src/report/format.js";
import { summarise } from "../../src/statistics/index.js";

describe("numbers as people read them", () => {
  it("groups thousands and has a real minus sign, but no minus zero", () => {
    expect(formatFixed(-1234567.891, 2)).toBe("−1,234,567.89");
    expect(formatFixed(-0.001, 2)).toBe("0.00");
    expect(formatFixed(999.9999, 2)).toBe("1,000.00");
    expect(formatFixed(0.12345, 5)).toBe("0.12345");
    expect(formatFixed(Number.NaN, 2)).toBe("–");
    expect([0, 0.1234, 4.567, 45.67, 456.7, 12345].map(formatNumber)).toEqual([
      "0",
      "0.123",
      "4.57",
      "45.7",
      "457",
      "12,345",
    ]);
  });

  it("keeps four significant digits, however small or large", () => {
    const values = [0, 0.431, 12.345, 309.75, 1425.2, -805.723, 0.00043219, 4.3219e-7, -1e-12, 123456789012, 9.99996];
    expect(values.map((value) => formatSignificant(value))).toEqual([
      "0",
      "0.4310",
      "12.35",
      "309.8",
      "1,425",
      "−805.7",
      "0.0004322",
      "4.322e−7",
      "−1.000e−12",
      "1.235e11",
      "10.00",
    ]);
    expect(formatSignificant(0.0015749, 3)).toBe("0.00157");
    expect(formatSignificant(Number.NaN)).toBe("–");
  });

  it("writes spreads and differences", () => {
    expect(formatSpread(summarise([0.6427, 0.6458, 0.6489]), formatPercent)).toBe("64.58 ± 0.31");
    expect(formatSpread(summarise([0.6458]), formatPercent)).toBe("64.58");
    expect(formatSpread(null, formatPercent)).toBe("–");
    const difference = { difference: -0.008, interval: [-0.013, 0.003] as const, method: "paired" as const };
    const counts = { means: [0.642, 0.65] as const, given: [3, 3] as const, n: 3, degreesOfFreedom: 2 };
    expect(formatDifference({ ...difference, ...counts }, formatPercent)).toBe("−0.80 [−1.30, +0.30]");
  });

  it("writes multiply-adds as papers do, in one unit for a column", () => {
    const alone = (value: number) =>
      `${formatMultiplyAdds(value, multiplyAddUnit(value))} ${multiplyAddUnit(value).name}`;
    const known = [555_422_720, 69_124_736, 253_100_000, 1_814_000_000, 21.9e9, 651_720, 8_400, 0];
    expect(known.map(alone)).toEqual(["0.56 G", "69.1 M", "0.25 G", "1.81 G", "21.9 G", "0.65 M", "8.40 k", "0 k"]);
    const giga = multiplyAddUnit(555_422_720);
    expect([0, 651_720, 4_240_000, 253_000_000_000].map((value) => formatMultiplyAdds(value, giga))).toEqual([
      "0",
      "0.00065",
      "0.0042",
      "253",
    ]);
  });

  it("chooses units and words", () => {
    expect([2 ** 31, 2 ** 21, 2000].map((bytes) => byteUnit(bytes).name)).toEqual(["GiB", "MiB", "KiB"]);
    expect([20_000, 700, 80].map((seconds) => timeUnit(seconds).name)).toEqual(["h", "min", "s"]);
    expect(joinWords(["a", "b", "c"])).toBe("a, b and c");
    expect([count(1, "seed"), count(1200, "seed")]).toEqual(["1 seed", "1,200 seeds"]);
    expect(escapeHtml(`<a href="x">'&'</a>`)).toBe("&lt;a href=&quot;x&quot;&gt;&#39;&amp;&#39;&lt;/a&gt;");
  });
});
