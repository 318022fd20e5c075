#!/usr/bin/env node
// `npm run bench`: stopgrad beside Python PyTorch, same machine, libtorch, threads, batch and data, in one run.
//
// Progress goes to standard error, a Markdown table (or `--json`) to standard output. What is measured stands in
// cases.mjs, how it is counted in docs/benchmarks.md. Ends with 0, 1 after a failure, 2 on wrong usage, 130 when
// interrupted.

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, loadavg, tmpdir, totalmem } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { refusedDevice } from "../packages/stopgrad/dist/experiment/device.js";
import { BATCH } from "./cases.mjs";
import { writeData } from "./lib/data.mjs";
import { measureCase, running } from "./lib/measure.mjs";
import { parseOptions, USAGE, UsageError } from "./lib/options.mjs";
import { findPython, HOW_TO_GET_PYTORCH } from "./lib/python.mjs";
import { duration, number, overheadOf, renderMarkdown } from "./lib/table.mjs";

const SEED = 1;
const results = fileURLToPath(new URL("results", import.meta.url));
const page = fileURLToPath(new URL("../docs/benchmarks.md", import.meta.url));
/** Between these stands the last recorded table on that page. */
const RECORDED = {
  pytorch: /(<!-- recorded -->\n)[\s\S]*?(<!-- end -->)/,
  rules: /(<!-- recorded rules -->\n)[\s\S]*?(<!-- end -->)/,
  measures: /(<!-- recorded measures -->\n)[\s\S]*?(<!-- end -->)/,
  greedy: /(<!-- recorded greedy -->\n)[\s\S]*?(<!-- end -->)/,
};
/** What the peaks of a table are, where it is not what training's are. */
const PEAK = {
  measures: "Peak: tensors beside weights and images (of features that are given: beside them), in the last turn.",
};
const say = (line) => process.stderr.write(`bench: ${line}\n`);

let temporary;
process.on("exit", () => {
  for (const contestant of running) contestant.kill();
  if (temporary !== undefined) rmSync(temporary, { recursive: true, force: true });
});
for (const [signal, status] of Object.entries({ SIGINT: 130, SIGTERM: 143 })) {
  process.on(signal, () => process.exit(status));
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  say(error.message);
  if (error instanceof UsageError) process.stderr.write(`${USAGE}\n`);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}

async function main(argv) {
  const options = parseOptions(argv);
  if (options.help) {
    process.stdout.write(`${USAGE}\n`);
    return;
  }
  const started = performance.now();
  const loadAtStart = loadavg()[0];
  const python = findPython();
  if (python === null) say(`no Python imports torch, so that stopgrad runs alone: ${HOW_TO_GET_PYTORCH}`);
  temporary = mkdtempSync(join(tmpdir(), "stopgrad-bench-"));
  const data = await writeData(temporary, options.dataDir);
  say(`data: ${data.name}, ${data.count} images; ${options.threads === 1 ? "1 thread" : `${options.threads} threads`}`);

  const job = { threads: options.threads, batch: BATCH, seed: SEED, directory: temporary, data };
  const measured = [];
  const leftOut = [];
  for (const one of options.cases) {
    const missing = one.device === undefined ? null : refusedDevice(one.device);
    if (missing !== null) {
      leftOut.push(`${one.name}: left out, ${missing}.`);
      say(leftOut.at(-1));
      continue;
    }
    const fitting = one.forms.filter(({ needsBytes = 0 }) => availableBytes() >= needsBytes);
    for (const form of one.forms.filter((form) => python !== null && !fitting.includes(form))) {
      leftOut.push(`${one.name}, PyTorch ${form.name}: left out, it needs ${form.needsBytes / 1e9} GB of free memory.`);
    }
    measured.push(await measureCase({ ...one, forms: fitting }, { job, python, say }));
  }

  if (measured.length === 0) throw new Error(`nothing was measured: ${leftOut.join(" ")}`);
  const result = document(options, { argv, data, loadAtStart, measured, leftOut, started });
  const markdown = renderMarkdown(result);
  process.stdout.write(options.json ? `${JSON.stringify(result, null, 2)}\n` : markdown);
  if (options.record) record(result, markdown, options.usualThreads);
}

/** Everything that was measured and on what. */
function document(options, { argv, data, loadAtStart, measured, leftOut, started }) {
  const mine = measured[0].stopgrad.environment;
  const theirs = measured.flatMap(({ pytorch }) => pytorch).find(({ own }) => !own)?.environment ?? null;
  const result = {
    date: new Date().toISOString(),
    command: ["npm run bench", ...(argv.length > 0 ? ["--", ...argv] : [])].join(" "),
    commit: mine.commit,
    quick: options.quick,
    table: options.table,
    seconds: (performance.now() - started) / 1000,
    machine: { cpu: mine.cpu, cores: cpus().length, memoryBytes: totalmem(), platform: mine.platform, loadAtStart },
    threads: options.threads,
    batch: BATCH,
    data: data.name,
    versions: {
      stopgrad: mine.stopgrad,
      node: mine.node,
      libtorch: mine.libtorch,
      libtorchFile: mine.libtorchFile,
      blas: mine.blas,
      pytorch: theirs,
    },
    cases: measured.map(withoutEnvironment),
  };
  return { ...result, notes: [...notesOf(result), ...leftOut] };
}

function withoutEnvironment({ stopgrad, pytorch, ...rest }) {
  const without = ({ environment, ...figures }) => figures;
  return { ...rest, stopgrad: without(stopgrad), pytorch: pytorch.map(without) };
}

