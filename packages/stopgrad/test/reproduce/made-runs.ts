// Runs with the numbers a test wants, as the store would hold them.
import type { ReportRun } from "../../src/report/index.js";
import type { MetricPoint } from "../../src/store/records.js";

export interface MadeRun {
  variant: string;
  seed: number;
  testAccuracy?: number;
  epochs?: number;
  phaseEpochs?: number;
  /** Stage → nHSIC(X, Z) and nHSIC(Y, Z) after epochs 0, 1, 2, ... */
  plane?: Record<string, { x: number[]; y: number[] }>;
  /** Probe accuracies of the stages, training and test. */
  probes?: [train: number, test: number][];
  /** Test accuracy after epochs 1, 2, ... */
  testAccuracies?: number[];
  failed?: boolean;
  /** Default 1. */
  peakBytes?: number;
  /** Multiply-adds of an image at inference; default none counted. */
  inference?: { backbone: number; extras: number };
  /** What the measure `information` says of the stages. */
  information?: { informationY: number[]; reconstructionError: number[] };
}

export function madeRun(made: MadeRun): ReportRun {
  const { variant, seed, plane = {}, probes, testAccuracies = [], failed = false } = made;
  const metrics: MetricPoint[] = [];
  const add = (epoch: number, key: string, stage: string, value: number): void => {
    metrics.push({ epoch, step: epoch, key, stage, value, standardError: null });
  };
  for (const [stage, { x, y }] of Object.entries(plane)) {
    for (const [epoch, value] of x.entries()) add(epoch, "nhsicXZ", stage, value);
    for (const [epoch, value] of y.entries()) add(epoch, "nhsicYZ", stage, value);
  }
  for (const [at, value] of testAccuracies.entries()) add(at + 1, "testAccuracy", "", value);
  const told = Object.entries(made.information ?? {});
  for (const [key, values] of told) for (const [at, value] of values.entries()) add(10, key, `stage${at + 1}`, value);
  const counted = probes ?? made.information?.informationY;
  const names = counted ? counted.map((_, at) => `stage${at + 1}`) : Object.keys(plane);
  const stages = names.map((name, at) => ({
    name,
    shape: [4],
    nhsicXZ: plane[name]?.x.at(-1) ?? null,
    nhsicYZ: plane[name]?.y.at(-1) ?? null,
    probeTrain: probes?.[at]?.[0] ?? null,
    probeTest: probes?.[at]?.[1] ?? null,
  }));
  const epochs = made.epochs ?? 10;
  return {
    metrics,
    record: {
      id: `${variant}-${seed}`,
      name: "made",
      variant,
      seed,
      status: failed ? "failed" : "completed",
      settings: { epochs: made.phaseEpochs ?? epochs },
      settingsHash: `${variant}-${seed}`,
      command: "stopgrad train made.yaml",
      environment: null,
      createdAt: "2026-01-01T00:00:00Z",
      finishedAt: null,
      error: null,
      summary: failed
        ? null
        : {
            epochs,
            seconds: 1,
            imagesPerSecond: 1,
            peakBytes: made.peakBytes ?? 1,
            trainAccuracy: 1,
            testAccuracy: made.testAccuracy ?? 0.5,
            parameters: { backbone: 1, heads: 0 },
            cost: made.inference ? { inference: made.inference, training: 1 } : null,
            stages,
          },
    },
  };
}
