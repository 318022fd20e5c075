// `stopgrad sensitivity` end to end: runs that kept their epochs, all combinations of settings against the measure itself,
// files, what it writes, what it refuses.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { cat, keep, scope, type Tensor } from "@stopgrad/torch";
import { beforeEach, describe, expect, it } from "vitest";
import { openTrained } from "../../src/experiment/trained-network.js";
import { measurePairs, pairMeasures } from "../../src/measures/index.js";
import { openStore } from "../../src/store/index.js";
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
    expect(wrong.code).toBe(2);
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

describe("of runs, every combination of settings (--grid)", () => {
  const STAGES = ["conv1", "fc3"];
  const SAMPLES = 16;
  const EPOCHS = [0, 1, 2];
  const grid = `name: grid
data: { name: glyphs, train: 128, test: 64, batch: 32 }
model: lenet5
epochs: 2
threads: 1
seeds: [1, 2]
checkpoint: { keep: all }
variants:
  e2e: { partition: 1 }
  layer-wise: { partition: stage, objective: { loss: cross-entropy, head: linear } }
`;

  interface Setting {
    readonly label: string;
    readonly batch: number;
    readonly split: "test" | "train";
    readonly [option: string]: unknown;
  }
  interface Arrays {
    readonly x: Tensor;
    readonly y: Tensor;
    readonly z: readonly Tensor[];
  }

  /** Input, labels and stages of a run after each epoch, as the network gives them. Stay in memory as long as the test. */
  async function arraysOf(id: string): Promise<Record<string, Arrays>> {
    const store = openStore(join(home, "runs"), { readonly: true });
    const network = await openTrained(store, join(home, "runs"), id, { dataDirs: [] });
    const found: Record<string, Arrays> = {};
    for (const epoch of EPOCHS) {
      network.load(epoch);
      for (const split of ["test", "train"] as const) {
        const source = network.representations({ split, samples: SAMPLES, stages: STAGES });
        const pieces: { x: Tensor[]; z: Tensor[][] } = { x: [], z: STAGES.map(() => []) };
        // As many images at a time as the largest batch: others are rounded differently.
        for (let start = 0; start < SAMPLES; start += 8) {
          source.pass(start, 8, (x) => {
            pieces.x.push(keep(x!.clone()));
            return (z, at) => void pieces.z[at]!.push(keep(z.clone()));
          });
        }
        const y = source.labels!.clone();
        found[`${split} ${epoch}`] = { x: cat(pieces.x, 0), y, z: pieces.z.map((one) => cat(one, 0)) };
        source.dispose();
      }
    }
    network.dispose();
    store.close();
    return found;
  }

  /** nHSIC over the epochs, of a pair at a stage, by the measure itself. */
  function pathOf(arrays: Record<string, Arrays>, { label, batch, split, ...options }: Setting) {
    const values = EPOCHS.map((epoch) =>
      scope(() => measurePairs(pairMeasures.nhsic, options, arrays[`${split} ${epoch}`]!, batch)),
    );
    return (pair: "x,z" | "y,z", stage: number) =>
      values.map((rows) => rows.find((row) => row.pair === pair && row.index === stage)!.value);
  }

  const compressionOf = (path: readonly number[]) => 1 - path.at(-1)! / Math.max(...path);
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  /** Of two values; t(0.975) at one degree of freedom. */
  const intervalOf = ([a, b]: readonly number[]) => {
    const half = (12.7062047364 * Math.abs(a! - b!)) / 2; // s / √2 of two values is half of what they are apart
    return [mean([a!, b!]) - half, mean([a!, b!]) + half];
  };

  it("gives the numbers of the measure itself, and refuses what cannot be", { timeout: 120_000 }, async () => {
    put(home, "grid.yaml", grid);
    const trained = json(await run("compare", "grid.yaml", "--json")).variants as { runs: { run: string }[] }[];
    const ids = trained.map(({ runs }) => runs.map((one) => one.run));
    const args = ["sensitivity", ...ids.flat(), "--batch", "8", "--samples", String(SAMPLES), "--stages", ...STAGES];
    const ended = await run(...args, "--grid", "--out", "swept", "--json");
    expect(ended.stderr).not.toContain("stopgrad:");
    const found = json(ended);
    // Kernels with their widths, ridges, batches of 4 and 8 (of 16 there is one), splits.
    expect(found.settings).toHaveLength(16 * 4 * 2 * 2);
    expect(new Set(found.settings.map((setting: Setting) => JSON.stringify({ ...setting, label: "" }))).size).toBe(256);
    expect(found.notes.join(" ")).toContain("Left out, as there are not two whole batches of samples: 256 settings.");

    const arrays = await Promise.all(ids.map((seeds) => Promise.all(seeds.map(arraysOf))));
    const conclusions = found.conclusions as {
      statement: string;
      quantity: string;
      findings: { setting: string; value: number; interval: number[] | null; verdict: string }[];
    }[];
    const conclusionAt = (quantity: string, variant: string, stage: string) =>
      conclusions.find(
        (one) =>
          one.quantity === quantity &&
          one.statement.includes(`at ${stage}`) &&
          (quantity.startsWith("difference") || one.statement.startsWith(`${variant}:`)),
      )!;
    const close = (actual: readonly number[], expected: readonly number[]) => {
      for (const [at, value] of expected.entries()) expect(Math.abs(actual[at]! - value)).toBeLessThan(1e-8);
    };
    const seen = new Set<string>();
    for (let at = 0; at < found.settings.length; at += 7) {
      const setting = found.settings[at] as Setting;
      for (const key of ["kernel", "width", "distance", "sigma", "epsilon", "batch", "split"]) {
        seen.add(`${key} ${setting[key]}`);
      }
      const paths = arrays.map((seeds) => seeds.map((one) => pathOf(one, setting)));
      for (const [stage, name] of STAGES.entries()) {
        const compressions = paths.map((seeds) => seeds.map((path) => compressionOf(path("x,z", stage))));
        for (const [variant, label] of ["e2e", "layer-wise"].entries()) {
          const compressed = conclusionAt("compression of X", label, name).findings[at]!;
          expect(compressed.setting).toBe(setting.label);
          close(
            [compressed.value, ...compressed.interval!],
            [mean(compressions[variant]!), ...intervalOf(compressions[variant]!)],
          );
          const retentions = paths[variant]!.map((path) => 1 - compressionOf(path("y,z", stage)));
          close([conclusionAt("retention of Y", label, name).findings[at]!.value], [mean(retentions)]);
        }
        const [first, second] = compressions as [number[], number[]];
        const differences = first.map((value, seed) => value - second[seed]!);
        const difference = conclusionAt("difference in compression of X", "", name).findings[at]!;
        close([difference.value], [mean(differences)]);
        // Two paths that end at their peaks are no less compressed for any seed: there is no spread to make one of.
        if (differences[0] === differences[1]) expect(difference.interval).toBeNull();
        else close(difference.interval!, intervalOf(differences));
      }
    }
    // Every value of every setting was among those looked at.
    const all = new Set<string>(
      found.settings.flatMap((setting: Setting) =>
        ["kernel", "width", "distance", "sigma", "epsilon", "batch", "split"].map((key) => `${key} ${setting[key]}`),
      ),
    );
    expect([...all].filter((one) => !seen.has(one))).toEqual([]);
    const csv = readFileSync(join(home, "swept", "sensitivity.csv"), "utf8");
    expect(csv.trim().split("\r\n")).toHaveLength(1 + 256 * conclusions.length);

    writeFileSync(join(home, "occupied"), "");
    const id = ids[0]![0]!;
    const wrong: [string[], number, string][] = [
      [["--batch", "9"], 2, "--batch: expected an even number, at least 8, got 9"],
      [["--batch", "6"], 2, "--batch: expected an even number, at least 8, got 6"],
      [["--batch", "2.5"], 2, "expected a positive integer, got 2.5"],
      [["--batch", "64"], 1, "the default setting needs two batches of 64, and there are 16 samples"],
      [["--samples", "8"], 1, "the default setting needs two batches of 8, and there are 8 samples"],
      [["--samples", "65"], 1, `--samples: expected 1 to 64, as many as run ${id} has of its test images, got 65`],
      [["--epochs", "0,1"], 1, "expected 3 epochs or more, got 2"],
      [["--epochs", "soon"], 2, "expected last, all or epochs such as 1,5,20, got soon"],
      [["--epochs", "0,1,9"], 1, "has no weights of epoch 9, only of epochs 0, 1 and 2"],
      [["--stages", "fc9"], 2, "has no stage fc9"],
      [["--out", "occupied"], 1, "the results cannot be written to"],
      [["--grid=twice"], 2, "grid"],
      [["no-such-stage"], 2, "has no stage no-such-stage"],
    ];
    for (const [flags, code, message] of wrong) {
      const refused = await run("sensitivity", id, "--batch", "8", "--samples", "16", "--stages", "fc3", ...flags);
      expect([flags, refused.code, refused.stderr]).toEqual([flags, code, expect.stringContaining(message)]);
      expect(refused.stderr.trim().split("\n")).toHaveLength(1);
    }
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

  it("draws nothing from rounding: one class is refused, and in batches of one class there is no order", async () => {
    put(home, "one.npy", npy([COUNT], new BigInt64Array(COUNT).fill(3n)));
    const refused = await run("sensitivity", "--y", "one.npy", "--z", "far.npy", "near.npy", "--batch", "16");
    expect([refused.code, refused.stderr]).toEqual([
      1,
      "stopgrad: one.npy holds a single class; expected labels of at least two\n",
    ]);
    // Sorted by class: every batch has one alone, and nothing of the label in it.
    put(
      home,
      "sorted.npy",
      npy(
        [COUNT],
        BigInt64Array.from({ length: COUNT }, (_, at) => BigInt(at < COUNT / 2 ? 0 : 1)),
      ),
    );
    const { conclusions } = json(
      await run("sensitivity", "--y", "sorted.npy", "--z", "far.npy", "near.npy", "--batch", "8", "--json"),
    );
    for (const { findings } of conclusions) {
      for (const { verdict } of findings) expect(verdict).toBe("cannot be told");
    }
  });

  it("takes all combinations of settings, of which one change at a time are some (--grid)", async () => {
    const args = ["sensitivity", "--y", "y.npy", "--z", "far.npy", "near.npy", "--batch", "16", "--json"];
    const [some, all] = [json(await run(...args)), json(await run(...args, "--grid"))];
    expect(all.settings).toHaveLength(16 * 4 * 3); // of 64 samples there is one batch
    const orders = [some, all].map(
      ({ conclusions }) =>
        new Map(conclusions[0].findings.map(({ setting, value }: Record<string, unknown>) => [setting, value])),
    ) as [Map<string, number>, Map<string, number>];
    expect(orders[0].size).toBe(13);
    for (const [setting, value] of orders[0]) expect([setting, orders[1].get(setting)]).toEqual([setting, value]);
  });

  it("says what to do where there are too few batches", async () => {
    const args = ["sensitivity", "--x", "x.npy", "--z", "far.npy", "near.npy", "--batch", "32"];
    const { stdout } = await run(...args);
    expect(stdout).toContain("0 of 2 conclusions hold in every setting");
    expect(stdout.replaceAll("\n", " ")).toMatch(
      /fewer than 4 mini-batches\. Take more --samples or a smaller --batch/,
    );
  });

  it("tells people in rows under headings, one a conclusion", async () => {
    const { stdout, code } = await run("sensitivity", "--x", "x.npy", "--z", "far.npy", "near.npy", "--batch", "16");
    expect(code).toBe(0);
    expect(stdout).toContain("nHSIC(X,Z): near.npy is above far.npy");
    expect(stdout).toMatch(
      /in so many of 13 settings\nconclusion +default \[95 %\] {2}holds {2}flips {2}cannot tell\n/,
    );
    expect(stdout).toMatch(/^order by nHSIC\(X,Z\): far.npy < near.npy +τ ≥ −?[01]\.\d{3} +\d+ +0 +\d+$/m);
    expect(stdout).toContain("τ: Kendall's rank correlation");
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
    [
      ["--x", "x.npy", "--z", "far.npy", "near.npy", "--batch", "16", "--samples", "97"],
      "--samples: expected 1 to 96, as many as there are, got 97",
    ],
  ])("refuses %j", async (args, message) => {
    const { code, stderr } = await run("sensitivity", ...args);
    expect(code).toBe(/^the default|--samples/.test(message) ? 1 : 2);
    expect(stderr).toContain(message);
    expect(stderr.trim().split("\n")).toHaveLength(1);
  });
});
