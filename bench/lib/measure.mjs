// Runs one case: every contestant warms up alone, then they take turns, and what counts are medians and the ratios of
// neighbouring turns.

import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { workerEnvironment } from "../../packages/stopgrad/dist/experiment/worker-process.js";
import { Contestant } from "./contestant.mjs";

const bench = fileURLToPath(new URL("..", import.meta.url));

/** Contestants that run now, so that an interruption can end them. @type {Set<Contestant>} */
export const running = new Set();

/**
 * @param {object} given - an entry of `cases.mjs`, `count` and `repeats` of the quick run put in
 * @param {{ job: object, python: string | null, say: (line: string) => void }} context - `job`: what all are told
 * @returns {Promise<object>} rows of the case, as in the recorded JSON
 */
export async function measureCase(given, { job, python, say }) {
  const common = { ...job, kind: given.kind, settings: given.settings };
  const prepared = given.kind in PREPARATIONS ? await prepare(common, say) : {};
  const sides = [
    { name: "stopgrad", title: "stopgrad", form: null, count: given.count, command: stopgradSide },
    ...given.forms
      .filter(({ own }) => own || python !== null)
      .map((form) => ({ ...form, form: form.name, command: form.own ? stopgradSide : pytorchSide(python) })),
  ];
  const contestants = [];
  try {
    for (const side of sides) {
      const who = side.form === null ? (given.rule ?? "stopgrad") : side.own ? side.name : `PyTorch, ${side.name}`;
      say(`${given.name}: ${who} starts and warms up`);
      const contestant = start(side, {
        ...common,
        ...prepared,
        form: side.form,
        ...(side.threads ? { threads: side.threads } : {}),
        ...(side.own ? { kind: side.kind ?? side.name, settings: side.settings ?? given.settings } : {}),
        ...(side.own && !side.settings ? { environment: { OPENBLAS_CORETYPE: undefined } } : {}),
      });
      const ready = await contestant.ready();
      if (given.warmUp > 0) await contestant.ask(given.warmUp);
      contestants.push({ side, contestant, ready, samples: [], last: null });
    }
    for (let turn = 1; turn <= given.repeats; turn++) {
      for (const one of contestants) {
        one.last = await one.contestant.ask(one.side.count);
        one.samples.push(given.unit === "s" ? one.last.seconds / one.last.units : one.last.units / one.last.seconds);
      }
      const figures = contestants.map(({ samples }) => samples.at(-1).toPrecision(4)).join(" | ");
      say(`${given.name}: turn ${turn} of ${given.repeats}, ${given.unit}: ${figures}`);
    }
  } finally {
    for (const { contestant } of contestants) await close(contestant);
  }
  return summarise(given, contestants);
}

/** With the environment that a run's worker has, and what the job adds (the machine's own rate needs its own BLAS). */
function stopgradSide(job) {
  const command = [process.execPath, join(bench, "stopgrad", "serve.mjs")];
  return new Contestant("stopgrad", command, job, { ...workerEnvironment(job.threads), ...job.environment });
}

function pytorchSide(python) {
  return (job) => new Contestant(`PyTorch (${job.form})`, [python, "-B", join(bench, "pytorch", "serve.py")], job);
}

function start(side, job) {
  const contestant = side.command(job);
  running.add(contestant);
  return contestant;
}

async function close(contestant) {
  await contestant.close();
  running.delete(contestant);
}

/** Kinds whose sides read features from files: what writes them, nine stages' outputs on one batch or what probes keep. */
const PREPARATIONS = { nhsic: "features", "probe-fits": "probe-features" };

/** @returns what is told to all sides beside the job */
async function prepare(job, say) {
  say(`${job.kind}: writing the features of nine stages`);
  const contestant = start({ command: stopgradSide }, { ...job, kind: PREPARATIONS[job.kind] });
  try {
    const { environment, ...prepared } = await contestant.ready();
    return prepared;
  } finally {
    await close(contestant);
  }
}

function summarise(given, contestants) {
  const [stopgrad, ...others] = contestants;
  const fasterIsMore = given.unit !== "s";
  return {
    name: given.name,
    title: given.title,
    unit: given.unit,
    limit: given.limit ?? null,
    rule: given.rule ?? null,
    overhead: given.overhead ?? null,
    stopgrad: { ...figures(stopgrad), environment: stopgrad.ready.environment },
    pytorch: others.map((other) => ({
      form: other.side.name,
      title: other.side.title,
      own: other.side.own ?? false,
      target: other.side.target ?? null,
      // Bytes beyond weights and optimizer, stopgrad's of the other's, and the most that they should be.
      activations: shareOf(stopgrad.ready.activationBytes, other.ready.activationBytes),
      activationsTarget: other.side.activations ?? null,
      peak: shareOf(stopgrad.ready.peakBytes, other.ready.peakBytes),
      peakTarget: other.side.peak ?? null,
      most: other.side.most ?? null,
      ...figures(other),
      environment: other.ready.environment,
      // How many times as fast stopgrad is, turn by turn.
      ratio: spread(
        stopgrad.samples.map((mine, turn) => (fasterIsMore ? mine / other.samples[turn] : other.samples[turn] / mine)),
      ),
      largestDifference: largestDifference(stopgrad.last.values, other.last.values),
      largestDifferenceFromFloat64: largestDifference(stopgrad.last.values, other.last.reference),
    })),
  };
}

/** Bytes are those of warming up, or of the last turn where that says them. */
function figures({ side, samples, ready, last }) {
  const { peakBytes, activationBytes = null } = { ...ready, ...last };
  return { ...spread(samples), samples, count: side.count, peakBytes, activationBytes };
}

function shareOf(mine, theirs) {
  return mine && theirs ? mine / theirs : null;
}

/** @param {number[]} values */
function spread(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  const median = (sorted[Math.ceil(middle) - 1] + sorted[Math.floor(middle)]) / 2;
  return { median, min: sorted[0], max: sorted.at(-1) };
}

/** Largest |a − b| / |b| of values that should be the same; null where none are compared. */
function largestDifference(mine, theirs) {
  if (!mine || !theirs) return null;
  if (mine.length !== theirs.length) throw new Error(`expected ${mine.length} values of both, got ${theirs.length}`);
  return Math.max(...mine.map((value, at) => Math.abs(value - theirs[at]) / Math.abs(theirs[at])));
}
