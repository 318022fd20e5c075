// `stopgrad calibrate` as its users meet it.
import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { folder, json, put, start, stopgrad, until } from "./command.js";

const small = ["--estimators", "ksg,binning", "--dimensions", "1,2", "--information", "0.5,1", "--samples", "200"];

describe("stopgrad calibrate", () => {
  it("prints estimates beside truths and writes tables and chart", async () => {
    const home = folder();
    const done = await stopgrad(["calibrate", ...small, "--pairs", "input", "--out", "study"], { cwd: home });
    expect(done.code).toBe(0);
    expect(done.stderr).toMatch(/^(\d of 8 estimates \(.*\), \d.* to go\n)*$/); // nothing where it is quick
    expect(done.stdout).toMatch(/ksg, I\(X;Z\): estimate \(error\), nats/);
    expect(done.stdout).toMatch(/truth 0\.5 +truth 1/);
    expect(done.stdout).toMatch(/Where each estimator holds/);
    expect(readdirSync(join(home, "study")).toSorted()).toEqual([
      "calibration.csv",
      "calibration.md",
      "calibration.svg",
      "calibration.vl.json",
    ]);
    expect(readFileSync(join(home, "study", "calibration.csv"), "utf8").split("\r\n")).toHaveLength(1 + 8 + 1);
    expect(readFileSync(join(home, "study", "calibration.md"), "utf8")).toContain("| ksg | I(X;Z) | 1 |");
    expect(readFileSync(join(home, "study", "calibration.svg"), "utf8")).toMatch(/^<svg/);
  });

  it("gives one JSON document, the same each time", async () => {
    const [first, second] = await Promise.all([0, 1].map(() => stopgrad(["calibrate", ...small, "--json"])));
    const [document, again] = [json(first!), json(second!)];
    expect(document.results).toHaveLength(16);
    expect(document).toMatchObject({ samples: 200, seeds: 1, tolerance: { nats: 0.1, share: 0.1 }, files: [] });
    const estimates = (from: typeof document) => from.results.map((result: { estimate: number }) => result.estimate);
    expect(estimates(again)).toEqual(estimates(document));
    expect(document.results[0]).toMatchObject({ estimator: "ksg", pair: "input", dimension: 1, fails: false });
  });

  it.each([
    [["--estimators", "mein"], "calibrate: --estimators: unknown name: mein (known: mine, info-nce"],
    [["--pairs", "x"], "calibrate: --pairs: unknown name: x (known: input, labels)"],
    [["--dimensions", "1,0"], "calibrate: --dimensions: expected whole numbers from 1 to 1000, as in 1,2, got 0"],
    [["--dimensions", "1,,2"], "got nothing"],
    [["--information", "-1"], "calibrate: --information: expected nats from 0 to 15, as in 0.5,2, got -1"],
    [["--correlations", "1"], "calibrate: --correlations: expected numbers between -1 and 1, as in 0.5,0.9, got 1"],
    [["--correlations", "0.1", "--information", "1"], "expected --information or --correlations, got both"],
    [["--samples", "99"], "calibrate: --samples: expected at least 100, got 99"],
    [["--estimators", "label-bound", "--pairs", "input"], "calibrate: label-bound takes labels only"],
  ])("refuses %j as wrong usage", async (args, message) => {
    const { code, stderr, stdout } = await stopgrad(["calibrate", ...args]);
    expect([code, stdout]).toEqual([2, ""]);
    expect(stderr).toContain(message);
  });

  it("tells before the work that a folder cannot be", async () => {
    const home = folder();
    put(home, "taken", "a file");
    const { code, stderr } = await stopgrad(["calibrate", "--out", "taken/study"], { cwd: home });
    expect(code).toBe(1);
    expect(stderr).toContain("taken");
    mkdirSync(join(home, "study", "calibration.svg"), { recursive: true });
    const inTheWay = await stopgrad(["calibrate", ...small, "--out", "study", "--json"], { cwd: home });
    expect(json(inTheWay).error).toMatch(/^calibrate: .*calibration\.svg: expected no folder where a file is to be/);
    expect(readdirSync(join(home, "study"))).toEqual(["calibration.svg"]);
  });

  it("that is interrupted leaves no folder", async () => {
    const home = folder();
    const running = start(["calibrate", "--estimators", "mine,ksg", "--out", "deep/study"], { cwd: home });
    let progress = "";
    running.child.stderr?.on("data", (data) => (progress += data));
    await until("work under way", () => progress.includes("to go"));
    process.kill(running.pid, "SIGINT");
    await running.finished;
    expect(existsSync(join(home, "deep"))).toBe(false);
  });
});
