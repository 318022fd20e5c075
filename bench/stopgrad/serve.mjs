// stopgrad's side: warms up, then does as many units of work as each line of standard input says (lib/contestant.mjs).

import { readFileSync, realpathSync } from "node:fs";
import { createInterface } from "node:readline";
import { setThreads } from "@stopgrad/torch";
import { describeEnvironment } from "../../packages/stopgrad/dist/experiment/environment.js";
import { Compare, FirstStep, Help } from "./commands.mjs";
import { Features } from "./features.mjs";
import { Nhsic } from "./nhsic.mjs";
import { Products, Scalars } from "./operators.mjs";
import { Collection, ForwardPass, ObservedPass, ProbeFeatures, ProbeFits } from "./passes.mjs";
import { Pipeline } from "./pipeline.mjs";
import { Training } from "./training.mjs";

const kinds = {
  training: Training,
  pipeline: Pipeline,
  nhsic: Nhsic,
  features: Features,
  scalars: Scalars,
  products: Products,
  help: Help,
  "first-step": FirstStep,
  compare: Compare,
  "forward-pass": ForwardPass,
  "observed-pass": ObservedPass,
  collection: Collection,
  "probe-features": ProbeFeatures,
  "probe-fits": ProbeFits,
};
const answer = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);

const job = JSON.parse(process.argv[2]);
setThreads(job.threads);
const work = new kinds[job.kind](job);
const environment = await describeEnvironment(job.threads, job.settings.device ?? "cpu");
answer({ ...(await work.warmUp()), environment: { ...environment, libtorchFile: libtorchFile() } });

for await (const line of createInterface({ input: process.stdin })) {
  const started = performance.now();
  const done = await work.run(Number(line));
  answer({ seconds: (performance.now() - started) / 1000, ...done });
}
work.close?.();

/** The library this process has loaded. */
function libtorchFile() {
  const found = /(\/\S*\/libtorch_cpu\.so\S*)/.exec(readFileSync("/proc/self/maps", "utf8"));
  return found ? realpathSync(found[1]) : null;
}
