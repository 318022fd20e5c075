// What the runs of an item gave, asked part by part and variant by variant. Runs that are not completed give nothing.
import { trajectory } from "../report/comparison.js";
import type { ReportRun } from "../report/index.js";
import { type PlaneSummary, planeSummary, type SeededValue, type Trajectory } from "../statistics/index.js";

/** A number of one run, null where it was not measured. */
export type Quantity = (run: FoundRun) => number | null;

/** One completed run. */
export class FoundRun {
  readonly seed: number;
  readonly testAccuracy: number;
  /** Epochs it was trained for, all phases together. */
  readonly epochs: number;
  /** Per phase: `epochs` of its settings. */
  readonly phaseEpochs: number;
  readonly #run: ReportRun;
  #plane: PlaneSummary | null = null;

  constructor(run: ReportRun) {
    this.#run = run;
    this.seed = run.record.seed;
    this.testAccuracy = run.record.summary!.testAccuracy;
    this.epochs = run.record.summary!.epochs;
    this.phaseEpochs = Number(run.record.settings.epochs);
  }

  /** Most bytes of live tensors during a training step. */
  get peakBytes(): number {
    return this.#run.record.summary!.peakBytes;
  }

  /** Multiply-adds for one image at inference, of what a rule adds to the backbone too; null where none were counted. */
  get inferenceMultiplyAdds(): number | null {
    const inference = this.#run.record.summary!.cost?.inference;
    return inference === undefined ? null : inference.backbone + inference.extras;
  }

  /** Names of the stages whose nHSIC was measured, in network order. */
  get stages(): string[] {
    return this.#run.record.summary!.stages.filter((stage) => stage.nhsicXZ !== null).map(({ name }) => name);
  }

  /** Names of all stages, in network order. */
  get allStages(): string[] {
    return this.#run.record.summary!.stages.map(({ name }) => name);
  }

  /** A number over training; of a stage where one is named. */
  over(key: string, stage = ""): Trajectory {
    return trajectory(this.#run, key, stage);
  }

  /** The information plane in numbers. */
  get plane(): PlaneSummary {
    this.#plane ??= planeSummary(
      this.stages.map((stage) => ({ stage, x: this.over("nhsicXZ", stage), y: this.over("nhsicYZ", stage) })),
    );
    return this.#plane;
  }

  /** Probe accuracies of the stages that have one, in network order. */
  get probes(): { readonly train: number; readonly test: number }[] {
    return this.#run.record.summary!.stages.flatMap(({ probeTrain, probeTest }) =>
      probeTrain === null || probeTest === null ? [] : [{ train: probeTrain, test: probeTest }],
    );
  }
}

/** Runs by part and variant. Numbers come of the completed ones. */
export class Found {
  readonly #asked: readonly { readonly part: string; readonly variant: string }[];
  readonly #runs: readonly { readonly part: string; readonly variant: string; readonly run: FoundRun }[];

  /** @param runs - all that the item has, whatever became of them */
  constructor(runs: readonly { readonly part: string; readonly run: ReportRun }[]) {
    this.#asked = runs.map(({ part, run }) => ({ part, variant: run.record.variant }));
    this.#runs = runs
      .filter(({ run: { record } }) => record.status === "completed" && record.summary !== null)
      .map(({ part, run }) => ({ part, variant: run.record.variant, run: new FoundRun(run) }))
      .sort((a, b) => a.run.seed - b.run.seed);
  }

  /** Whether the item has more than one part here. */
  get severalParts(): boolean {
    return new Set(this.#asked.map(({ part }) => part)).size > 1;
  }

  /** Whether there is such a run, completed or not: a reduced scale may leave some out. */
  has(part: string, variant: string): boolean {
    return this.#asked.some((run) => run.part === part && run.variant === variant);
  }

  /** A quantity for each seed of a variant; seeds ascending. */
  of(part: string, variant: string, quantity: Quantity): SeededValue[] {
    return this.#runs.flatMap(({ run, ...from }) => {
      if (from.part !== part || from.variant !== variant) return [];
      const value = quantity(run);
      return value === null || !Number.isFinite(value) ? [] : [{ seed: run.seed, value }];
    });
  }

  /** Names of the stages whose nHSIC was measured, in network order. */
  stages(part: string, variant: string): string[] {
    return this.#runs.find((one) => one.part === part && one.variant === variant)?.run.stages ?? [];
  }

  /** Test accuracies at the last epoch. */
  accuracy(part: string, variant: string): SeededValue[] {
    return this.of(part, variant, (run) => run.testAccuracy);
  }
}
