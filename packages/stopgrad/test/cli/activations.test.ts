// Each stage's output on disk: what is written gives what the run itself gives.
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { loadSafetensors, readNpy, readNpz, scope, zeros } from "@stopgrad/torch";
import { describe, expect, it } from "vitest";
import { writeActivations } from "../../src/experiment/activations.js";
import { ofArrays } from "../../src/experiment/representations.js";
import { json, start, until } from "./command.js";
import { trainedRuns } from "./trained.js";

const trained = trainedRuns();

describe("activations", () => {
  it("are files that give the same measure as the run, in every format", async () => {
    const direct = await trained.told(
      "measure",
      "nhsic",
      "--run",
      trained.e2e,
      "--batch",
      "32",
      "--stages",
      "conv2",
      "--samples",
      "96",
    );
    for (const format of ["npy", "npz", "safetensors"]) {
      const given = ["--samples", "96", "--stages", "conv2", "--format", format, "--out", format];
      const { arrays } = await trained.told("activations", trained.e2e, ...given);
      expect(arrays.map(({ name, shape }: { name: string; shape: number[] }) => [name, shape[0]])).toEqual([
        ["conv2", 96],
        ["x", 96],
        ["labels", 96],
      ]);
      const names = ["activations.json", ...["conv2", "labels", "x"].map((name) => `${name}.${format}`)];
      expect(readdirSync(join(trained.home, format)).sort()).toEqual(names);
      const file = (name: string) => join(format, `${name}.${format}`);
      const files = await trained.told("measure", "nhsic", "--x", file("x"), "--y", file("labels"), "--z", file("conv2"), "--batch", "32"); // biome-ignore format: one line
      const values = (document: typeof direct) => document.results.map(({ value }: { value: number }) => value);
      for (const [at, value] of values(files).entries()) expect(value, format).toBeCloseTo(values(direct)[at], 9);
    }
    scope(() => {
      const npy = readNpy(join(trained.home, "npy", "conv2.npy"));
      const npz = readNpz(join(trained.home, "npz", "conv2.npz")).get("conv2")!;
      const safetensors = loadSafetensors(join(trained.home, "safetensors", "conv2.safetensors")).tensors.get("conv2")!;
      expect(npz.toTypedArray()).toEqual(npy.toTypedArray());
      expect(safetensors.toTypedArray()).toEqual(npy.toTypedArray());
    });
    expect(JSON.parse(readFileSync(join(trained.home, "npy", "activations.json"), "utf8"))).toMatchObject({
      run: trained.e2e,
      epoch: 3,
      split: "test",
      samples: 96,
      arrays: [{ file: "conv2.npy" }, { file: "x.npy" }, { file: "labels.npy" }],
    });
  });

  it("are not written over others unless that is asked for", async () => {
    const given = ["activations", trained.e2e, "--samples", "20", "--stages", "fc1", "--out", "twice"];
    await trained.told(...given, "--epochs", "1", "--dtype", "float16"); // either spelling
    const dtype = () => scope(() => readNpy(join(trained.home, "twice", "fc1.npy")).dtype);
    const again = await trained.ask(...given, "--json");
    expect([again.code, dtype()]).toEqual([1, "float16"]);
    expect(json(again).error).toMatch(/fc1\.npy is there already; choose another --out, or replace it with --force$/);
    const other = await trained.ask(...given, "--format", "npz", "--json");
    expect(json(other).error).toMatch(/activations\.json is there already/);
    await trained.told(...given, "--force");
    expect(dtype()).toBe("float32");
  });

  it("of float16 are near those of float32; weights from a file give the run's own", async () => {
    const given = ["--samples", "40", "--stages", "conv1"];
    await trained.told("activations", trained.e2e, ...given, "--epoch", "1", "--out", "own");
    await trained.told("activations", trained.e2e, ...given, "--epoch", "1", "--dtype", "float16", "--out", "half");
    const weights = join(trained.runs, trained.e2e, "checkpoints", "epoch-000001.safetensors");
    await trained.told("activations", weights, ...given, "--data", "glyphs", "--model", "lenet5", "--out", "file");
    scope(() => {
      const [own, half, file] = ["own", "half", "file"].map((folder) =>
        readNpy(join(trained.home, folder, "conv1.npy")),
      );
      expect(half!.dtype).toBe("float16");
      expect(own!.sub(half!.to("float32")).abs().sum().item() / own!.abs().sum().item()).toBeLessThan(1e-3);
      // A run's 128 test symbols are the first of those that the set draws.
      expect(file!.toTypedArray()).toEqual(own!.toTypedArray());
    });
  });

  it("say what is missing or cannot be written, and leave nothing behind", async () => {
    writeFileSync(join(trained.home, "taken"), "");
    const mistakes: [string[], RegExp, number][] = [
      [[trained.e2e, "--out", "a", "--data", "cifar10"], /--data cifar10: run .* is of glyphs; leave --data out/, 2],
      [[trained.e2e, "--out", "a", "--model", "lenet5"], /--model is for weights in a file/, 2],
      [["w.safetensors", "--out", "a"], /expected the images to take it on, as in --data cifar10/, 2],
      [["w.safetensors", "--out", "a", "--data", "glyphs"], /expected the network the weights are of/, 2],
      [
        ["w.safetensors", "--out", "a", "--data", "glyph", "--model", "lenet5"],
        /unknown data: glyph .*did you mean glyphs\?/,
        2,
      ],
      [
        ["w.safetensors", "--out", "a", "--data", "glyphs", "--model", "lenet5"],
        /w\.safetensors: there is no such file/,
        1,
      ],
      [[trained.e2e, "--out", "taken"], /taken/, 1],
      [[trained.e2e, "--out", join("taken", "below")], /taken/, 1],
    ];
    for (const [args, message, code] of mistakes) {
      const finished = await trained.ask("activations", ...args, "--json");
      expect(json(finished).error).toMatch(message);
      expect(finished.code, finished.stderr).toBe(code);
      expect(finished.stderr).not.toContain("    at "); // no stack: nothing that we did not expect
    }
    expect(readdirSync(trained.home)).not.toContain("a");
  });

  it("that are interrupted leave nothing, and tell", async () => {
    const out = join(trained.home, "stopped");
    const args = ["activations", trained.e2e, "--split", "train", "--out", out, "--runs", trained.runs, "--json"];
    const running = start(args, { cwd: trained.home });
    await until("a file under way", () => existsSync(out) && readdirSync(out).length > 0);
    process.kill(running.pid, "SIGINT");
    const finished = await running.finished;
    // It may have been done before the signal came.
    if (finished.code === 0) return;
    expect(finished.code).toBe(130);
    expect(json(finished)).toEqual({ error: "interrupted: nothing was written" });
    expect(existsSync(out)).toBe(false);
  });

  it("with a folder in the way of a file write none", async () => {
    for (const name of ["fc1.npy", "activations.json"]) {
      const out = join(trained.home, `way-of-${name}`);
      mkdirSync(join(out, name), { recursive: true });
      const finished = await trained.ask("activations", trained.e2e, "--samples", "20", "--out", out, "--json");
      expect(json(finished).error).toBe(
        `${join(out, name)}: expected no folder where a file is to be written; choose another --out`,
      );
      expect(finished.code).toBe(1);
      expect(readdirSync(out)).toEqual([name]);
    }
  });

  it("that are not finite are refused, whatever the type, and nothing is left", async () => {
    for (const [dtype, wrong] of [
      ["float32", Number.NaN],
      ["float16", Number.POSITIVE_INFINITY],
    ] as const) {
      const spoilt = zeros([3, 2]);
      spoilt.select(0, 1).fill_(wrong);
      const labels = { labels: zeros([3], { dtype: "int64" }), classes: 1 };
      const source = ofArrays(
        [{ name: "first", tensor: spoilt }],
        { name: "x", tensor: zeros([3, 4]) },
        labels,
        "hand-on",
      );
      const out = join(trained.home, `spoilt-${dtype}`);
      const origin = {};
      await expect(writeActivations(source, { folder: out, dtype, format: "npy", origin })).rejects.toThrow(
        "first holds NaN or infinity",
      );
      source.dispose();
      expect(existsSync(out)).toBe(false);
    }
  });

  it("that fail at last leave what was there before, and nothing new", async () => {
    const written = (out: string, publish: () => void) => {
      const source = ofArrays(
        [{ name: "first", tensor: zeros([3, 2]) }],
        { name: "x", tensor: zeros([3, 4]) },
        { labels: zeros([3], { dtype: "int64" }), classes: 1 },
      );
      const breathe = (done: number, total: number) => {
        if (done === total) publish();
      };
      return writeActivations(source, { folder: out, dtype: "float32", format: "npy", origin: {}, breathe }).finally(
        () => source.dispose(),
      );
    };
    const out = join(trained.home, "late");
    // The folder comes while the work goes on, so that the second of the renames fails.
    await expect(written(out, () => mkdirSync(join(out, "x.npy"), { recursive: true }))).rejects.toThrow("x.npy");
    expect(readdirSync(out)).toEqual(["x.npy"]);
    const fresh = join(trained.home, "never", "was");
    const stop = () => {
      throw new Error("enough");
    };
    await expect(written(fresh, stop)).rejects.toThrow("enough");
    expect(existsSync(join(trained.home, "never"))).toBe(false);
  });
});
