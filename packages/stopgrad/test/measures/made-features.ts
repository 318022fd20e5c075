// Features for probes, made by hand or by a seed.
import { Generator, randn, type Tensor, tensor } from "@stopgrad/torch";
import type { SplitFeatures } from "../../src/measures/index.js";

export const int64 = (labels: readonly number[]) => tensor(BigInt64Array.from(labels, BigInt));

/** 0, 1, …, classes − 1, 0, … */
export const inTurn = (count: number, classes = 2) => Array.from({ length: count }, (_, i) => i % classes);

/** Both splits from rows and labels. */
export function made(
  [train, trainLabels]: readonly [readonly (readonly number[])[], readonly number[]],
  [test, testLabels]: readonly [readonly (readonly number[])[], readonly number[]] = [train, trainLabels],
  classes = 2,
  dtype: "float32" | "float64" = "float32",
): SplitFeatures {
  const rows = (values: readonly (readonly number[])[]) => tensor(values as number[][], { dtype });
  return {
    train: rows(train),
    trainLabels: int64(trainLabels),
    test: rows(test),
    testLabels: int64(testLabels),
    classes,
  };
}

/** Noise that says nothing of its labels. */
export function noise(count: number, features: number, seed = 1, classes = 2): SplitFeatures {
  const generator = new Generator(seed);
  const labels = inTurn(count, classes);
  const rows = () => randn([count, features], { generator });
  return { train: rows(), trainLabels: int64(labels), test: rows(), testLabels: int64(labels), classes };
}

/** Four corners, of which opposite ones are of one class, with noise of deviation 0.2: no linear classifier beats chance. */
export function exclusiveOr(count: number, seed = 1): SplitFeatures {
  const generator = new Generator(seed);
  const rows = (): { x: Tensor; labels: Tensor } => {
    const corners = Array.from({ length: count }, (_, i) => [i % 4 < 2 ? 1 : -1, i % 2 === 0 ? 1 : -1] as const);
    const x = tensor(corners.map(([a, b]) => [a, b])).add(randn([count, 2], { generator }).mul(0.2));
    return { x, labels: int64(corners.map(([a, b]) => (a === b ? 1 : 0))) };
  };
  const [train, test] = [rows(), rows()];
  return { train: train.x, trainLabels: train.labels, test: test.x, testLabels: test.labels, classes: 2 };
}

/** Two rings of radius 1 and 2, a class each. */
export function rings(count: number): SplitFeatures {
  const rows = (shift: number): [number[][], number[]] => {
    const labels = inTurn(count);
    const angle = (i: number) => (2 * Math.PI * (i + shift)) / count;
    return [labels.map((label, i) => [(1 + label) * Math.cos(angle(i)), (1 + label) * Math.sin(angle(i))]), labels];
  };
  return made(rows(0), rows(0.5));
}
