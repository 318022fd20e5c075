#!/usr/bin/env node
// How far the full-set estimates of nHSIC, HSIC and CKA are from the exact value, over their rank: CIFAR-10's test images
// as X, outputs of ResNet18's stages as Z; or arrays from files, as `stopgrad activations` writes them.
//
//     node scripts/full-set-error.mjs [--samples 2000] [--width 8] [--ranks 100,300,1000]
//         [--seeds 0,1,2] [--threads 2] [--cases nhsic,cka-rbf] [--data-dir DIR]
//     node scripts/full-set-error.mjs --x x.npy --y labels.npy --z conv2.npy --z fc2.npy --samples 10000
//
// Prints a Markdown table: relative errors in percent, the mean over the seeds of their sizes, with the sign where
// all agree. Without files the network is not trained: its first and last stages stand for a wide and a narrow spectrum.
// Exact values of up to 4,000 samples are the library's and agree with lib/exact-dependence.mjs, which alone gives those
// of more: of 10,000 samples in 3.8 GB and, for each array and ridge of nHSIC, 10¹² operations: a minute or two.
import { parseArgs } from "node:util";
import { cat, Generator, keep, noGrad, scope, setThreads } from "@stopgrad/torch";
import { openArray, openArrays, readLabels } from "../packages/stopgrad/dist/data/arrays.js";
import { datasets } from "../packages/stopgrad/dist/data/index.js";
import { normalisationOf, slice, tensorSet } from "../packages/stopgrad/dist/data/loader.js";
import { dataDirectories } from "../packages/stopgrad/dist/data/locate.js";
import { fullSet, fullSetMeasures } from "../packages/stopgrad/dist/measures/full-set.js";
import { models } from "../packages/stopgrad/dist/models/index.js";
import { exactDependence } from "./lib/exact-dependence.mjs";

const CASES = [
  { key: "nhsic", name: "nhsic", title: "nHSIC, RBF", options: {} },
  { key: "nhsic-1e-3", name: "nhsic", title: "nHSIC, RBF, ε = 1e-3", options: { epsilon: 1e-3 } },
  { key: "hsic", name: "hsic", title: "HSIC, RBF", options: {} },
  { key: "hsic-unbiased", name: "hsic", title: "HSIC, unbiased, RBF", options: { estimator: "unbiased" } },
  { key: "cka-rbf", name: "cka", title: "CKA, RBF, median", options: { kernel: "rbf", width: "median", sigma: 1 } },
  { key: "cka", name: "cka", title: "CKA, linear", options: {} },
];

/** Samples that the library takes the exact value of. */
const MOST_EXACT = 4000;

const { values } = parseArgs({
  options: {
    x: { type: "string" },
    y: { type: "string" },
    z: { type: "string", multiple: true },
    cases: { type: "string", default: CASES.map(({ key }) => key).join(",") },
    samples: { type: "string", default: "2000" },
    width: { type: "string", default: "8" },
    ranks: { type: "string", default: "100,300,1000" },
    seeds: { type: "string", default: "0,1,2" },
    threads: { type: "string", default: "2" },
    "data-dir": { type: "string" },
  },
});

const seeds = values.seeds.split(",").map(Number);
await main(Number(values.samples), values.ranks.split(",").map(Number));

async function main(samples, ranks) {
  setThreads(Number(values.threads));
  const arrays = values.z === undefined ? await arraysOf(samples) : fromFiles(samples);
  const pairs = ["X", "Y"].flatMap((partner) => arrays.names.map((name) => `${partner}, ${name}`));
  const say = (line) => process.stdout.write(`${line}\n`);
  say(`| N = ${samples} | rank | ${pairs.join(" | ")} | seconds |`);
  say(`| --- | ---: | ${pairs.map(() => "---:").join(" | ")} | ---: |`);
  const wanted = values.cases.split(",");
  for (const { name, title, options } of CASES.filter(({ key }) => wanted.includes(key))) {
    const exact = timed(() => exactOf(name, arrays, options));
    say(`| ${title}, exact | | ${exact.values.map((value) => value.toPrecision(4)).join(" | ")} | ${exact.seconds} |`);
    for (const approximation of ["nystrom", "random-features"]) {
      for (const rank of ranks) {
        const found = seeds.map((seed) =>
          timed(() => valuesOf(name, arrays, { ...options, approximation, rank, seed })),
        );
        const errors = exact.values.map((value, at) => found.map((one) => one.values[at] / value - 1));
        say(`| ${approximation} | ${rank} | ${errors.map(percent).join(" | ")} | ${found[0].seconds} |`);
      }
    }
  }
}

/** The exact values; where there are two ways to them, they have to agree. */
function exactOf(name, arrays, options) {
  const complete = fullSetMeasures[name].options.parse(options);
  const found = exactDependence(name, arrays, complete);
  if (arrays.y.size(0) > MOST_EXACT) return found;
  const known = valuesOf(name, arrays, { ...options, approximation: "exact" });
  for (const [at, value] of known.entries()) {
    if (Math.abs(found[at] / value - 1) > 1e-6)
      throw new Error(`${name}: ${value} by the library, ${found[at]} by hand`);
  }
  return known;
}

/** The first samples of arrays in files. */
function fromFiles(samples) {
  const first = (tensor) => keep(tensor.narrow(0, 0, samples));
  const z = values.z.flatMap(openArrays);
  return {
    x: first(openArray(values.x).tensor),
    y: first(readLabels(values.y).labels),
    z: z.map(({ tensor }) => first(tensor)),
    names: z.map(({ name }) => name),
  };
}

/** X, the labels, and the outputs of the first and last stage. */
async function arraysOf(samples) {
  const data = await datasets.cifar10.load({}, { dataDirs: dataDirectories(values["data-dir"]) });
  const set = tensorSet(data.test, null, data, 0);
  const normalisation = normalisationOf(data);
  const generator = new Generator(1);
  const backbone = models.resnet18.create(
    { width: Number(values.width) },
    { inputShape: data.shape, classes: data.classes, generator, dropoutGenerator: generator },
  );
  backbone.eval();
  return noGrad(() =>
    scope(() => {
      const { images: x, labels: y } = slice(set, 0, samples, normalisation);
      const parts = [];
      for (let start = 0; start < samples; start += 500) {
        let output = x.narrow(0, start, Math.min(500, samples - start));
        const kept = [];
        for (const [at, stage] of backbone.stages.entries()) {
          output = stage.forward(output);
          if (at === 0 || at === backbone.stages.length - 1) kept.push(output);
        }
        parts.push(kept);
      }
      return {
        x,
        y,
        names: ["first stage", "last stage"],
        z: [0, 1].map((at) =>
          cat(
            parts.map((part) => part[at]),
            0,
          ),
        ),
      };
    }),
  );
}

function valuesOf(name, arrays, options) {
  return scope(() => fullSet(name, arrays, options).map(({ value }) => value));
}

function timed(body) {
  const begun = performance.now();
  return { values: body(), seconds: ((performance.now() - begun) / 1000).toFixed(1) };
}

/** Mean size of relative errors in percent, with a sign where all have it. */
function percent(errors) {
  const size = (100 * errors.reduce((sum, error) => sum + Math.abs(error), 0)) / errors.length;
  if (size < 1e-8) return "0 %"; // rounding
  const sign = errors.every((error) => error < 0) ? "−" : errors.every((error) => error > 0) ? "+" : "±";
  return `${sign}${size < 0.01 ? size.toExponential(0) : size.toPrecision(2)} %`;
}
