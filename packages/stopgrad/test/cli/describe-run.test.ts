import { describe, expect, it } from "vitest";
import { describeRun } from "../../src/cli/describe-run.js";
import { syntheticRuns } from "../report/synthetic.js";

/** A run of a network whose width is given as 8, and may have been matched to a cost. */
function recordWith(match: string | null, matchedWidth?: number) {
  const own = matchedWidth === undefined ? {} : { matchedWidth };
  const settings = { model: { name: "resnet32", width: 8 }, match };
  return syntheticRuns({ variants: [{ name: "wide", settings, own }], seeds: [1], nhsic: false })[0]!.record;
}

const linesOf = (record: ReturnType<typeof recordWith>) =>
  describeRun(record, [])
    .map((line) => line.trim())
    .filter((line) => line.startsWith("width"));

describe("a run in full", () => {
  it("shows the width that the network has, and that the one in the settings is not it", () => {
    expect(linesOf(recordWith("inference", 11))).toEqual([
      expect.stringMatching(/^width +11, found by match: inference$/),
      "width: 8 # as given; match found 11",
    ]);
  });

  it("says that the width is not known before the run is completed", () => {
    const record = { ...recordWith("inference"), summary: null, status: "running" as const };
    expect(linesOf(record)).toEqual([
      expect.stringMatching(/^width +known when the run is completed \(match: inference\)$/),
      "width: 8 # as given; match finds another",
    ]);
  });

  it("says nothing of a width that was taken as given", () => {
    expect(linesOf(recordWith(null))).toEqual(["width: 8"]);
  });
});
