// The result as Markdown: one row a PyTorch form, and what the figures are below it.

const MEBIBYTE = 2 ** 20;

/** @param {object} result - the whole document, as `--json` prints it */
export function renderMarkdown(result) {
  const header = [
    "case",
    "PyTorch's form",
    "unit",
    "stopgrad",
    "PyTorch",
    "times as fast",
    "stopgrad's peak MiB",
    "PyTorch's",
  ];
  const rows = result.cases.flatMap((one) => {
    const mine = [one.unit, value(one.stopgrad)];
    const peak = bytes(one.stopgrad.peakBytes);
    if (one.pytorch.length === 0) return [[one.title, "–", ...mine, "–", "–", peak, "–"]];
    return one.pytorch.map((other) => {
      return [one.title, other.title, ...mine, value(other), ratio(other.ratio), peak, bytes(other.peakBytes)];
    });
  });
  const line = (cells) => `| ${cells.join(" | ")} |`;
  const rule = header.map((_, column) => (column < 3 ? "---" : "--:"));
  return [line(header), line(rule), ...rows.map(line), "", ...result.notes.map((note) => `- ${note}`), ""].join("\n");
}

function value({ median, min, max }) {
  return `${number(median)} (${number(min)}–${number(max)})`;
}

function ratio({ median, min, max }) {
  return `**${number(median)}** (${number(min)}–${number(max)})`;
}

function bytes(count) {
  return count === null ? "–" : number(count / MEBIBYTE);
}

/** Three significant digits, never fewer than the whole part. */
export function number(value) {
  const decimals = value >= 99.95 ? 0 : value >= 9.995 ? 1 : value >= 0.9995 ? 2 : 3;
  const [whole, fraction] = value.toFixed(decimals).split(".");
  return whole.replace(/\B(?=(\d{3})+$)/g, ",") + (fraction === undefined ? "" : `.${fraction}`);
}
