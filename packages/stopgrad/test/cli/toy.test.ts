// `stopgrad toy` as its users meet it: table, figures, document, mistakes.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { folder, json, put, stopgrad } from "./command.js";

const quick = ["--steps", "200", "--points", "256", "--seeds", "1,2"];

describe("stopgrad toy", () => {
  it("compares the heads side by side and writes the figures", async () => {
    const home = folder();
    const out = join(home, "figures");
    const { code, stdout, stderr } = await stopgrad(["toy", ...quick, "--out", out]);
    expect(code, stderr).toBe(0);
    for (const text of ["σ₂/σ₁ of W", "step 0", "step 200", "linear", "mlp", "e2e", "nHSIC(X,Z)", "I(Y;Z), nats"]) {
      expect(stdout).toContain(text);
    }
    expect(stdout).toContain("fall 50 → 100");
    expect(stdout).toContain("exp(−2 λ · 2.5) = 0.95");
    expect(stdout).toMatch(/linear: W keeps rank two in \d of 2 runs/);
    const names = ["toy-accuracy.svg", "toy-information.svg", "toy-points.svg", "toy-weights.svg"];
    expect(readdirSync(out).sort()).toEqual(names);
    for (const name of names) {
      const svg = readFileSync(join(out, name), "utf8");
      expect(svg).toMatch(/^<svg/);
      expect(svg).not.toMatch(/NaN|undefined|Infinity/);
      expect(svg.length).toBeLessThan(1.5e6);
    }
  });

  it("prints one document with settings, summaries and every run", async () => {
    const home = folder();
    const args = ["toy", ...quick, "--head", "linear", "--lambda", "0.02", "--start", "near-zero", "--json"];
    const finished = await stopgrad(args, { cwd: home });
    expect(finished.code, finished.stderr).toBe(0);
    const document = json(finished);
    expect(document.settings).toMatchObject({ rules: ["linear"], lambda: 0.02, steps: 200, start: "near-zero" });
    expect(document.runs.map(({ rule, seed }: { rule: string; seed: number }) => [rule, seed])).toEqual([
      ["linear", 1],
      ["linear", 2],
    ]);
    expect(document.runs[0].snapshots.at(-1)).toMatchObject({ step: 200, weights: expect.any(Array) });
    expect(document.summaries[0].rate.theory).toBeCloseTo((1 - 2 * 0.02 * 0.05) ** 50, 12);
    expect(document.figures).toHaveLength(4);
    for (const file of document.figures) expect(existsSync(file)).toBe(true);
    expect(document.figures[0]).toBe(join(home, "runs", "reports", "toy", "toy-weights.svg"));
  });

  it.each([
    [["--lambda", "-1"], "toy: lambda: expected a number, at least 0, got -1"],
    [["--lambda", ""], "toy: lambda: expected a number, at least 0, got nothing"],
    [["--steps", "0"], "toy: steps: expected a whole number from 1"],
    [["--points", "2001"], "toy: points: expected an even number"],
    [["--head", "cubic"], "toy: head: expected one of linear, mlp, e2e, got cubic"],
    [["--penalty", "cubic"], "toy: penalty: expected one of lagrangian, quadratic, got cubic"],
    [["--seeds", "1,one"], "toy: seeds: expected whole numbers from 0 to 4,294,967,295, got one"],
  ])("refuses %j with exit code 2", async (args, message) => {
    const home = folder();
    const finished = await stopgrad(["toy", ...args, "--json"], { cwd: home });
    expect(finished.code).toBe(2);
    expect(json(finished).error).toContain(message);
    expect(readdirSync(home)).toEqual([]);
  });

  it("ends with exit code 1 and one sentence where the weights grow without bound", async () => {
    const { code, stderr } = await stopgrad(["toy", ...quick, "--lambda", "100"], { cwd: folder() });
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /stopgrad: toy: the weights grew without bound \(\w+, seed \d, step \d+\): .*choose a smaller/,
    );
    expect(stderr).not.toContain("    at ");
  });

  it("says before any work where the figures cannot go", async () => {
    const home = folder();
    const { code, stderr } = await stopgrad(["toy", "--out", join(put(home, "file", ""), "figures")]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^stopgrad: the figures cannot be written to .*figures: /);
  });
});
