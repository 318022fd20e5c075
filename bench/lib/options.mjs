// The command line.

import { parseArgs } from "node:util";
import { cases as all, greedyCases, IMAGES, measureCases, ruleCases } from "../cases.mjs";

export const USAGE = `usage: npm run bench -- [options]

  --quick          fewer repeats, under two minutes
  --rules          what each way of learning costs beside end-to-end cross-entropy, instead of PyTorch
  --greedy         memory and speed of ResNet-110 in sixteen modules beside end to end, instead of PyTorch
  --measures       measures of ResNet18's stages beside its forward pass and PyTorch, two threads, about four minutes
  --images N       of a split, for --measures (${IMAGES}; ratios do not depend on it)
  --case NAME      only this one, may be repeated: ${all.map(({ name }) => name).join(", ")}
  --threads N      threads of either side (1; 2 for --measures)
  --data-dir DIR   where CIFAR-10 is; else STOPGRAD_DATA, else the user's cache, else random images
  --json           one JSON document on standard output
  --record         also write bench/results/<date>-<cpu>.json and .md, and the table in docs/benchmarks.md
                   (a full run only)
  --help`;

/** The user asked for something that cannot be: exit status 2. */
export class UsageError extends Error {}

/** @param {string[]} argv @throws UsageError */
export function parseOptions(argv) {
  const { values } = parse(argv);
  const tables = ["rules", "greedy", "measures"].filter((name) => values[name]);
  if (tables.length > 1) throw new UsageError(`expected one of ${tables.map((name) => `--${name}`).join(" and ")}`);
  const [table = "pytorch"] = tables;
  const usualThreads = table === "measures" ? 2 : 1;
  const threads = Number(values.threads ?? usualThreads);
  if (!Number.isInteger(threads) || threads < 1) {
    throw new UsageError(`--threads: expected a whole number of at least 1, got ${values.threads}`);
  }
  const cases = {
    rules: ruleCases,
    greedy: greedyCases,
    measures: measureCases(imagesOf(values.images, table)),
    pytorch: all,
  }[table];
  const chosen = values.case ?? [];
  const unknown = chosen.find((name) => !cases.some((one) => one.name === name));
  if (unknown !== undefined) {
    throw new UsageError(`unknown case: ${unknown} (known: ${cases.map(({ name }) => name).join(", ")})`);
  }
  if (values.record && (values.quick || chosen.length > 0)) {
    throw new UsageError("--record: expected a full run, got --quick or --case");
  }
  return {
    help: values.help ?? false,
    quick: values.quick ?? false,
    json: values.json ?? false,
    record: values.record ?? false,
    table,
    dataDir: values["data-dir"],
    threads,
    usualThreads,
    cases: cases
      .filter(({ name }) => chosen.length === 0 || chosen.includes(name))
      .map((one) => (values.quick ? { ...one, ...quickOf(one) } : one)),
  };
}

/** @returns images of a split; undefined for the usual number */
function imagesOf(given, table) {
  if (given === undefined) return undefined;
  if (table !== "measures") throw new UsageError("--images: expected --measures with it");
  const images = Number(given);
  // Both splits are of CIFAR-10's 50,000 training images.
  if (!Number.isInteger(images) || images < 128 || images > 25_000) {
    throw new UsageError(`--images: expected a whole number from 128 to 25000, got ${given}`);
  }
  return images;
}

/** A quick turn is shorter on both sides. */
function quickOf({ count, forms, quick }) {
  const turn = quick.count;
  return {
    repeats: quick.repeats,
    count: turn ?? count,
    forms: forms.map((form) => ({ ...form, count: turn ?? form.count })),
  };
}

function parse(argv) {
  try {
    return parseArgs({
      args: argv,
      options: {
        quick: { type: "boolean" },
        case: { type: "string", multiple: true },
        rules: { type: "boolean" },
        greedy: { type: "boolean" },
        measures: { type: "boolean" },
        images: { type: "string" },
        threads: { type: "string" },
        "data-dir": { type: "string" },
        json: { type: "boolean" },
        record: { type: "boolean" },
        help: { type: "boolean", short: "h" },
      },
    });
  } catch (error) {
    throw new UsageError(error.message);
  }
}