/** Sentences below the table: what the figures are, and what to be careful about. */
function notesOf({ machine, threads, batch, data, versions, commit, command, cases, date, seconds, table }) {
  const { pytorch } = versions;
  const notes = [
    `${date.slice(0, 10)}, \`${command}\` (${number(seconds / 60)} min), commit ${commit?.slice(0, 12) ?? "unknown"}` +
      `${commit?.endsWith("-dirty") ? " with changes" : ""}.`,
    `${machine.cpu}, ${machine.cores} cores, ${threads} thread${threads === 1 ? "" : "s"}, batch ${batch}, ${data}; ` +
      `stopgrad ${versions.stopgrad}, Node ${versions.node}, libtorch ${versions.libtorch}, ${versions.blas}.`,
    "Median of turns taken alternately (lowest–highest); the ratio is the median of the turns' own ratios.",
    PEAK[table] ??
      "Peak: tensors of parameters, gradients, optimizer, activations and batch (of nHSIC: beside the features); " +
        "the data set is not counted. In brackets: without weights and the optimizer's state.",
  ];
  if (table !== "pytorch" && table !== "measures") {
    notes.push("What a row is beside ran in turns between; a ratio is the median of the turns' own.");
  } else if (pytorch === null) {
    notes.push(`PyTorch was not measured: no Python imports torch (\`${HOW_TO_GET_PYTORCH}\`).`);
  } else {
    const same = pytorch.libtorchFile === versions.libtorchFile;
    notes.push(
      `PyTorch ${pytorch.torch}, Python ${pytorch.python}: ` +
        (same ? "the same libtorch file." : `another libtorch (${pytorch.libtorchFile}), so that kernels may differ.`),
    );
  }
  for (const { name, form, target, ratio, activations, activationsTarget, peak, peakTarget, most } of cases.flatMap(
    ({ name, pytorch }) => pytorch.map((other) => ({ name, ...other })),
  )) {
    if (target !== null) {
      const verdict = ratio.median >= target ? "met" : "missed";
      notes.push(`${name}, ${form}: the target is ${target} times as fast: ${verdict} with ${number(ratio.median)}.`);
    }
    if (most !== null) {
      const verdict = 1 / ratio.median <= most ? "met" : "missed";
      notes.push(
        `${name}, ${form}: the target is at most ${most} times as long: ${verdict} with ${number(1 / ratio.median)}.`,
      );
    }
    if (activationsTarget !== null) {
      const verdict = activations <= activationsTarget ? "met" : "missed";
      const percent = (share) => `${(share * 100).toFixed(0)} %`;
      notes.push(
        `${name}, ${form}: the target is ${percent(activationsTarget)} of its activations' bytes: ` +
          `${verdict} with ${percent(activations)}.`,
      );
    }
    if (peakTarget !== null) {
      const verdict = peak <= peakTarget ? "met" : "missed";
      notes.push(
        `${name}, ${form}: the target is at most ${peakTarget} times its peak: ${verdict} with ${number(peak)}.`,
      );
    }
  }
  for (const { name, pytorch } of cases) {
    for (const { largestDifference, largestDifferenceFromFloat64 } of pytorch) {
      if (largestDifference === null) continue;
      notes.push(
        `${name}: stopgrad's values differ from the direct formula's by at most ${largestDifference.toExponential(1)} ` +
          "(relative) as it is written, in float32, and by at most " +
          `${largestDifferenceFromFloat64.toExponential(1)} when all after its distances is float64.`,
      );
    }
  }
  for (const { name, limit, stopgrad } of cases.filter((one) => one.limit !== null)) {
    const verdict = stopgrad.median <= limit ? "met" : "missed";
    notes.push(`${name}: the target is at most ${duration(limit)}: ${verdict} with ${duration(stopgrad.median)}.`);
  }
  if (table === "greedy") {
    for (const { title, pytorch } of cases.filter((one) => one.pytorch.every(({ form }) => form !== "end-to-end"))) {
      const ratios = pytorch.map(({ form, ratio }) => `${number(ratio.median)} times as fast as ${form}`);
      notes.push(`${title}: ${ratios.join(", ")}.`);
    }
  }
  for (const one of cases.filter(({ overhead }) => overhead !== null)) {
    const [share, { most }] = [overheadOf(one), one.overhead];
    const percent = (value) => `${(value * 100).toFixed(0)} %`;
    notes.push(
      `${one.rule}: it may take ${percent(most)} longer than layer-wise cross-entropy with linear heads on as many rows: ` +
        `${share <= most ? "met" : "missed"} with ${percent(share)}.`,
    );
  }
  if (machine.loadAtStart > 0.5) {
    notes.push(`The machine was not idle (load ${machine.loadAtStart.toFixed(1)} at the start): expect noise.`);
  }
  return notes;
}

/** Memory that can be had without swapping; unlimited where the system does not say. */
function availableBytes() {
  try {
    return Number(/MemAvailable:\s+(\d+) kB/.exec(readFileSync("/proc/meminfo", "utf8"))[1]) * 1024;
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}

/** @param usualThreads - of the table on the page, which another number of threads leaves as it is */
function record(result, markdown, usualThreads) {
  const cpu = result.machine.cpu
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-|-$/g, "");
  const threads = result.threads === usualThreads ? "" : `-${result.threads}-threads`;
  const base = join(
    results,
    `${result.date.slice(0, 10)}-${cpu}${threads}${result.table === "pytorch" ? "" : `-${result.table}`}`,
  );
  mkdirSync(results, { recursive: true });
  writeFileSync(`${base}.json`, `${JSON.stringify(result, null, 2)}\n`);
  writeFileSync(`${base}.md`, `# Bench\n\n${markdown}`);
  say(`recorded ${base}.json and .md`);
  if (result.threads !== usualThreads) return;
  writeFileSync(
    page,
    readFileSync(page, "utf8").replace(RECORDED[result.table], (_, start, end) => `${start}\n${markdown}\n${end}`),
  );
  say(`put the table into ${page}`);
}
