#!/usr/bin/env node
// How far the full-set estimates of nHSIC, HSIC and CKA are from the exact value, over their rank: CIFAR-10's test images
// as X, outputs of ResNet18's stages as Z.
//
//     node scripts/full-set-error.mjs [--samples 2000] [--width 8] [--ranks 100,300,1000]
//         [--seeds 0,1,2] [--threads 2] [--data-dir DIR]
//
// Prints a Markdown table: relative errors in percent, the mean over the seeds of their sizes, with the sign where
// all agree. The network is not trained: its first and last stages stand for a wide and a narrow spectrum.
import { parseArgs } from "node:util";
import { cat, Generator, noGrad, scope, setThreads } from "@stopgrad/torch";
import { datasets } from "../packages/stopgrad/dist/data/index.js";
import { normalisationOf, slice, tensorSet } from "../packages/stopgrad/dist/data/loader.js";
import { dataDirectories } from "../packages/stopgrad/dist/data/locate.js";
import { fullSet } from "../packages/stopgrad/dist/measures/full-set.js";
import { models } from "../packages/stopgrad/dist/models/index.js";

const CASES = [
  ["nhsic", "nHSIC, RBF", {}],
  ["nhsic", "nHSIC, RBF, ε = 1e-3", { epsilon: 1e-3 }],
  ["hsic", "HSIC, RBF", {}],
  ["hsic", "HSIC, unbiased, RBF", { estimator: "unbiased" }],
  ["cka", "CKA, RBF, median", { kernel: "rbf", width: "median", sigma: 1 }],
  ["cka", "CKA, linear", {}],
];

const { values } = parseArgs({
  options: {
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
  const arrays = await arraysOf(samples);
  const pairs = ["X, first stage", "X, last stage", "Y, first stage", "Y, last stage"];
  const lines = [
    `| N = ${samples} | rank | ${pairs.join(" | ")} | seconds |`,
    `| --- | ---: | ${pairs.map(() => "---:").join(" | ")} | ---: |`,
  ];
  const say = (line) => lines.push(line);
  for (const [name, title, options] of CASES) {
    const exact = timed(() => valuesOf(name, arrays, { ...options, approximation: "exact" }));
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
    process.stderr.write(`${title}\n`);
  }
  process.stdout.write(`${lines.join("\n")}\n`);
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
  const sign = errors.every((error) => error < 0) ? "−" : errors.every((error) => error > 0) ? "+" : "±";
  return `${sign}${size < 0.01 ? size.toExponential(0) : size.toPrecision(2)} %`;
}
