#!/usr/bin/env node
// What measures cost beside the forward pass that they look at: ResNet18 on CIFAR-10, float32, batches of 128, nine stages
// with input and label.
//
//     node bench/measures.mjs [--images 1024] [--batch 128] [--threads 2] [--width 64] [--pytorch] [--json]
//
// Each row is timed batch by batch in turn with the forward pass alone, so that both see the same machine; the ratio is
// of the sums. The ratio of processor seconds beside it says the same where other processes take turns on the machine
// (with one thread: a thread that waits for another counts as busy). `--pytorch` adds the direct way of writing nHSIC in PyTorch (all differences by broadcasting, an explicit
// inverse) on the features of one batch: it needs 10 GB of memory. A new row is one entry of ROWS.

import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { cpus, loadavg, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Generator, noGrad, scope, setThreads, version, writeNpy } from "@stopgrad/torch";
import { normalisationOf, slice, tensorSet } from "../packages/stopgrad/dist/data/loader.js";
import { measures } from "../packages/stopgrad/dist/measures/index.js";
import { models } from "../packages/stopgrad/dist/models/index.js";
import { writeData } from "./lib/data.mjs";
import { findPython } from "./lib/python.mjs";

const { values: given } = parseArgs({
  options: {
    images: { type: "string", default: "1024" },
    batch: { type: "string", default: "128" },
    threads: { type: "string", default: "2" },
    width: { type: "string", default: "64" },
    "data-dir": { type: "string" },
    pytorch: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
  },
});
const [count, batch, threads, width] = ["images", "batch", "threads", "width"].map((name) => Number(given[name]));

/** The pair measure on each stage of a batch, as a run's observer takes it. */
const withPair = (measure) => {
  const options = measure.options.parse({});
  return (backbone, { images, labels }) => {
    const input = measure.factor(images, options);
    const label = measure.labelFactor(labels, options);
    walk(backbone, images, (output) => {
      const factor = measure.factor(output, options);
      for (const other of [input, label]) measure.combine(other, factor, options);
    });
  };
};

/** Name, what it may cost in forward passes (null: no target), and the work on one batch. */
const ROWS = [
  { name: "forward + nhsic", target: 1.5, run: withPair(measures.nhsic) },
  { name: "forward + hsic", target: null, run: withPair(measures.hsic) },
];

await main();

