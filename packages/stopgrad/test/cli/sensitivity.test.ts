// `stopgrad sensitivity` end to end: runs that kept their epochs, files, what it writes, what it refuses.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { folder, json, put, smallest, stopgrad, stored, tiny } from "./command.js";

const kept = tiny.replace("epochs: 2\n", "epochs: 3\ncheckpoint: { keep: all }\nseeds: [1]\n");

let home: string;
beforeEach(() => {
  home = folder();
});

const run = (...args: string[]) => stopgrad(args, { cwd: home });

/** Ids of trained runs: end to end, layer-wise. */
async function train(experiment: string): Promise<string[]> {
  put(home, "tiny.yaml", experiment);
  const { variants } = json(await run("compare", "tiny.yaml", "--json"));
  return variants.map(({ runs }: { runs: { run: string }[] }) => runs[0]!.run);
}

/** float32 `[rows, features]` as numpy.save writes it. */
function npy(shape: number[], data: Float32Array | BigInt64Array): Buffer {
  const type = data instanceof Float32Array ? "<f4" : "<i8";
  const tuple = shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(", ")})`;
  const text = `{'descr': '${type}', 'fortran_order': False, 'shape': ${tuple}, }`.padEnd(117);
  const header = Buffer.from(`\x93NUMPY\x01\x00\x76\x00${text}\n`, "latin1");
  return Buffer.concat([header, Buffer.from(data.buffer)]);
}

describe("of runs", () => {
  it("judges every conclusion under every setting, and writes tables and a picture", { timeout: 60_000 }, async () => {
    const ids = await train(kept);
    const ended = await run("sensitivity", ...ids, "--batch", "32", "--out", "swept", "--json");
    expect(ended.stderr).not.toContain("stopgrad:");
    const { settings, conclusions, files } = json(ended);
    expect(settings).toHaveLength(14); // two batches of 128 would need 256 test images
    expect(settings[0]).toMatchObject({
      label: "default",
      kernel: "rbf",
      sigma: 5,
      epsilon: 1e-5,
      batch: 32,
      split: "test",
    });
    const statements: string[] = conclusions.map((one: { statement: string }) => one.statement);
    for (const stage of ["conv1", "fc3"]) {
      expect(statements.filter((one) => one.includes(stage) && one.includes("compress"))).toHaveLength(3);
    }
    expect(statements.some((one) => one.includes("role differentiation"))).toBe(true);
    for (const { findings, counts } of conclusions) {
      expect(findings).toHaveLength(14);
      expect(counts.holds + counts.flips + counts.yes + counts.no + counts["cannot be told"]).toBe(14);
    }
    expect(files.map((file: string) => file.split("/").at(-1))).toEqual([
      "sensitivity.md",
      "sensitivity.csv",
      "sensitivity.svg",
      "sensitivity.vl.json",
    ]);
    const csv = readFileSync(join(home, "swept", "sensitivity.csv"), "utf8")
      .trim()
      .split("\r\n");
    expect(csv).toHaveLength(1 + 14 * conclusions.length);
    expect(readFileSync(join(home, "swept", "sensitivity.svg"), "utf8")).toContain("plain distance");

    // The run itself measured the first two batches: the default sees the same images and gives the same order.
    const same = json(await run("sensitivity", ids[0]!, "--batch", "32", "--samples", "64", "--json")).conclusions;
    const order = same.find(({ statement }: { statement: string }) => statement.startsWith("order by"));
    const { stages } = stored(join(home, "runs"), ids[0]!).record.summary!;
    const byY = [...stages].sort((a, b) => a.nhsicYZ! - b.nhsicYZ!).map(({ name }) => name);
    expect(order.statement).toBe(`order by nHSIC(Y,Z): ${byY.join(" < ")}`);
  });

  it("looks only at some stages, and is short in a terminal", { timeout: 60_000 }, async () => {
    const [id] = await train(kept);
    const args = ["sensitivity", id!, "--batch", "16", "--stages", "fc3", "conv1"];
    const { stdout, code } = await run(...args);
    expect(code).toBe(0);
    const lines = stdout.split("\n");
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(120);
    expect(lines.slice(1, 3).join(" ")).toMatch(/\d+ of 5 conclusions? holds? in every setting/);
    expect(stdout).toContain("Only stages conv1, fc3:");
    const { conclusions } = json(await run(...args, "--samples", "48", "--json"));
    expect(conclusions).toHaveLength(5); // compression and retention of two stages, and their order
    for (const { findings } of conclusions) expect(findings[0].verdict).toBe("cannot be told"); // three batches
    expect(conclusions[0].findings[0].reason).toBe("3 mini-batches, where a verdict needs 4");

    const wrong = await run("sensitivity", id!, "--batch", "16", "--stages", "conv9");
    expect(wrong.code).toBe(1);
    expect(wrong.stderr).toContain("has no stage conv9");
  });

  it("says what to do where a run kept too few epochs", { timeout: 60_000 }, async () => {
    put(home, "smallest.yaml", smallest);
    const { run: id } = json(await run("train", "smallest.yaml", "--json"));
    const { code, stderr } = await run("sensitivity", id, "--batch", "8");
    expect(code).toBe(1);
    expect(stderr).toContain("train it with checkpoint.keep=all");
  });
});

describe("of files", () => {
  const COUNT = 96;
  beforeEach(() => {
    const x = Float32Array.from({ length: COUNT * 8 }, (_, at) => Math.sin(1.7 * at * at));
    const noise = Float32Array.from({ length: COUNT * 8 }, (_, at) => Math.cos(2.3 * at * at + 1));
    put(home, "x.npy", npy([COUNT, 8], x));
    put(
      home,
      "near.npy",
      npy(
        [COUNT, 8],
        x.map((one, at) => one + 0.05 * noise[at]!),
      ),
    );
    put(home, "far.npy", npy([COUNT, 8], noise));
    put(
      home,
      "y.npy",
      npy(
        [COUNT],
        BigInt64Array.from({ length: COUNT }, (_, at) => BigInt(at % 3)),
      ),
    );
  });

  it("judges the order of representations", async () => {
    const { conclusions } = json(
      await run("sensitivity", "--x", "x.npy", "--y", "y.npy", "--z", "far.npy", "near.npy", "--batch", "16", "--json"),
    );
    const order = conclusions[0];
    expect(order.statement).toBe("order by nHSIC(X,Z): far.npy < near.npy");
    expect(order.verdict).toMatch(/^holds in \d+ of 13 settings/);
    expect(order.counts.flips).toBe(0);
    expect(order.spearman[0]).toBe(1);
    expect(conclusions.map(({ statement }: { statement: string }) => statement).join()).toContain("nHSIC(Y,Z)");
  });

  it("says what to do where there are too few batches", async () => {
    const args = ["sensitivity", "--x", "x.npy", "--z", "far.npy", "near.npy", "--batch", "32"];
    const { stdout } = await run(...args);
    expect(stdout).toContain("0 of 2 conclusions hold in every setting");
    expect(stdout.replaceAll("\n", " ")).toMatch(
      /fewer than 4 mini-batches\. Take more --samples or a smaller --batch/,
    );
  });

  it("tells people in lines, one a conclusion", async () => {
    const { stdout, code } = await run("sensitivity", "--x", "x.npy", "--z", "far.npy", "near.npy", "--batch", "16");
    expect(code).toBe(0);
    expect(stdout).toContain("nHSIC(X,Z): near.npy is above far.npy");
    expect(stdout).toMatch(/holds in \d+ of 13/);
    expect(existsSync(join(home, "swept"))).toBe(false);
  });

  it.each([
    [[], "expected runs, or representations"],
    [["--z", "far.npy", "near.npy"], "expected an input (--x X.npy), labels (--y Y.npy) or both"],
    [["--x", "x.npy", "--z", "far.npy", "near.npy", "--stages", "a"], "--stages is for runs"],
    [["a-run", "--x", "x.npy"], "expected runs or files"],
    [["--x", "x.npy", "--z", "far.npy"], "expected two representations or more"],
    [["--x", "x.npy", "--z", "far.npy", "near.npy", "--batch", "9"], "--batch: expected an even number"],
    [["--x", "x.npy", "--z", "far.npy", "near.npy"], "the default setting needs two batches of 128"],
  ])("refuses %j", async (args, message) => {
    const { code, stderr } = await run("sensitivity", ...args);
    expect(code).toBe(message.startsWith("the default") ? 1 : 2);
    expect(stderr).toContain(message);
    expect(stderr.trim().split("\n")).toHaveLength(1);
  });
});
