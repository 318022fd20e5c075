#!/usr/bin/env node
// What probes of every stage cost beside the forward pass: ResNet18 on CIFAR-10, float32. Rows: the forward pass alone over
// both splits, collecting what the probe keeps of all stages in one pass over each, and fitting the nine probes.
//
//     node bench/probe-rows.mjs [--images 1000] [--threads 2] [--width 64] [--probe probe] [--pytorch] [--json]
//
// `--pytorch` adds the usual way in PyTorch on the same features: a linear layer a stage, trained by Adam for 100 epochs in
// batches of 256 (bench/pytorch/probes.py).

import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Generator, noGrad, scope, setThreads, version, writeNpy } from "@stopgrad/torch";
import { normalisationOf, slice, tensorSet } from "../packages/stopgrad/dist/data/loader.js";
import { collectFeatures } from "../packages/stopgrad/dist/experiment/probe-observer.js";
import { knn } from "../packages/stopgrad/dist/measures/knn.js";
import { mlpProbe } from "../packages/stopgrad/dist/measures/mlp-probe.js";
import { probe } from "../packages/stopgrad/dist/measures/probe.js";
import { models } from "../packages/stopgrad/dist/models/index.js";
import { writeData } from "./lib/data.mjs";
import { findPython } from "./lib/python.mjs";

const PROBES = { probe, "mlp-probe": mlpProbe, knn };

/** Images a forward pass takes at a time, as the observer does. */
const AT_ONCE = 500;

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();

/**
 * @param {object} given
 * @param given.backbone - with `stages`
 * @param given.train - TensorSet, all of which is used; `test` likewise
 * @param given.measure - the probe; default the linear one
 * @returns seconds of the forward pass alone over both splits, of collecting all features, and of each stage's fit, with
 *   its accuracies and how its solver ended; `features` is handed what was collected, before the fits
 */
export function probeRows({ backbone, train, test, classes, normalisation, measure = probe, features = () => {} }) {
  const rule = { backbone, readStages: (images, read) => readStages(backbone, images, read) };
  return noGrad(() =>
    scope(() => {
      const sets = [train, test];
      for (const set of sets.slice(0, 1)) forward(rule, { ...set, count: Math.min(set.count, AT_ONCE) }, normalisation);
      const forwardSeconds = seconds(() => {
        for (const set of sets) forward(rule, set, normalisation);
      });
      let collected;
      const collectSeconds = seconds(() => {
        collected = sets.map((set) => collectFeatures(rule, measure, { normalisation }, { set, count: set.count }));
      });
      features(collected);
      const stages = backbone.stages.map(({ name }, at) => {
        const [ofTrain, ofTest] = collected.map((stage) => stage[at]);
        const labels = { trainLabels: train.labels, testLabels: test.labels, classes };
        let fit;
        const fitSeconds = seconds(() => {
          fit = measure.fit({ train: ofTrain, test: ofTest, ...labels }, {});
        });
        return { name, seconds: fitSeconds, train: fit.train, test: fit.test, solver: fit.solver ?? null };
      });
      const fits = stages.reduce((sum, stage) => sum + stage.seconds, 0);
      return { images: [train.count, test.count], forward: forwardSeconds, collect: collectSeconds, fits, stages };
    }),
  );
}

function readStages(backbone, images, read) {
  let input = images;
  return backbone.stages.map((stage, at) => {
    const output = stage.forward(input);
    const result = read(output, at);
    if (input !== images) input.dispose();
    input = output;
    return result;
  });
}

function forward(rule, set, normalisation) {
  for (let start = 0; start < set.count; start += AT_ONCE) {
    scope(() => {
      const { images } = slice(set, start, Math.min(AT_ONCE, set.count - start), normalisation);
      rule.readStages(images, () => null);
    });
  }
}

function seconds(work) {
  const begun = performance.now();
  work();
  return (performance.now() - begun) / 1000;
}

