// The result as Markdown: one row a PyTorch form, and what the figures are below it.

const MEBIBYTE = 2 ** 20;

/** @param {object} result - the whole document, as `--json` prints it */
export function renderMarkdown(result) {
  if (result.table === "rules") return renderRules(result);
  if (result.table === "greedy") return renderGreedy(result);
  if (result.table === "measures") return renderMeasures(result);
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
    const mine = [one.unit, value(one.stopgrad, one.unit)];
    const peak = bytes(one.stopgrad);
    if (one.pytorch.length === 0) return [[one.title, "–", ...mine, "–", "–", peak, "–"]];
    return one.pytorch.map((other) => {
      return [one.title, other.title, ...mine, value(other, one.unit), ratio(other.ratio), peak, bytes(other)];
    });
  });
  const line = (cells) => `| ${cells.join(" | ")} |`;
  const rule = header.map((_, column) => (column < 3 ? "---" : "--:"));
  return [line(header), line(rule), ...rows.map(line), "", ...result.notes.map((note) => `- ${note}`), ""].join("\n");
}

/** One row a way of learning: its rate and peak, and shares of end-to-end cross-entropy's in the same turns. */
function renderRules({ cases, notes }) {
  const header = ["way of learning", "images/s", "of end to end", "peak MiB", "of end to end"];
  const rows = cases.map(({ title, stopgrad, pytorch: [plain] }) => {
    const share = stopgrad.peakBytes / plain.peakBytes;
    return [title, value(stopgrad, "images/s"), ratio(plain.ratio), bytes(stopgrad), `**${number(share)}**`];
  });
  const line = (cells) => `| ${cells.join(" | ")} |`;
  const rule = header.map((_, column) => (column < 1 ? "---" : "--:"));
  return [line(header), line(rule), ...rows.map(line), "", ...notes.map((note) => `- ${note}`), ""].join("\n");
}

/** One row a way of training: its rate and its bytes beside end to end's, and beside the other form's where there is one. */
function renderGreedy({ cases, notes }) {
  const header = [
    "way of training",
    "images/s",
    "of end to end",
    "activations MiB",
    "of end to end",
    "peak MiB",
    "of DGL: images/s",
    "peak",
  ];
  const rows = cases.map(({ title, stopgrad, pytorch }) => {
    const plain = pytorch.find(({ form }) => form === "end-to-end") ?? null;
    const dgl = pytorch.find(({ form }) => form === "DGL");
    return [
      title,
      value(stopgrad, "images/s"),
      plain ? ratio(plain.ratio) : "–",
      stopgrad.activationBytes === null ? "–" : number(stopgrad.activationBytes / MEBIBYTE),
      !plain ? "–" : `**${number(plain.activations)}**`,
      number(stopgrad.peakBytes / MEBIBYTE),
      dgl ? ratio(dgl.ratio) : "–",
      dgl ? `**${number(dgl.peak)}**` : "–",
    ];
  });
  const line = (cells) => `| ${cells.join(" | ")} |`;
  const rule = header.map((_, column) => (column < 1 ? "---" : "--:"));
  return [line(header), line(rule), ...rows.map(line), "", ...notes.map((note) => `- ${note}`), ""].join("\n");
}

/** One row a measure and what it is beside: seconds of both, how many times as long it takes, peaks. */
function renderMeasures({ cases, notes }) {
  const header = ["measured", "s", "beside", "s", "times as long", "at most", "peak MiB", "beside's"];
  const rows = cases.flatMap((one) => {
    const mine = [one.title, value(one.stopgrad, "s")];
    if (one.pytorch.length === 0) return [[...mine, "–", "–", "–", "–", bytes(one.stopgrad), "–"]];
    return one.pytorch.map((other) => {
      const most = other.most ?? (other.target === null ? null : 1 / other.target);
      const longer = ratio(inverse(other.ratio));
      const limit = most === null ? "–" : number(most);
      return [...mine, other.title, value(other, "s"), longer, limit, bytes(one.stopgrad), bytes(other)];
    });
  });
  const line = (cells) => `| ${cells.join(" | ")} |`;
  const rule = header.map((_, column) => (column === 0 || column === 2 ? "---" : "--:"));
  return [line(header), line(rule), ...rows.map(line), "", ...notes.map((note) => `- ${note}`), ""].join("\n");
}

function inverse({ median, min, max }) {
  return { median: 1 / median, min: 1 / max, max: 1 / min };
}

/**
 * How much longer a step takes than layer-wise cross-entropy's, less what further views cost: both sides' times are of
 * `views` times as many rows. Turn by turn.
 */
export function overheadOf({ pytorch, overhead: { views } }) {
  const { ratio: layerWise } = pytorch.find(({ form }) => form === "layer-wise");
  return 1 / (layerWise.median * views) - 1;
}

function value({ median, min, max }, unit) {
  const show = unit === "s" ? duration : number;
  return `${show(median)} (${show(min)}–${show(max)})`;
}

function ratio({ median, min, max }) {
  return `**${number(median)}** (${number(min)}–${number(max)})`;
}

function bytes({ peakBytes, activationBytes }) {
  if (peakBytes === null) return "–";
  const whole = number(peakBytes / MEBIBYTE);
  return activationBytes === null ? whole : `${whole} (${number(activationBytes / MEBIBYTE)})`;
}

/** Seconds, or microseconds where there are few. */
export function duration(seconds) {
  return seconds < 1e-3 ? `${number(seconds * 1e6)} µs` : `${number(seconds)} s`;
}

/** Three significant digits, never fewer than the whole part. */
export function number(value) {
  const decimals = value >= 99.95 ? 0 : value >= 9.995 ? 1 : value >= 0.9995 ? 2 : 3;
  const [whole, fraction] = value.toFixed(decimals).split(".");
  return whole.replace(/\B(?=(\d{3})+$)/g, ",") + (fraction === undefined ? "" : `.${fraction}`);
}
