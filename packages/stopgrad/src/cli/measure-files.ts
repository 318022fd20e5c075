// `stopgrad measure` of files: arrays of the same samples, checked against each other.
import { Generator, keep, randperm, scope, type Tensor, tensor } from "@stopgrad/torch";
import { type NamedArray, openArray, openOthers, readLabels, readLabelsOfSplits } from "../data/arrays.js";
import { ofArrays, type Representations, rowsOf } from "../experiment/representations.js";
import type { Measure } from "../measures/index.js";
import { UsageError, WorkError } from "./context.js";
import { type Found, type MeasureOptions, noteLeftOut, samplesInWords, type Task, take } from "./measure-task.js";

/** @throws MeasureError where the measure refuses all representations, ArrayError or FileFormatError for a file */
export function measureFiles(task: Task): Found {
  const { entry, options, ticker, name, batch } = task;
  const breathe = (done: number, total: number) => ticker.tick(name, done, total);
  const { train, test } = openFiles(entry, options);
  try {
    // What is wrong in the files is said before what they are too short for.
    if (entry.kind === "pair" && train.count < batch) train.visit(() => {});
    const found = take(task, { source: test ?? train, training: test && train }, breathe);
    if (entry.kind === "pair" && !options.full) noteLeftOut(train.count, batch);
    const rows = found.map((row) => ({ ...row, of: train.names[row.at]!, epoch: null }));
    return { rows, samples: (test ?? train).count };
  } finally {
    test?.dispose();
    train.dispose();
  }
}

/** The arrays that are named, checked against each other; a second source where a probe is to be scored. */
function openFiles(
  { kind }: Measure,
  { x: inputFile, y: labelFile, z: files = [], testZ, testY, split }: MeasureOptions,
): { train: Representations; test: Representations | null } {
  const x = inputFile === undefined ? null : openArray(inputFile);
  if (kind === "probe" && testZ && testY !== undefined) {
    const { train, test } = readLabelsOfSplits(labelFile!, testY);
    const used = [labelFile!, testY, ...(inputFile === undefined ? [] : [inputFile])];
    const [z, ofTest] = [files, testZ].map((names) => names.flatMap((one) => openOthers(one, used))) as [
      NamedArray[],
      NamedArray[],
    ];
    requireAlike(z, ofTest);
    requireSameCount(null, train, z);
    requireSameCount(null, test, ofTest);
    return { train: ofArrays(z, null, train, "hand-on"), test: ofArrays(ofTest, null, test, "hand-on") };
  }
  const labels = labelFile === undefined ? null : readLabels(labelFile);
  const used = [inputFile, labelFile].filter((name) => name !== undefined);
  const z = files.flatMap((name) => openOthers(name, used));
  requireSameCount(x, labels, z);
  const source = ofArrays(z, x, labels, "hand-on");
  if (split === undefined) return { train: source, test: null };
  const { train, test } = splitRows(source.count, Number(split));
  return { train: rowsOf(source, train), test: rowsOf(source, test) };
}

/** Drawn from seed 0, so that samples sorted by class are split fairly, and always in the same way. */
function splitRows(count: number, share: number): { train: Tensor; test: Tensor } {
  const size = Math.round(share * count);
  if (size < 2 || count - size < 1) {
    throw new WorkError(`--split ${share} of ${count} samples leaves ${size} to train on and ${count - size} to test`);
  }
  return scope(() => {
    const order = randperm(count, { generator: new Generator(0) }).toNumbers();
    const rows = (chosen: number[]) =>
      keep(
        tensor(
          BigInt64Array.from(
            chosen.sort((a, b) => a - b),
            BigInt,
          ),
        ),
      );
    return { train: rows(order.slice(0, size)), test: rows(order.slice(size)) };
  });
}

function requireSameCount(
  x: NamedArray | null,
  labels: { name: string; labels: Tensor } | null,
  z: readonly NamedArray[],
): void {
  const all = [x, labels && { name: labels.name, tensor: labels.labels }, ...z].filter((array) => array !== null);
  const first = all[0]!;
  for (const { name, tensor } of all) {
    if (tensor.size(0) === first.tensor.size(0)) continue;
    throw new WorkError(
      `${name} holds ${samplesInWords(tensor.size(0))}, ${first.name} holds ${first.tensor.size(0)}; they must be the same samples`,
    );
  }
}

/** Training and test representations have to be of the same stages. */
function requireAlike(train: readonly NamedArray[], test: readonly NamedArray[]): void {
  if (train.length !== test.length) {
    throw new UsageError(`measure: expected a --test-z for each --z, got ${train.length} and ${test.length} arrays`);
  }
  for (const [at, { name, tensor }] of train.entries()) {
    const other = test[at]!;
    if (tensor.shape.slice(1).join() === other.tensor.shape.slice(1).join()) continue;
    throw new WorkError(
      `${name} is [${tensor.shape.join(", ")}], ${other.name} is [${other.tensor.shape.join(", ")}]; ` +
        "training and test samples must have the same features",
    );
  }
}