async function main() {
  const { values: given } = parseArgs({
    options: {
      images: { type: "string", default: "1000" },
      threads: { type: "string", default: "2" },
      width: { type: "string", default: "64" },
      probe: { type: "string", default: "probe" },
      "data-dir": { type: "string" },
      pytorch: { type: "boolean", default: false },
      json: { type: "boolean", default: false },
    },
  });
  const [count, threads, width] = ["images", "threads", "width"].map((name) => Number(given[name]));
  setThreads(threads);
  const directory = mkdtempSync(join(tmpdir(), "stopgrad-bench-"));
  try {
    const data = await writeData(directory, given["data-dir"]);
    const size = data.shape.reduce((product, side) => product * side, 1);
    const [images, labels] = [data.images, data.labels].map((path) => readFileSync(path));
    const part = (from) =>
      tensorSet(
        {
          images: images.subarray(from * size, (from + count) * size),
          labels: labels.subarray(from, from + count),
          count,
        },
        null,
        data,
        0,
      );
    const generators = { generator: new Generator(1), dropoutGenerator: new Generator(1) };
    const backbone = models.resnet18.create(
      { width },
      { inputShape: data.shape, classes: data.classes, ...generators },
    );
    backbone.eval();
    const [train, test] = [part(0), part(count)];
    const features = given.pytorch ? (collected) => write(directory, collected, [train, test]) : undefined;
    const normalisation = normalisationOf(data);
    const measure = PROBES[given.probe];
    if (!measure) throw new Error(`unknown probe: ${given.probe} (known: ${Object.keys(PROBES).join(", ")})`);
    const rows = probeRows({ backbone, train, test, classes: data.classes, normalisation, measure, features });
    const pytorch = given.pytorch ? inPyTorch(directory, threads) : null;
    const machine = { cpu: cpus()[0]?.model, cores: cpus().length, load: loadavg()[0], libtorch: version() };
    const found = { probe: given.probe, threads, width, data: data.name, machine, ...rows, pytorch };
    process.stdout.write(given.json ? `${JSON.stringify(found, null, 2)}\n` : `${table(found)}\n`);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function write(directory, collected, sets) {
  for (const [at, split] of ["train", "test"].entries()) {
    for (const [stage, tensor] of collected[at].entries()) writeNpy(join(directory, `${stage}-${split}.npy`), tensor);
    writeNpy(join(directory, `labels-${split}.npy`), sets[at].labels);
  }
}

function inPyTorch(directory, threads) {
  const python = findPython();
  if (python === null) return null;
  const script = fileURLToPath(new URL("pytorch/probes.py", import.meta.url));
  const ran = spawnSync(python, [script, directory, "--threads", `${threads}`], { encoding: "utf8" });
  if (ran.status !== 0) throw new Error(`PyTorch failed: ${ran.stderr}`);
  return JSON.parse(ran.stdout);
}

function table({ probe: name, images, threads, width, forward: alone, collect, fits, stages, pytorch, machine, data }) {
  const row = (what, spent) => `| ${what} | ${spent.toFixed(2)} | ${(spent / alone).toFixed(2)} |`;
  const iterations = stages.map(({ solver }) => solver?.iterations).filter((count) => count !== undefined);
  const open = stages.filter(({ solver }) => solver?.converged === false).length;
  const ended = iterations.length > 0 ? `, ${iterations.join(" ")} iterations, ${open} not converged` : "";
  const lines = [
    `| ResNet18 (width ${width}), ${images.join(" + ")} images, ${threads} threads | seconds | forward passes over both |`,
    "| --- | ---: | ---: |",
    row("forward pass alone", alone),
    row("collecting the features of nine stages", collect),
    row(`fitting nine times ${name}${ended}`, fits),
  ];
  if (pytorch)
    lines.push(row("PyTorch: nine linear layers, Adam, 100 epochs, batch 256, same features", pytorch.seconds));
  return [...lines, "", `${data}; ${machine.cpu}, load ${machine.load.toFixed(1)}; libtorch ${machine.libtorch}.`].join(
    "\n",
  );
}
