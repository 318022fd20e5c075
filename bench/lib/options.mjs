// The command line.

import { parseArgs } from "node:util";
import { cases as all, greedyCases, ruleCases } from "../cases.mjs";

export const USAGE = `usage: npm run bench -- [options]

  --quick          fewer repeats, under two minutes
  --rules          what each way of learning costs beside end-to-end cross-entropy, instead of PyTorch
  --greedy         memory and speed of ResNet-110 in sixteen modules beside end to end, instead of PyTorch
  --case NAME      only this one, may be repeated: ${all.map(({ name }) => name).join(", ")}
  --threads N      threads of either side (1)
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
  const threads = Number(values.threads ?? 1);
  if (!Number.isInteger(threads) || threads < 1) {
    throw new UsageError(`--threads: expected a whole number of at least 1, got ${values.threads}`);
  }
  if (values.rules && values.greedy) throw new UsageError("expected --rules or --greedy, got both");
  const table = values.rules ? "rules" : values.greedy ? "greedy" : "pytorch";
  const cases = { rules: ruleCases, greedy: greedyCases, pytorch: all }[table];
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
    cases: cases
      .filter(({ name }) => chosen.length === 0 || chosen.includes(name))
      .map((one) => (values.quick ? { ...one, ...quickOf(one) } : one)),
  };
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
