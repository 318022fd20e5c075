import { describe, expect, it } from "vitest";
import {
  renderCsv,
  renderSvg,
  renderText,
  sensitivityChart,
  sensitivityTable,
  sensitivityValuesTable,
} from "../../src/report/index.js";
import type { Conclusion } from "../../src/statistics/index.js";

const none = { holds: 0, flips: 0, yes: 0, no: 0, "cannot be told": 0 };
const conclusions: Conclusion[] = [
  {
    statement: "conv1 compresses",
    quantity: "compression of X",
    threshold: 0.05,
    findings: [
      { setting: "default", value: 0.2, interval: [0.15, 0.25], verdict: "holds" },
      { setting: "sigma 1", value: 0.01, interval: [0, 0.02], verdict: "flips" },
      { setting: "batch 64", value: null, interval: null, verdict: "cannot be told" },
    ],
    counts: { ...none, holds: 1, flips: 1, "cannot be told": 1 },
  },
  {
    statement: "order by nHSIC(Y,Z): a < constructor",
    quantity: "τ with the default's order",
    threshold: null,
    findings: ["default", "sigma 1", "batch 64"].map((setting) => ({
      setting,
      value: 1,
      interval: null,
      verdict: "holds",
    })),
    counts: { ...none, holds: 3 },
  },
];

describe("sensitivity in tables and a picture", () => {
  it("has a line a conclusion", () => {
    const text = renderText(sensitivityTable(conclusions, "title", ["note"]));
    expect(text).toMatch(/conv1 compresses +compression of X > 0.05 +0.200 \[0.150, 0.250\]/);
    expect(text).toContain("flips with sigma 1; holds in 1 of 3 settings; cannot be told with batch 64");
    expect(text).toContain("holds in 3 of 3 settings");
  });

  it("has every number, empty where there is none", () => {
    const rows = renderCsv(sensitivityValuesTable(conclusions)).trim().split("\r\n");
    expect(rows).toHaveLength(7);
    expect(rows[1]).toBe("conv1 compresses,compression of X,0.05,default,0.2,0.15,0.25,holds");
    expect(rows[3]).toBe("conv1 compresses,compression of X,0.05,batch 64,,,,cannot be told");
  });

  it("draws a panel a conclusion", async () => {
    const chart = sensitivityChart(conclusions)!;
    const svg = await renderSvg(chart.spec);
    for (const text of ["conv1 compresses", "compression of X", "sigma 1", "flips", "< constructor"]) {
      expect(svg.replaceAll("&lt;", "<")).toContain(text);
    }
    expect(sensitivityChart([])).toBeNull();
  });

  it("draws only the settings that are shown, and says so", async () => {
    const chart = sensitivityChart(conclusions, ["default", "batch 64"])!;
    expect(chart.caption).toContain("Of 3 settings 2 are drawn.");
    expect(await renderSvg(chart.spec)).not.toContain("sigma 1");
  });
});
