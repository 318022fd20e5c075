// What people see of warnings, and the words for what is being measured.
import { expect, it } from "vitest";
import { describeMeasuring } from "../../src/cli/progress-measuring.js";
import { Warnings } from "../../src/cli/progress-warnings.js";
import type { PlannedRun } from "../../src/experiment/runner.js";

const run = (id: string) => ({ id }) as PlannedRun;

function warning(measure: string, reason: string, stage: string, when: string) {
  const message = `${measure} of ${stage} cannot be computed ${when}: ${reason}`;
  return { type: "warning" as const, message, problem: { measure, stages: [stage], reason } };
}

it("a measure's warning is said once over all runs, and counted at the end", () => {
  const warnings = new Warnings(2);
  const first = warning("ksg", "expected at most 10 features, got 120", "fc1", "before the first step");
  expect(warnings.told(run("a"), first)).toBe(first.message);
  expect(warnings.told(run("a"), warning("ksg", first.problem.reason, "fc1", "in epoch 1, step 3"))).toBeNull();
  const other = warning("ksg", "expected at most 10 features, got 84", "fc2", "before the first step");
  expect(warnings.told(run("b"), other)).toBeNull(); // only a number differs
  const reason = warning("ksg", "the samples coincide", "fc1", "in epoch 2, step 3");
  expect(warnings.told(run("b"), reason)).toBe(reason.message);
  const measure = warning("binning", first.problem.reason, "fc1", "before the first step");
  expect(warnings.told(run("b"), measure)).toBe(measure.message);
  expect(warnings.atEnd()).toEqual(["the warning of ksg came 3 times in every run, of fc1, fc2"]);
});

it("says in which part of the runs a warning came", () => {
  const atEnd = (runs: number) => {
    const warnings = new Warnings(runs);
    for (const when of ["in epoch 1, step 3", "in epoch 2, step 3"]) {
      warnings.told(run("a"), warning("ksg", "the samples coincide", "fc1", when));
    }
    return warnings.atEnd();
  };
  expect(atEnd(1)).toEqual(["the warning of ksg came 2 times, of fc1"]);
  expect(atEnd(3)).toEqual(["the warning of ksg came 2 times in 1 of 3 runs, of fc1"]);
});

it("other warnings are said every time", () => {
  const warnings = new Warnings(2);
  const event = { type: "warning", message: "no checkpoint is left" } as const;
  for (const id of ["a", "a", "b"]) expect(warnings.told(run(id), event)).toBe(event.message);
  expect(warnings.atEnd()).toEqual([]);
});

it("says what is measured, and when", () => {
  const said = (epoch: number, number = 1, of = 1) =>
    describeMeasuring({ type: "measuring", measure: "geometry", epoch, number, of });
  expect(said(0)).toBe("measuring geometry before the first epoch");
  expect(said(3, 2, 9)).toBe("measuring geometry after epoch 3 (2 of 9)");
  expect(said(0.25)).toBe("measuring geometry in epoch 1");
});
