import { describe, expect, it } from "vitest";
import {
  renderCsv,
  renderSvg,
  renderText,
  sensitivityChart,
  sensitivitySummary,
  sensitivityTable,
  sensitivityValuesTable,
} from "../../src/report/index.js";
import type { Conclusion, Verdict } from "../../src/statistics/index.js";

const none = { holds: 0, flips: 0, yes: 0, no: 0, "cannot be told": 0 };
const conclusions: Conclusion[] = [
  {
    statement: "compression of X at conv1 is above 0.05",
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
    expect(text).toMatch(/compression of X at conv1 is above 0.05 +compression of X > 0.05 +0.200 \[0.150, 0.250\]/);
    expect(text).toContain("flips with sigma 1; holds in 1 of 3 settings; cannot be told with batch 64");
    expect(text).toContain("holds in 3 of 3 settings");
  });

  it("has every number, empty where there is none", () => {
    const rows = renderCsv(sensitivityValuesTable(conclusions)).trim().split("\r\n");
    expect(rows).toHaveLength(7);
    expect(rows[1]).toBe("compression of X at conv1 is above 0.05,compression of X,0.05,default,0.2,0.15,0.25,holds");
    expect(rows[3]).toBe("compression of X at conv1 is above 0.05,compression of X,0.05,batch 64,,,,cannot be told");
  });

  it("draws a panel a conclusion", async () => {
    const chart = sensitivityChart(conclusions)!;
    const svg = await renderSvg(chart.spec);
    for (const text of [
      "compression of X at conv1",
      "is above 0.05",
      "compression of X",
      "sigma 1",
      "flips",
      "< constructor",
    ]) {
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

/** A conclusion by its verdicts under 15 settings; the default's comes first. */
function judged(statement: string, verdicts: Partial<Record<Verdict, number>>): Conclusion {
  const all = (Object.entries(verdicts) as [Verdict, number][]).flatMap(([verdict, times]) =>
    Array.from({ length: times }, () => verdict),
  );
  const findings = all.map((verdict, at) => ({
    setting: settings[at]!,
    value: 0.2,
    interval: [-0.1, 0.3] as const,
    verdict,
  }));
  return { statement, quantity: "compression of X", threshold: 0.05, findings, counts: { ...none, ...verdicts } };
}
const settings = ["default", "laplacian kernel", "linear kernel", "plain distance", "sigma 1", "sigma 2", "sigma 10"];
settings.push("median width", "epsilon 1e-6", "epsilon 1e-4", "epsilon 1e-3", "batch 64", "batch 256", "batch 512");
settings.push("train split");

describe("a summary for the terminal", () => {
  const chain = Array.from({ length: 16 }, (_, at) => `layer${at}.block`).join(" < ");
  const many = [
    judged("compression of X at conv1 is above 0.05", { holds: 15 }),
    judged("compression of X at conv2 is above 0.05", { holds: 10, flips: 5 }),
    judged("compression of X at conv3 is above 0.05", { holds: 14, flips: 1 }),
    judged("compression of X at conv4 is above 0.05", { holds: 9, "cannot be told": 6 }),
    judged("whether compression of X at conv5 is above 0.05", { "cannot be told": 10, yes: 3, no: 2 }),
    judged(`order by nHSIC(Y,Z): ${chain}`, { holds: 15 }),
    ...Array.from({ length: 20 }, (_, at) => judged(`whether ${at}`, { "cannot be told": 15 })),
  ];
  const notes = ["A conclusion holds where the interval of its number lies on one side. ".repeat(4).trim()];
  const text = sensitivitySummary(many, "title", notes);
  const lines = text.split("\n");

  it("counts first", () => {
    expect(lines.slice(0, 3).join(" ")).toContain(
      "2 of 26 conclusions hold in every setting, 2 flip in some, 1 hold in some and cannot be told in the others, " +
        "1 cannot be told by the default setting but by others, 20 cannot be told in any.",
    );
    expect(sensitivitySummary([many[0]!], "title", [])).toContain("1 of 1 conclusion holds in every setting.\n");
    expect(sensitivitySummary([many.at(-1)!], "title", [])).toContain(
      "0 of 1 conclusion holds in every setting, 1 cannot be told in any.\n",
    );
  });

  it("has a row under headings for each that some setting tells, with what flips it under it", () => {
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(120);
    const top = lines.findIndex((line) => line.endsWith("in so many of 15 settings"));
    expect(lines[top + 1]).toMatch(/^conclusion +default \[95 %\] {2}holds {2}flips {2}cannot tell$/);
    expect(text).toMatch(/conv1 is above 0.05 +0.200 \[−0.100, 0.300\] +15 +0 +0\n/);
    expect(text).toMatch(
      /conv2 is above 0.05 .* 10 +5 +0\n {4}flips with epsilon 1e-3, batch 64, batch 256, batch 512, train split\n/,
    );
    expect(text).toMatch(/conv3 .* 14 +1 +0\n {4}flips with train split\n/);
    expect(text).toMatch(/conv4 .* 9 +0 +6\n/);
    expect(text).toMatch(/whether.*conv5.* 3 +2 +10\n/);
    expect(text).toContain(
      'After "whether", which the default setting cannot tell, "holds" counts yes and "flips" no.',
    );
    expect(text).not.toContain("whether 7");
    const certain = sensitivitySummary([many[0]!], "title", []);
    expect(certain).not.toContain("whether");
    expect(certain).not.toContain("τ");
  });

  it("has names whole, and says what τ is", () => {
    const squeezed = text.replace(/\s+/g, " ");
    for (const stage of chain.split(" < ")) expect(squeezed).toContain(stage);
    expect(text).not.toContain("…");
    const order = { ...judged(`order by nHSIC(Y,Z): ${chain}`, { holds: 2, flips: 1 }), threshold: null };
    for (const [at, value] of [1, 0.9, -0.25].entries()) order.findings[at]!.value = value;
    const ordered = sensitivitySummary([order], "title", []);
    expect(ordered).toMatch(/^order by nHSIC\(Y,Z\): layer0.block < .* τ ≥ −0.250 +2 +1 +0$/m);
    expect(ordered.replace(/\s+/g, " ")).toContain("Kendall's rank correlation (τ_b) of an order with the default's");
  });

  it.each([72, 80, 200])("fits a terminal of %i columns", (width) => {
    const fitted = sensitivitySummary(many, "A title of some words ".repeat(8).trim(), notes, width);
    for (const line of fitted.split("\n")) expect(line.length).toBeLessThanOrEqual(width);
    expect(fitted).toMatch(/^conclusion +default/m);
    const long = judged("x".repeat(150), { holds: 15 });
    for (const line of sensitivitySummary([long], "title", [], width).split("\n")) {
      expect(line.length).toBeLessThanOrEqual(width);
    }
  });

  it("draws at most 24 panels, those with differing verdicts first, and says so", () => {
    const chart = sensitivityChart([...many.slice(6), ...many.slice(0, 6)])!;
    const spec = JSON.stringify(chart.spec);
    expect(spec.match(/"height":\{"step"/g)).toHaveLength(24);
    const at = (statement: string) => spec.indexOf(statement);
    expect(at("conv2")).toBeGreaterThan(0);
    expect(at("conv2")).toBeLessThan(at("conv4"));
    expect(at("conv4")).toBeLessThan(at("conv1"));
    expect(at("conv1")).toBeLessThan(at("whether 0"));
    expect(at("whether 17")).toBeGreaterThan(0);
    expect(at("whether 18")).toBe(-1);
    expect(chart.caption).toContain("Of 26 conclusions 24 are drawn");
    expect(sensitivityChart(many.slice(0, 24))!.caption).not.toContain("are drawn");
  });
});