async function main() {
  setThreads(threads);
  const directory = mkdtempSync(join(tmpdir(), "stopgrad-bench-"));
  try {
    const data = await prepare(directory);
    const rows = noGrad(() => ROWS.map((row) => timed(row, data)));
    const pytorch = given.pytorch ? direct(data, directory) : null;
    print({ rows, pytorch, data: data.name });
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** The network in evaluation mode, and its images as tensors. */
async function prepare(directory) {
  const data = await writeData(directory, given["data-dir"]);
  const size = data.shape.reduce((product, side) => product * side, 1);
  const images = readFileSync(data.images).subarray(0, count * size);
  const set = tensorSet({ images, labels: readFileSync(data.labels).subarray(0, count), count }, null, data, 0);
  const backbone = models.resnet18.create(
    { width },
    { inputShape: data.shape, classes: data.classes, generator: new Generator(1), dropoutGenerator: new Generator(1) },
  );
  backbone.eval();
  return { name: data.name, set, normalisation: normalisationOf(data), backbone };
}

/** Calls `look` with each stage's output; one output is alive at a time. */
function walk(backbone, images, look) {
  let input = images;
  for (const stage of backbone.stages) {
    const output = stage.forward(input);
    look(output);
    if (input !== images) input.dispose();
    input = output;
  }
}

/** Seconds of the row and of the forward pass alone over all batches; the first batch is run once before, untimed. */
function timed({ name, target, run }, { set, normalisation, backbone }) {
  const seconds = { forward: 0, row: 0, forwardBusy: 0, rowBusy: 0 };
  const alone = (network, { images }) => walk(network, images, () => {});
  const work = (start, body) =>
    scope(() => {
      const given = slice(set, start, batch, normalisation);
      const [begun, used] = [performance.now(), process.cpuUsage()];
      body(backbone, given);
      const { user, system } = process.cpuUsage(used);
      return [(performance.now() - begun) / 1000, (user + system) / 1e6];
    });
  for (const body of [alone, run]) work(0, body);
  for (let start = 0; start + batch <= count; start += batch) {
    for (const [key, body] of [
      ["forward", alone],
      ["row", run],
    ]) {
      const [passed, busy] = work(start, body);
      seconds[key] += passed;
      seconds[`${key}Busy`] += busy;
    }
  }
  const ratios = { ratio: seconds.row / seconds.forward, busyRatio: seconds.rowBusy / seconds.forwardBusy };
  return { name, target, images: Math.floor(count / batch) * batch, ...seconds, ...ratios };
}

/** Seconds of the direct PyTorch nHSIC on one batch's features, and of ours on the same. */
function direct({ set, normalisation, backbone }, directory) {
  const python = findPython();
  if (python === null) return null;
  const { nhsic } = measures;
  const options = nhsic.options.parse({});
  return noGrad(() =>
    scope(() => {
      const { images, labels } = slice(set, 0, batch, normalisation);
      const outputs = [images];
      for (const stage of backbone.stages) outputs.push(stage.forward(outputs.at(-1)));
      const features = outputs.map((output, at) => {
        const path = join(directory, `features-${at}.npy`);
        writeNpy(path, output);
        return path;
      });
      writeNpy(join(directory, "labels.npy"), labels);
      const begun = performance.now();
      const [input, label] = [nhsic.factor(images, options), nhsic.labelFactor(labels, options)];
      for (const output of outputs.slice(1)) {
        const factor = nhsic.factor(output, options);
        for (const other of [input, label]) nhsic.combine(other, factor, options);
      }
      const ours = (performance.now() - begun) / 1000;
      const script = [
        "import json, sys, time, torch",
        "from nhsic import Nhsic",
        "job = json.loads(sys.argv[1])",
        "torch.set_num_threads(job['threads'])",
        "case = Nhsic(job)",
        "start = time.perf_counter()",
        "case.run(1)",
        "print(time.perf_counter() - start)",
      ].join("\n");
      const job = JSON.stringify({ features, labels: join(directory, "labels.npy"), threads });
      const cwd = join(dirname(fileURLToPath(import.meta.url)), "pytorch");
      const ran = spawnSync(python, ["-c", script, job], { cwd, encoding: "utf8" });
      if (ran.status !== 0) throw new Error(`PyTorch failed: ${ran.stderr}`);
      return { ours, direct: Number(ran.stdout) };
    }),
  );
}

function print({ rows, pytorch, data }) {
  const machine = { cpu: cpus()[0]?.model, cores: cpus().length, load: loadavg()[0], libtorch: version() };
  if (given.json) {
    process.stdout.write(`${JSON.stringify({ batch, threads, width, data, machine, rows, pytorch }, null, 2)}\n`);
    return;
  }
  const lines = [
    `| ResNet18 (width ${width}), batches of ${batch}, ${threads} threads | seconds | forward alone | ratio | of processor seconds | target |`,
    "| --- | ---: | ---: | ---: | ---: | ---: |",
    ...rows.map(
      ({ name, target, images, row, forward, ratio, busyRatio }) =>
        `| ${name}, ${images} images | ${row.toFixed(1)} | ${forward.toFixed(1)} | ${ratio.toFixed(2)} | ${busyRatio.toFixed(2)} | ${target ?? "–"} |`,
    ),
  ];
  if (pytorch) {
    const { ours, direct: theirs } = pytorch;
    lines.push(
      `| nHSIC of one batch written directly in PyTorch; ours | ${theirs.toFixed(1)}; ${ours.toFixed(2)} | – | ${(theirs / ours).toFixed(0)} | – | – |`,
    );
  }
  lines.push(
    "",
    `${data}; ${machine.cpu}, ${machine.cores} cores, load ${machine.load.toFixed(1)}; libtorch ${machine.libtorch}.`,
  );
  process.stdout.write(`${lines.join("\n")}\n`);
}
