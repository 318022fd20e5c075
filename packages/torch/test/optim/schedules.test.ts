// Every schedule against PyTorch's rates over fifty steps, and what a scheduler saves.
import { describe, expect, it } from "vitest";
import * as torch from "../../src/index.js";
import { optim, Parameter } from "../../src/index.js";
import { allClose } from "../support/close.js";
import { readFixture } from "../support/fixtures.js";

interface Recorded {
  base: number;
  rates: number[];
  momenta?: number[];
}
const fixture = readFixture<{
  schedules: Record<string, Recorded>;
  plateaus: { metrics: (number | "nan")[]; runs: { options: optim.PlateauOptions; rates: number[] }[] };
}>("optim.json");

const linear = optim.linearSchedule({ steps: 8, startFactor: 0.1 });
const oneCycleLinear = { steps: 60, rising: 0.45, slope: "linear", startDivisor: 10, endDivisor: 100 } as const;
const schedules: Record<string, optim.Schedule> = {
  multiStep: optim.multiStepSchedule({ milestones: [2, 5, 6, 30], gamma: 0.2 }),
  step: optim.stepSchedule({ every: 7, gamma: 0.3 }),
  exponential: optim.exponentialSchedule({ gamma: 0.93 }),
  cosine: optim.cosineSchedule({ steps: 50, minimum: 0.01 }),
  cosineTwice: optim.cosineSchedule({ steps: 20 }),
  cosineRestarts: optim.cosineRestartsSchedule({ period: 10, minimum: 0.01 }),
  cosineRestartsGrowing: optim.cosineRestartsSchedule({ period: 5, multiplier: 2 }),
  linear: optim.linearSchedule({ steps: 5 }),
  linearDown: optim.linearSchedule({ steps: 30, startFactor: 1, endFactor: 0.2 }),
  polynomial: optim.polynomialSchedule({ steps: 40, power: 2 }),
  lambda: optim.lambdaSchedule((step) => 1 / (1 + step)),
  warmupCosine: optim.warmupCosineSchedule({ warmup: 10, steps: 55, minimum: 0.001 }),
  chained: optim.chainedSchedule([linear, optim.exponentialSchedule({ gamma: 0.9 })]),
  oneCycle: optim.oneCycleSchedule({ steps: 51 }),
  oneCycleLinear: optim.oneCycleSchedule(oneCycleLinear),
};
const momenta: Record<string, optim.Schedule> = {
  oneCycle: optim.oneCycleMomentum({ steps: 51 }),
  oneCycleLinear: optim.oneCycleMomentum({ ...oneCycleLinear, least: 0.8, most: 0.9 }),
};

function withOptimizer(rate: number, use: (optimizer: optim.SGD) => void): void {
  const parameters = [new Parameter(torch.zeros([1])), new Parameter(torch.zeros([1]))];
  const [first, second] = parameters as [Parameter, Parameter];
  const groups = [{ parameters: [first] }, { parameters: [second], learningRate: 2 * rate }];
  const optimizer = new optim.SGD(groups, { learningRate: rate, momentum: 0.9 });
  use(optimizer);
  for (const item of [...parameters, optimizer]) item.dispose();
}

const close = { relative: 1e-11, absolute: 1e-13 }; // PyTorch multiplies step by step

describe.each(Object.entries(fixture.schedules))("%s", (name, { base, rates, momenta: recordedMomenta }) => {
  const schedule = schedules[name]!;
  const momentum = momenta[name];

  it("gives PyTorch's rates to every group, from its own", () => {
    withOptimizer(base, (optimizer) => {
      const scheduler = new optim.Scheduler(optimizer, schedule, momentum ? { momentum } : {});
      const found = rates.map((_, step) => {
        const now = { rates: scheduler.learningRates, momentum: optimizer.groups[0]!.settings.momentum as number };
        expect(scheduler.stepsTaken).toBe(step);
        scheduler.step();
        return now;
      });
      allClose(found.map((now) => now.rates[0]!), rates, close, "rates"); // biome-ignore format: short
      const second = rates.map((_, step) => schedule(2 * base, step));
      expect(found.map((now) => now.rates[1]!)).toEqual(second);
      if (recordedMomenta) allClose(found.map((now) => now.momentum), recordedMomenta, close, "momenta"); // biome-ignore format: short
    });
  });

  it("goes on from a saved state with the same bits", () => {
    withOptimizer(base, (optimizer) => {
      const straight = new optim.Scheduler(optimizer, schedule, momentum ? { momentum } : {});
      for (let i = 0; i < 20; i++) straight.step();
      const saved = JSON.parse(JSON.stringify(straight.stateDict())) as optim.SchedulerState;
      withOptimizer(base, (other) => {
        const resumed = new optim.Scheduler(other, schedule, momentum ? { momentum } : {});
        resumed.loadStateDict(saved);
        for (let i = 0; i < 10; i++) {
          expect(resumed.learningRates).toEqual(straight.learningRates);
          expect(other.groups[0]!.settings).toEqual(optimizer.groups[0]!.settings);
          resumed.step();
          straight.step();
        }
      });
    });
  });
});

