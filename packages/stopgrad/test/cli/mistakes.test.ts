// What the user, the disk or the data got wrong: one sentence, the right exit code, the same in JSON, nothing left over.
import { execFileSync, spawnSync } from "node:child_process";
import {
  chmodSync,
  closeSync,
  cpSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  truncateSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { refusedDevice } from "../../src/experiment/device.js";
import { models } from "../../src/models/index.js";
import {
  type Finished,
  finalTensors,
  folder,
  json,
  program,
  put,
  results,
  runIds,
  smallest,
  stopgrad,
  stored,
  tiny,
} from "./command.js";

/** Failed with this exit code and this one sentence, on standard error and as the only thing on standard output. */
function expectError(finished: Finished, code: number, message: string | RegExp): void {
  const document = json(finished);
  expect(Object.keys(document)).toEqual(["error"]);
  if (typeof message === "string") expect(document.error).toBe(message);
  else expect(document.error).toMatch(message);
  expect(finished.stderr).toBe(`stopgrad: ${document.error}\n`);
  expect(finished.code).toBe(code);
}

describe("wrong usage: exit code 2 and one sentence", () => {
  const help = "(stopgrad --help lists what there is)";

  it.each<[string[], string]>([
    [["trian", "file.yaml"], `unknown command 'trian'; did you mean train? ${help}`],
    [["data", "lst"], `unknown command 'lst'; did you mean list? ${help}`],
    [["train"], `missing required argument 'file' ${help}`],
    [["resume"], `missing required argument 'run' ${help}`],
    [["data", "fetch"], `missing required argument 'names' ${help}`],
    [["train", "tiny.yaml", "--varaint", "e2e"], `unknown option '--varaint'; did you mean --variant? ${help}`],
    [
      ["train", "tiny.yaml", "--jobs", "0"],
      `option '--jobs <n>' argument '0' is invalid. expected a positive integer, got 0 ${help}`,
    ],
    [
      ["runs", "--status", "lost"],
      `option '--status <status>' argument 'lost' is invalid. Allowed choices are running, completed, interrupted, failed. ${help}`,
    ],
    [["train", "none.yaml"], "none.yaml: no such file"],
    [["train", "."], ".: is a directory; expected an experiment file (.yaml)"],
    [
      ["train", "tiny.yaml"],
      "tiny.yaml has the variants e2e, layer-wise: choose one with --variant, or run them all with stopgrad compare",
    ],
    [
      ["train", "tiny.yaml", "--variant", "e2"],
      "tiny.yaml: unknown variant: e2 (known: e2e, layer-wise); did you mean e2e?",
    ],
    [["compare", "tiny.yaml", "epoch=3"], "override epoch=3: epoch: unknown key; did you mean epochs?"],
    [["compare", "tiny.yaml", "epochs=many"], 'override epochs=many: epochs: expected a positive integer, got "many"'],
    [
      ["compare", "tiny.yaml", "epochs"],
      "override epochs: epochs: expected key=value, such as epochs=5; there is no =",
    ],
    [
      ["compare", "tiny.yaml", "model=lenet"],
      `override model=lenet: model: unknown model: lenet (known: ${Object.keys(models).join(", ")}); did you mean lenet5?`,
    ],
    [
      ["compare", "tiny.yaml", "data.train=70000"],
      "override data.train=70000: data.train: glyphs has 60000 train images, got 70000",
    ],
    [
      ["compare", "tiny.yaml", "variants.layer-wise.objective.head=none"],
      "override variants.layer-wise.objective.head=none: variants.layer-wise.objective.head: cross-entropy needs class scores from every module, and head none gives none; use head: linear or mlp or auxiliary",
    ],
    [["compare", "tiny.yaml", "device=cuda:99"], `override device=cuda:99: device: ${refusedDevice("cuda:99")}`],
    [
      ["data", "check", "mnits"],
      "unknown data set: mnits; did you mean mnist? (known: glyphs, mnist, cifar10, cifar100, svhn, stl10, folder)",
    ],
  ])("%j", async (args, message) => {
    const cwd = folder();
    put(cwd, "tiny.yaml", tiny);
    expectError(await stopgrad([...args, "--json"], { cwd }), 2, message);
    expect(readdirSync(cwd)).toEqual(["tiny.yaml"]);
  });

  it("names every mistake in a file, with its place", async () => {
    const cwd = folder();
    put(cwd, "bad.yaml", "data: mnist\nmodle: lenet5\nepochs: 0\nmodel: { name: mlp, widht: 8 }\n");
    const finished = await stopgrad(["compare", "bad.yaml"], { cwd });
    expect(finished.code).toBe(2);
    expect(finished.stdout).toBe("");
    expect(finished.stderr.split("\n").slice(0, 4)).toEqual([
      "stopgrad: bad.yaml: 3 mistakes",
      expect.stringContaining("bad.yaml:2:1: modle: unknown key; did you mean model?"),
      expect.stringContaining("bad.yaml:3:9: epochs: expected a positive integer, got 0"),
      expect.stringContaining("bad.yaml:4:21: model.widht: unknown key; did you mean width?"),
    ]);
  });

  it("says what a run that is not there is near to, and makes no folder on the way", async () => {
    const runs = folder();
    expectError(
      await stopgrad(["resume", "x", "--json", "--runs", join(runs, "none")]),
      2,
      `no runs in ${join(runs, "none")}: there is no such folder`,
    );
    expect(existsSync(join(runs, "none"))).toBe(false);
    await stopgrad(["train", put(runs, "file.yaml", smallest), "seeds=[1,2]", "--runs", runs]);
    const [first, second] = runIds(runs) as [string, string];
    const unknown = `unknown run: smalest (nearest: ${[first, second].sort().join(", ")})`;
    expectError(await stopgrad(["resume", "smalest", "--json", "--runs", runs]), 2, unknown);
    expectError(
      await stopgrad(["report", "smalest", "--json", "--runs", runs]),
      2,
      `${unknown}, and no experiment of that name`,
    );
    const several = `smallest-default stands for more than one run: ${[first, second].sort().join(", ")}`;
    expectError(await stopgrad(["resume", "smallest-default", "--json", "--runs", runs]), 2, several);
  });

  it("shows the help where a command is missing, and for --help and --version", async () => {
    const nothing = await stopgrad([]);
    expect(nothing.code).toBe(2);
    expect(nothing.stdout).toBe("");
    expect(nothing.stderr).toMatch(/^Usage: stopgrad [\s\S]*expected a command\n$/);
    const help = await stopgrad(["train", "--help"]);
    expect(help).toMatchObject({ code: 0, stderr: "" });
    expect(help.stdout).toContain("--variant <name>");
    expect(await stopgrad(["--version"])).toMatchObject({ code: 0, stdout: "0.1.0\n", stderr: "" });
  });
});

describe("data sets", () => {
  it("that are not there stop the work before it begins", async () => {
    const runs = folder();
    const file = put(runs, "tiny.yaml", tiny.replace("glyphs", "mnist"));
    const finished = await stopgrad(["compare", file, "seeds=[1,2]", "--data-dir", runs, "--json", "--runs", runs]);
    expectError(
      finished,
      1,
      /^mnist: not found \(looked in .*\); run `stopgrad data fetch mnist`, or put the four IDX .* with --data-dir or STOPGRAD_DATA$/,
    );
    expect(json(await stopgrad(["runs", "--json", "--runs", runs])).runs).toEqual([]);
  });

  it("that are cut short fail their runs", async () => {
    const runs = folder();
    const data = folder();
    for (const name of [
      "train-images-idx3-ubyte",
      "train-labels-idx1-ubyte",
      "t10k-images-idx3-ubyte",
      "t10k-labels-idx1-ubyte",
    ]) {
      put(data, `mnist/${name}`, Buffer.from([0, 0, 8, 1, 0, 0]));
    }
    const file = put(runs, "tiny.yaml", tiny.replace("glyphs", "mnist"));
    const args = ["train", file, "--variant", "e2e", "--data-dir", data, "--json", "--runs", runs];
    const finished = await stopgrad(args);
    expect(finished.code).toBe(1);
    expect(json(finished)).toMatchObject({ status: "failed", error: expect.stringContaining(join(data, "mnist")) });
    expect(finished.stderr).toBe(`e2e, seed 1: failed: ${json(finished).error}\n`);
    const checked = await stopgrad(["data", "check", "mnist", "--data-dir", data, "--json"]);
    expect(checked.code).toBe(1);
    expect(json(checked).datasets[0]).toMatchObject({ name: "mnist", status: "damaged" });
  });

  it("that only some runs lack stop only those", async () => {
    const runs = folder();
    const text = `${smallest}variants:\n  here: {}\n  gone: { data: { name: mnist } }\n`;
    const args = ["compare", put(runs, "file.yaml", text), "--data-dir", runs, "--json", "--runs", runs];
    const finished = await stopgrad(args);
    expect(finished.code).toBe(1);
    const [here, gone] = json(finished).variants;
    expect(here).toMatchObject({ name: "here", runs: [{ status: "completed" }], testAccuracy: { n: 1 } });
    expect(gone.runs).toMatchObject([
      { status: "failed", error: expect.stringMatching(/^mnist: not found .*fetch mnist/) },
    ]);
    expect(finished.stderr).toMatch(
      /^smallest-gone-s1-\w+: mnist: not found .*\n1 of 2 runs failed; to do only what is missing: /m,
    );
    const before = stored(runs, here.runs[0].run);
    const again = await stopgrad(args);
    // All that is left to do lacks its data: that is told before any work.
    expectError(
      { ...again, stderr: again.stderr.replace(/^1 of 2 runs is already done.*\n/, "") },
      1,
      /^mnist: not found/,
    );
    expect(stored(runs, here.runs[0].run)).toEqual(before);
  });

  it("that cannot be fetched say why in one sentence", async () => {
    const data = folder();
    const env = { STOPGRAD_MIRROR: "http://127.0.0.1:1/" };
    const finished = await stopgrad(["data", "fetch", "mnist", "--data-dir", data, "--json"], { env });
    expect(finished.code).toBe(1);
    expect(json(finished).datasets).toMatchObject([
      {
        name: "mnist",
        status: "failed",
        problem: expect.stringMatching(/^mnist: cannot download http:\/\/127\.0\.0\.1:1\/.*ECONNREFUSED/),
      },
    ]);
    const listed = json(await stopgrad(["data", "list", "--data-dir", data, "--json"])).datasets;
    expect(listed.map(({ name, found }: { name: string; found: string }) => [name, found])).toEqual([
      ["glyphs", "drawn"],
      ["mnist", null],
      ["cifar10", null],
      ["cifar100", null],
      ["svhn", null],
      ["stl10", null],
      ["folder", "own"],
    ]);
  });
});

describe("the runs folder", () => {
  it("that is a file", async () => {
    const runs = folder();
    const file = put(runs, "file.yaml", smallest);
    expectError(
      await stopgrad(["train", file, "--json", "--runs", file]),
      1,
      `${file}: expected a folder for runs, found a file`,
    );
  });

  it("whose store is another kind of file, or damaged", async () => {
    const runs = folder();
    const file = put(runs, "file.yaml", smallest);
    put(runs, "other/stopgrad.db", "these are no runs, whatever the name may say ".repeat(40));
    const other = join(runs, "other", "stopgrad.db");
    const sentence = `${other}: not an SQLite database; move it away or choose another --runs folder`;
    expectError(await stopgrad(["train", file, "--json", "--runs", join(runs, "other")]), 1, sentence);
    expectError(await stopgrad(["runs", "--json", "--runs", join(runs, "other")]), 1, sentence);

    await stopgrad(["train", file, "--runs", runs]);
    const store = join(runs, "stopgrad.db");
    const descriptor = openSync(store, "r+");
    writeSync(descriptor, Buffer.alloc(40_000, 0xa5), 0, 40_000, 4096);
    closeSync(descriptor);
    expectError(
      await stopgrad(["runs", "--json", "--runs", runs]),
      1,
      `${store}: damaged; restore a copy, or move it away to start anew`,
    );
  });

  const canMount = process.platform === "linux" && process.getuid?.() === 0 && mounts();

  /** True where this process may mount a file system in memory (root outside a container, mostly). */
  function mounts(): boolean {
    const result = spawnSync("unshare", ["--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]);
    return result.status === 0;
  }

  /** A folder on a disk of this size of its own. */
  function smallDisk(size: string, ...options: string[]): string {
    const path = join(folder(), "disk");
    mkdirSync(path);
    execFileSync("mount", ["-t", "tmpfs", "-o", [`size=${size}`, ...options].join(), "tmpfs", path]);
    onTestFinished(() => {
      execFileSync("umount", ["--lazy", path]); // the driver closes the store when memory is next cleaned up
    });
    return path;
  }

  // A disk of 700 KiB holds the store but not the checkpoints, one of 64 KiB not even the store.
  it.skipIf(!canMount)("on a full disk", async () => {
    const runs = smallDisk("700k");
    const file = put(
      folder(),
      "file.yaml",
      smallest.replace("width: 16", "width: 24").replace("epochs: 1", "epochs: 3"),
    );
    const full = await stopgrad(["train", file, "--json", "--runs", runs]);
    expect(full.code).toBe(1);
    expect(json(full).error).toMatch(/^\/.*step-\d{9}\.safetensors: it cannot be written: the disk is full$/);
    expect(full.stderr.trim().split("\n").at(-1)).toBe(`default, seed 1: failed: ${json(full).error}`);
    const [id] = runIds(runs);
    expect(stored(runs, id!).record).toMatchObject({ status: "failed", error: json(full).error });
    expect(readdirSync(join(runs, id!, "checkpoints")).filter((name) => name.endsWith(".tmp"))).toEqual([]);

    const tooSmall = smallDisk("64k");
    expectError(
      await stopgrad(["train", file, "--json", "--runs", tooSmall]),
      1,
      /stopgrad\.db: (the disk is full|disk I\/O error)/,
    );
  });

  it.skipIf(!canMount)("on a disk that fills up while others train: every worker ends, with one sentence", async () => {
    const runs = smallDisk("200k");
    const file = put(folder(), "tiny.yaml", tiny.replace("epochs: 2", "epochs: 200"));
    const finished = await stopgrad(["compare", file, "checkpoint.every=1000", "--json", "--runs", runs]);
    expect(finished.code).toBe(1);
    expect(json(finished)).toEqual({
      error: `${join(runs, "stopgrad.db")}: the disk is full; make room and give the same command again`,
    });
    expect(finished.stderr.trim().split("\n").at(-1)).toBe(`stopgrad: ${json(finished).error}`);
    expect(finished.stderr).not.toMatch(/^\s+at /m);
  });

  // As a full disk to a program: no file may grow beyond so many blocks of 1 KiB. Needs no right to mount anything.
  it.skipIf(process.platform === "win32")(
    "in which no file may grow: one sentence, and the runs go on where they were",
    async () => {
      const runs = folder();
      const file = put(
        runs,
        "file.yaml",
        `${smallest.replace("width: 16", "width: 400")}variants:\n  wide: {}\n  narrow: { model: { name: mlp, width: 8 } }\n`,
      );
      const command = ["compare", file, "--json", "--runs", runs];
      const script = 'ulimit -f 1500; exec "$0" "$@"';
      const limited = spawnSync("bash", ["-c", script, process.execPath, program, ...command], { encoding: "utf8" });
      expect(limited.status).toBe(1);
      const [wide, narrow] = JSON.parse(limited.stdout).variants;
      expect(wide.runs).toMatchObject([{ status: "failed" }]);
      expect(wide.runs[0].error).toMatch(
        /^\/.*step-\d{9}\.safetensors: it cannot be written: .*(too large|larger than)/i,
      );
      expect(wide.runs[0].error).not.toContain("\n");
      expect(narrow.runs).toMatchObject([{ status: "completed" }]);
      expect(readdirSync(join(runs, wide.runs[0].run, "checkpoints"))).toEqual([]);
      const before = stored(runs, narrow.runs[0].run);

      const again = await stopgrad(command);
      expect(again.code, again.stderr).toBe(0);
      expect(again.stderr).toContain("1 of 2 runs is already done");
      expect(stored(runs, narrow.runs[0].run)).toEqual(before);
      const undisturbed = folder();
      expect((await stopgrad(["compare", file, "--runs", undisturbed])).code).toBe(0);
      expect(finalTensors(runs, wide.runs[0].run)).toEqual(finalTensors(undisturbed, wide.runs[0].run));
      expect(results(runs, wide.runs[0].run)).toEqual(results(undisturbed, wide.runs[0].run));
    },
  );

  it("that may only be read", async () => {
    const source = folder();
    const file = put(source, "file.yaml", smallest);
    await stopgrad(["train", file, "--runs", source]);
    const runs = join(folder(), "runs");
    cpSync(source, runs, { recursive: true });
    const isRoot = process.getuid?.() === 0;
    if (isRoot && !canMount) return; // root may write everywhere
    if (isRoot) {
      execFileSync("mount", ["--bind", "-o", "ro", runs, runs]);
      execFileSync("mount", ["-o", "remount,ro,bind", runs]);
      onTestFinished(() => {
        execFileSync("umount", ["--lazy", runs]);
      });
    } else {
      chmodSync(runs, 0o555);
      onTestFinished(() => chmodSync(runs, 0o755));
    }
    const finished = await stopgrad(["train", file, "--json", "--runs", runs]);
    expectError(finished, 1, /^.*runs: may not be written \((EROFS|EACCES)\); choose another --runs folder$/);
    expect(json(await stopgrad(["runs", "--json", "--runs", runs])).runs).toMatchObject([{ status: "completed" }]);
    const report = await stopgrad(["report", "smallest", "--json", "--runs", runs]);
    expectError(report, 1, /^the report in .* cannot be written: .*; --out chooses another folder$/);
    const elsewhere = await stopgrad(["report", "smallest", "--runs", runs, "--out", join(source, "report")]);
    expect(elsewhere.code).toBe(0);
  });
});

describe("memory", () => {
  it("that a run asks for and nobody has: that run fails with one sentence, the others do not", async () => {
    const runs = folder();
    const text = `${smallest}variants:\n  huge: { model: { name: mlp, width: 2000000000 } }\n  small: {}\n`;
    const finished = await stopgrad(["compare", put(runs, "file.yaml", text), "--json", "--runs", runs]);
    expect(finished.code).toBe(1);
    const [huge, small] = json(finished).variants;
    expect(huge.runs).toMatchObject([{ status: "failed", error: expect.stringMatching(/memory/) }]);
    expect(huge.runs[0].error).not.toContain("\n");
    expect(small.runs).toMatchObject([{ status: "completed" }]);
  });
});

describe("streams", () => {
  it.skipIf(!existsSync("/dev/full"))("say in one sentence that standard output cannot be written", () => {
    for (const args of [
      ["measure", "--list"],
      ["reproduce", "--list", "--json"],
    ]) {
      const full = openSync("/dev/full", "w");
      const { status, stderr } = spawnSync(process.execPath, [program, ...args], {
        stdio: ["ignore", full, "pipe"],
        encoding: "utf8",
      });
      closeSync(full);
      expect(stderr).toBe("stopgrad: standard output cannot be written: cannot write: the disk is full\n");
      expect(status).toBe(1);
    }
  });

  it("may be closed by who reads them", async () => {
    const runs = folder();
    put(runs, "file.yaml", smallest);
    const line = (command: string) => {
      const script = `set -o pipefail; "$NODE" "$STOPGRAD" ${command}`;
      const env = { ...process.env, NODE: process.execPath, STOPGRAD: program };
      return spawnSync("bash", ["-c", script], { cwd: runs, env, encoding: "utf8" });
    };
    // Nobody reads the remarks: the work is done all the same.
    expect(line("train file.yaml 2>&1 >/dev/null | true").status).toBe(0);
    expect(stored(join(runs, "runs"), runIds(join(runs, "runs"))[0]!).record.status).toBe("completed");
    expect(line("runs --json | head -n 1")).toMatchObject({ status: 0, stdout: "{\n", stderr: "" });
    truncateSync(join(runs, "file.yaml"), 0);
    expect(line("train file.yaml --json 2>/dev/null | true").status).toBe(2);
  });
});

describe("doctor", () => {
  it("says what computes here", async () => {
    const finished = await stopgrad(["doctor", "--json"]);
    expect(finished.code).toBe(0);
    const document = json(finished);
    expect(document).toMatchObject({
      stopgrad: "0.1.0",
      node: process.versions.node,
      libtorch: { version: expect.stringMatching(/^\d+\.\d+/) },
      devices: expect.arrayContaining(["cpu"]),
      processors: expect.any(Number),
      advice: expect.any(Array),
    });
    for (const { threads, gflops } of document.matrixProduct) {
      expect(threads).toBeGreaterThan(0);
      expect(gflops).toBeGreaterThan(0);
    }
    expect(document.datasets[0]).toEqual({ name: "glyphs", found: "drawn" });
    expect((await stopgrad(["doctor"])).stdout).toMatch(/^libtorch {4}\d/m);
  });
});
