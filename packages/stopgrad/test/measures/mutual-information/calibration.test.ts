// The study of the estimators: that every one is held against the right truth, marked by the criterion it states, and told
// when it refuses; and what its tables and its chart make of it.
import "../../support/one-thread.js";
import { expect, test } from "vitest";
import {
  type CalibrationPlan,
  type CalibrationResult,
  calibrate,
  calibrationTasks,
  classInformation,
  correlationFor,
  toleranceOf,
} from "../../../src/measures/mutual-information/index.js";
import { calibrationChart } from "../../../src/report/charts/calibration.js";
import { renderSvg } from "../../../src/report/render.js";
import { renderCsv, renderText } from "../../../src/report/table.js";
import { calibrationGrids, calibrationRegions, calibrationTable } from "../../../src/report/tables/calibration.js";

const plan: CalibrationPlan = {
  estimators: ["ksg", "binning", "label-bound"],
  pairs: ["input", "labels"],
  dimensions: [1, 2, 21],
  strengths: { information: [0.5, 2] },
  samples: 600,
  seeds: 2,
};

const results = [...calibrate(plan)];
const of = (estimator: string, pair: string, dimension: number) =>
  results.filter((r) => r.estimator === estimator && r.pair === pair && r.dimension === dimension);

test("every estimator on every pair it takes, dimension and strength, with its truth", () => {
  expect(results).toHaveLength((2 + 3) * 3 * 2);
  expect(calibrationTasks(plan)).toHaveLength(results.length);
  expect(of("label-bound", "input", 1)).toEqual([]);
  for (const dimension of [1, 2, 21]) {
    expect(of("ksg", "input", dimension).map(({ truth }) => Number(truth.toFixed(10)))).toEqual([0.5, 2]);
    const byClasses = [0.5, 2].map((nats) => classInformation(correlationFor(nats, 1), 10));
    expect(of("ksg", "labels", dimension).map(({ truth }) => truth)).toEqual(byClasses);
  }
});

test("an estimate fails by the stated criterion, and a refusal is one", () => {
  expect([0, 1, 2, 8].map(toleranceOf)).toEqual([0.1, 0.1, 0.2, 0.8]);
  for (const { estimates, estimate, error, truth, fails, refused } of results) {
    if (refused !== null) {
      expect([estimate, error, fails, estimates]).toEqual([null, null, true, []]);
      continue;
    }
    expect(estimates).toHaveLength(2);
    expect(estimate).toBeCloseTo((estimates[0]! + estimates[1]!) / 2, 12);
    expect(error).toBeCloseTo(estimate! - truth, 12);
    expect(fails).toBe(Math.abs(error!) > toleranceOf(truth));
  }
  expect(of("ksg", "input", 21).every(({ refused }) => refused?.includes("has 21 features"))).toBe(true);
});

test("what is known of them comes out: neighbours hold in one dimension, counting fails in two", () => {
  expect(of("ksg", "input", 1).map(({ fails }) => fails)).toEqual([false, false]);
  expect(of("label-bound", "labels", 1).map(({ fails }) => fails)).toEqual([false, false]);
  expect(of("binning", "input", 2).map(({ fails }) => fails)).toEqual([true, true]);
});

test("the same plan gives the same numbers, whatever else is asked for", () => {
  const again = [...calibrate({ ...plan, estimators: ["ksg"], dimensions: [2], strengths: { information: [2] } })];
  expect(again[0]!.estimates).toEqual(of("ksg", "input", 2)[1]!.estimates);
  const byCorrelation = [...calibrate({ ...plan, dimensions: [2], strengths: { correlations: [0.6] } })];
  expect(byCorrelation[0]!.truth).toBeCloseTo(-2 * Math.log(0.8), 12);
});

/** A result as the tables take it. */
function made(dimension: number, truth: number, estimate: number | null): CalibrationResult {
  const error = estimate === null ? null : estimate - truth;
  return {
    estimator: "mine",
    pair: "input",
    dimension,
    correlation: correlationFor(truth, dimension),
    truth,
    estimates: estimate === null ? [] : [estimate],
    estimate,
    error,
    tolerance: toleranceOf(truth),
    fails: error === null || Math.abs(error) > toleranceOf(truth),
    refused: estimate === null ? "no" : null,
    seconds: 1,
  };
}

const known = [
  made(1, 0.5, 0.45),
  made(1, 4, 4.1),
  made(2, 0.5, 0.55),
  made(2, 4, 2),
  made(30, 0.5, null),
  made(30, 4, 40),
];

test("tables: estimate, error and mark; the region; every digit in CSV", () => {
  expect(calibrationGrids(known).map((table) => renderText(table))).toEqual([
    [
      "mine, I(X;Z): estimate (error), nats",
      "",
      " d     truth 0.5           truth 4",
      "──  ────────────  ────────────────",
      " 1  0.45 (−0.05)      4.10 (+0.10)",
      " 2  0.55 (+0.05)    ✗ 2.00 (−2.00)",
      "30     ✗ refused  ✗ 40.00 (+36.00)",
      "",
    ].join("\n"),
  ]);
  const region = renderText(calibrationRegions(known));
  expect(region).toMatch(/d = 1 +d = 2 +d = 30/);
  expect(region).toMatch(/mine +I\(X;Z\) +all \(4\) +0\.5 +none/);
  const [header, ...lines] = renderCsv(calibrationTable(known)).trimEnd().split("\r\n");
  expect(header).toBe("estimator,of,dimension,correlation,truth,estimate,error,fails,seeds");
  expect(lines[3]).toBe(`mine,I(X;Z),2,${correlationFor(4, 2)},4,2,-2,true,1`);
  expect(lines[4]).toBe(`mine,I(X;Z),30,${correlationFor(0.5, 30)},0.5,,,true,0`);
});

test("the chart: a panel a dimension, failures crossed, what is far above at the edge", async () => {
  const spec = calibrationChart(known, toleranceOf);
  const text = JSON.stringify(spec);
  expect(text).toContain('"truth":4,"estimate":2,"drawn":2,"error":-2,"judgement":"fails"');
  expect(text).toContain('"truth":4,"estimate":40,"drawn":5,"error":36,"judgement":"fails, above the panel"');
  expect(text).toContain('"truth":4,"estimate":4.1,"drawn":4.1,"error":0.1,"judgement":"within the tolerance"');
  const svg = await renderSvg(spec);
  for (const dimension of [1, 2, 30]) expect(svg).toContain(`d = ${dimension}<`);
  expect(await renderSvg(calibrationChart(results, toleranceOf))).toContain("label-bound");
  expect(await renderSvg(calibrationChart([made(30, 1, null)], toleranceOf))).toContain("<svg");
});
