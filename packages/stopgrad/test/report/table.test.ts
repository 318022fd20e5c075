import { describe, expect, it } from "vitest";
import { renderCsv, renderHtml, renderMarkdown, renderText, type Table } from "../../src/report/index.js";

const table: Table = {
  name: "example",
  title: "Example",
  columns: [
    { title: "variant", align: "left", fields: ["variant"] },
    { title: "accuracy", unit: "%", align: "right", fields: ["accuracyMean", "accuracyStd"] },
  ],
  rows: [
    [
      { text: "e2e", data: ["e2e"] },
      { text: "64.58 ± 0.31", data: [0.6458, 0.0031], best: true },
    ],
    [
      { text: 'a,"b"\n|*c*|', data: ['a,"b"\n|*c*|'] },
      { text: "7.00", data: [0.07, null] },
    ],
  ],
  notes: ["Last epoch."],
};

describe("a table, four ways", () => {
  it("text: aligned, one line a row, control characters gone", () => {
    expect(renderText(table)).toBe(
      [
        "Example",
        "",
        "variant      accuracy (%)",
        "───────────  ────────────",
        "e2e          64.58 ± 0.31",
        'a,"b" |*c*|          7.00',
        "",
        "Last epoch.",
        "",
      ].join("\n"),
    );
    expect(renderText(table, { bold: true })).toContain("\u001b[1m64.58 ± 0.31\u001b[22m\n");
    const coloured: Table = { ...table, rows: [[{ text: "\u001b[31mred", data: [""] }, table.rows[0]![1]!]] };
    expect(renderText(coloured)).not.toContain("\u001b");
  });

  it("text: lines up names in any script", () => {
    const row = (text: string) => [
      { text, data: [text] },
      { text: "1", data: [1, 0] },
    ];
    const lines = renderText({ ...table, rows: [row("層ごと"), row("e\u0301tape")], notes: [] }).split("\n");
    expect(lines[4]).toBe("層ごと              1"); // six columns wide
    expect(lines[5]).toBe("e\u0301tape               1"); // five
  });

  it("Markdown: best in bold, a cell cannot end a cell", () => {
    expect(renderMarkdown(table)).toBe(
      [
        "### Example",
        "",
        "| variant | accuracy (%) |",
        "| :--- | ---: |",
        "| e2e | **64.58 ± 0.31** |",
        '| a,"b" \\|\\*c\\*\\| | 7.00 |',
        "",
        "Last epoch.",
        "",
      ].join("\n"),
    );
  });

  it("CSV: RFC 4180, full precision, unknown left empty", () => {
    expect(renderCsv(table)).toBe(
      'variant,accuracyMean,accuracyStd\r\ne2e,0.6458,0.0031\r\n"a,""b""\n|*c*|",0.07,\r\n',
    );
  });

  it("HTML: every text escaped", () => {
    const hostile = renderHtml({
      ...table,
      title: "<b>",
      rows: [[{ text: "<script>alert(1)</script>", data: [""] }, table.rows[0]![1]!]],
      notes: ["<i>"],
    });
    expect(hostile).toContain("&lt;script&gt;alert(1)&lt;/script&gt;");
    expect(hostile).toContain("<strong>64.58 ± 0.31</strong>");
    expect(hostile).not.toMatch(/<script|<b>|<i>/);
  });
});
