// Time to go, by a clock that the tests turn: training at each run's speed, measures by how long they took.
import { describe, expect, it } from "vitest";
import { RunClock } from "../../src/cli/progress-clock.js";
import type { TrainingEvent } from "../../src/experiment/protocol.js";
import type { PlannedRun } from "../../src/experiment/runner.js";
import { TEST_ACCURACY } from "../../src/experiment/training-moments.js";

type Observe = Record<string, { every?: number; at?: "end"; firstEpoch: boolean }>;

const everyEpoch = { every: 1, firstEpoch: false };
const atEnd = { at: "end", firstEpoch: false } as const;

function planned(id: string, observe: Observe = {}, variant = "e2e"): PlannedRun {
  return { id, done: false, settings: { variant, observe } as unknown as PlannedRun["settings"] };
}

/** Runs of 3 epochs of 10 steps. */
function clockOf(runs: readonly PlannedRun[], jobs = 1) {
  let now = 0;
  const clock = new RunClock(runs, jobs, () => now);
  return {
    clock,
    wait(seconds: number) {
      now += 1000 * seconds;
    },
    start(run: PlannedRun, step = 0) {
      clock.note(run, {
        type: "started",
        environment: {},
        epochs: 3,
        totalSteps: 30,
        step,
      } as unknown as TrainingEvent);
    },
    measure(run: PlannedRun, measure: string, seconds: number) {
      clock.note(run, { type: "measuring", measure, epoch: 0, number: 1, of: 1 });
      now += 1000 * seconds;
    },
    metrics(run: PlannedRun, step: number) {
      const points = [{ epoch: step / 10, step, key: "seconds", stage: "", value: 1, standardError: null }];
      clock.note(run, { type: "metrics", points });
    },
    complete(run: PlannedRun) {
      clock.note(run, { type: "completed", summary: {} } as unknown as TrainingEvent);
    },
  };
}

describe("of one run", () => {
  it("measuring is no training: it is counted as often as it is to come", () => {
    const run = planned("a", { geometry: everyEpoch });
    const { clock, start, measure, metrics, wait } = clockOf([run]);
    start(run);
    measure(run, TEST_ACCURACY, 1);
    measure(run, "geometry", 10);
    expect(clock.left(run)).toBeNull();
    metrics(run, 0);
    expect(clock.left(run)).toBeNull(); // no step yet
    wait(2); // ten steps
    measure(run, TEST_ACCURACY, 1);
    measure(run, "geometry", 10);
    metrics(run, 10);
    // Twenty steps at a fifth of a second, and two of each measure.
    expect(clock.left(run)).toEqual({ seconds: 4 + 2 * 11, isAll: true });
  });

  it("what is being measured counts for what is left of it", () => {
    const run = planned("a", { geometry: everyEpoch });
    const { clock, start, measure, metrics, wait } = clockOf([run]);
    start(run);
    measure(run, "geometry", 10);
    metrics(run, 0);
    wait(2);
    metrics(run, 10);
    measure(run, "geometry", 4);
    expect(clock.left(run)!.seconds).toBeCloseTo(4 + 6 + 2 * 10, 9);
    wait(50);
    expect(clock.left(run)!.seconds).toBeCloseTo(4 + 2 * 10, 9);
  });

  it("a measure that was never taken yet makes it the least there is to go", () => {
    const run = planned("a", { probe: atEnd });
    const { clock, start, measure, metrics, wait } = clockOf([run]);
    start(run);
    measure(run, TEST_ACCURACY, 0);
    metrics(run, 0);
    wait(2);
    metrics(run, 10);
    expect(clock.left(run)).toEqual({ seconds: 4, isAll: false });
    wait(4);
    metrics(run, 30);
    measure(run, "probe", 1);
    expect(clock.left(run)).toEqual({ seconds: 0, isAll: false });
  });

  it("one that goes on has its own speed from there", () => {
    const run = planned("a");
    const { clock, start, measure, metrics, wait } = clockOf([run]);
    start(run, 20);
    wait(5);
    measure(run, TEST_ACCURACY, 0);
    metrics(run, 25);
    expect(clock.left(run)).toEqual({ seconds: 5, isAll: true });
  });
});

describe("of several runs", () => {
  it("those that wait take as long as runs of their variant, and measures that others have taken are known", () => {
    const runs = [
      planned("a", { probe: atEnd }),
      planned("b", { probe: atEnd, geometry: everyEpoch }, "other"),
      planned("c", { probe: atEnd }),
    ];
    const [a, b] = runs as [PlannedRun, PlannedRun];
    const { clock, start, measure, metrics, wait, complete } = clockOf(runs);
    expect(clock.leftInAll()).toBeNull();
    start(a);
    measure(a, TEST_ACCURACY, 0);
    metrics(a, 0);
    wait(30);
    metrics(a, 30);
    measure(a, "probe", 7);
    complete(a);
    expect(clock.leftInAll()).toEqual({ seconds: 37 + 37, isAll: false }); // geometry, of b, is unknown
    start(b);
    measure(b, "geometry", 2);
    metrics(b, 0);
    wait(20);
    metrics(b, 10);
    expect(clock.left(b)).toEqual({ seconds: 40 + 3 * 2 + 7, isAll: true });
    expect(clock.leftInAll()).toEqual({ seconds: 53 + 37, isAll: true });
  });

  it("share the jobs, and the longest is not shared", () => {
    const runs = [planned("a"), planned("b"), planned("c")];
    const { clock, start, metrics, wait } = clockOf(runs, 2);
    start(runs[0]!);
    start(runs[1]!);
    wait(3);
    metrics(runs[0]!, 10);
    metrics(runs[1]!, 15);
    clock.note(runs[2]!, { type: "warning", message: "of one that waits" });
    const seconds = clock.leftInAll()!.seconds;
    expect(clock.left(runs[0]!)!.seconds).toBeCloseTo(6, 9);
    expect(clock.left(runs[1]!)!.seconds).toBeCloseTo(3, 9);
    expect(seconds).toBeCloseTo((6 + 3 + 7.5) / 2, 9);
  });
});