it("has a case for every schedule", () => {
  expect(Object.keys(schedules).sort()).toEqual(Object.keys(fixture.schedules).sort());
  const kinds = Object.keys(optim).filter((name) => name.endsWith("Schedule"));
  // The others are put together from these, or tested below.
  const built = new Set(["constantSchedule", "sequentialSchedule"]);
  expect(kinds.filter((kind) => !built.has(kind)).length).toBe(11);
});

describe("ReduceOnPlateau", () => {
  const metrics = fixture.plateaus.metrics.map((metric) => (metric === "nan" ? Number.NaN : metric));

  it.each(fixture.plateaus.runs.map((run) => [JSON.stringify(run.options), run] as const))(
    "reduces as PyTorch's, also from a saved state: %s",
    (_, { options, rates }) => {
      withOptimizer(0.5, (optimizer) => {
        let scheduler = new optim.ReduceOnPlateau(optimizer, options);
        const found = metrics.map((metric, step) => {
          if (step === 25) {
            const saved = JSON.parse(JSON.stringify(scheduler.stateDict())) as optim.PlateauState;
            scheduler = new optim.ReduceOnPlateau(optimizer, options);
            scheduler.loadStateDict(saved);
          }
          scheduler.step(metric);
          return scheduler.learningRates[0]!;
        });
        allClose(found, rates, close);
      });
    },
  );

  it("refuses settings that make no sense", () => {
    withOptimizer(1, (optimizer) => {
      expect(() => new optim.ReduceOnPlateau(optimizer, { factor: 1 })).toThrow("expected a factor in [0, 1), got 1");
      expect(() => new optim.ReduceOnPlateau(optimizer, { mode: "least" as never })).toThrow(
        /mode min or max, got least/,
      );
      expect(() => new optim.ReduceOnPlateau(optimizer, { thresholdMode: "rel" as never })).toThrow(/got rel/);
      expect(() => new optim.ReduceOnPlateau(optimizer).loadStateDict({} as never)).toThrow(
        /expected a saved state, got/,
      );
    });
  });
});

it("a cosine of Adam's first beta leaves the second alone", () => {
  const parameter = new Parameter(torch.zeros([1]));
  const optimizer = new optim.Adam([parameter]);
  const scheduler = new optim.Scheduler(optimizer, optim.constantSchedule(), { momentum: () => 0.5 });
  scheduler.step();
  expect(optimizer.groups[0]!.settings.betas).toEqual([0.5, 0.999]);
  expect(optimizer.learningRate).toBe(1e-3);
  optimizer.dispose();
  const plain = new optim.SGD([parameter], { learningRate: 1 });
  expect(() => new optim.Scheduler(plain, optim.constantSchedule(), { momentum: () => 0.5 })).toThrow(
    "Scheduler: expected an optimizer with momentum or betas for a momentum schedule",
  );
  const state = { step: 1, baseRates: [1, 2] };
  expect(() => new optim.Scheduler(plain, optim.constantSchedule()).loadStateDict(state)).toThrow(
    'Scheduler: expected a saved step and 1 base rates, got {"step":1,"baseRates":[1,2]}',
  );
  plain.dispose();
  parameter.dispose();
});

it("schedules refuse settings that make no sense", () => {
  const cases: [() => unknown, string][] = [
    [() => optim.cosineSchedule({ steps: 0 }), "cosineSchedule: expected steps above 0, got 0"],
    [() => optim.stepSchedule({ every: -1 }), "stepSchedule: expected every above 0, got -1"],
    [() => optim.linearSchedule({ steps: Number.NaN }), "linearSchedule: expected steps above 0, got NaN"],
    [() => optim.polynomialSchedule({ steps: 0 }), "polynomialSchedule: expected steps above 0, got 0"],
    [() => optim.cosineRestartsSchedule({ period: 5, multiplier: 0.5 }), "cosineRestartsSchedule: expected a whole multiplier of at least 1, got 0.5"],
    [() => optim.warmupCosineSchedule({ warmup: 5, steps: 5 }), "warmupCosineSchedule: expected more steps than warm-up, got 5 and 5"],
    [() => optim.oneCycleSchedule({ steps: 5, rising: 1 }), "oneCycleSchedule: expected rising in (0, 1), got 1"],
    [() => optim.oneCycleMomentum({ steps: 5, slope: "step" as never }), "oneCycleMomentum: expected the slope cosine or linear, got step"],
    [() => optim.sequentialSchedule([linear, linear], [3, 4]), "sequentialSchedule: expected rising milestones, one fewer than schedules, got [3, 4] for 2 schedules"],
    [() => optim.sequentialSchedule([linear, linear, linear], [4, 3]), "sequentialSchedule: expected rising milestones, one fewer than schedules, got [4, 3] for 3 schedules"],
  ]; // biome-ignore format: a table
  for (const [call, message] of cases) expect(call).toThrow(new torch.TorchError(message));
});

it("multiStep is the schedule of that name, by the epoch", () => {
  expect(optim.multiStep(1, 5, { milestones: [5] })).toBe(0.1);
  expect(optim.multiStep(1, 4, { milestones: [5] })).toBe(1);
  expect(optim.warmupCosineSchedule({ warmup: 0, steps: 4 })(1, 2)).toBeCloseTo(0.5, 15);
});
