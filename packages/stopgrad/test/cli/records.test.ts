// What a run's record is for: to see what it was, and to repeat it. Commands are pasted into a real shell.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { describe, expect, it } from "vitest";
import { trainCommand } from "../../src/cli/command-line.js";
import { settingsHash } from "../../src/experiment/identity.js";
import { loadDocument } from "../../src/experiment/load.js";
import { settingsSchema } from "../../src/experiment/registries.js";
import { experimentText } from "../../src/experiment/repeat.js";
import { folder, json, program, put, results, runIds, smallest, stopgrad, stored, tiny } from "./command.js";

/** Pastes a command line into a shell that knows `stopgrad`. */
function paste(command: string, where: string): void {
  const bin = join(where, ".bin");
  mkdirSync(bin, { recursive: true });
  writeFileSync(join(bin, "stopgrad"), `#!/bin/sh\nexec '${process.execPath}' '${program}' "$@"\n`);
  chmodSync(join(bin, "stopgrad"), 0o755);
  const env = { ...process.env, PATH: `${bin}${delimiter}${process.env.PATH}`, STOPGRAD_RUNS: undefined };
  execFileSync("/bin/sh", ["-c", command], { cwd: where, env, stdio: ["ignore", "ignore", "pipe"] });
}

describe("a recorded run", () => {
  it("is repeated by its command, pasted in the folder it was given in: same id, same metrics", async () => {
    const where = folder();
    put(where, "my file's $HOME.yaml", tiny.replace("name: tiny", 'name: "ti ny"'));
    const first = join(where, "first");
    const args = ["compare", "my file's $HOME.yaml", "epochs=1", "data.train=96", "seeds=[1, 3]", "--runs", first];
    expect(await stopgrad(args, { cwd: where })).toMatchObject({ code: 0 });
    expect(runIds(first)).toHaveLength(4);
    for (const id of runIds(first).slice(2)) {
      const { record } = stored(first, id);
      expect(record.origin).toMatchObject({
        folder: where,
        given: `stopgrad compare 'my file'\\''s $HOME.yaml' epochs=1 data.train=96 'seeds=[1, 3]' --runs '${first.replaceAll("'", "'\\''")}'`,
      });
      rmSync(join(where, "runs"), { recursive: true, force: true });
      paste(record.command, record.origin!.folder);
      expect(runIds(join(where, "runs"))).toEqual([id]);
      expect(results(join(where, "runs"), id)).toEqual(results(first, id));
    }
  });

  it("is repeated alone by the experiment file that `runs <id> --yaml` prints", async () => {
    const runs = folder();
    const file = put(runs, "file.yaml", tiny);
    const common = ["epochs=1", "data.train=96", "seeds=[7,8]", "--runs", runs];
    expect(await stopgrad(["train", file, "--variant", "layer-wise", ...common])).toMatchObject({ code: 0 });
    const [id] = runIds(runs);
    const printed = await stopgrad(["runs", id!, "--yaml", "--runs", runs]);
    expect(printed.code).toBe(0);
    const again = join(runs, "again");
    const repeated = await stopgrad(["train", put(runs, "alone.yaml", printed.stdout), "--runs", again, "--json"]);
    expect(json(repeated)).toMatchObject({ run: id, variant: "layer-wise", seed: 7 });
    expect(results(again, id!)).toEqual(results(runs, id!));
  });

  it("holds what it was made of and where it ran, and shows all of it", async () => {
    const where = folder();
    put(where, "file.yaml", smallest);
    const git = (...args: string[]) =>
      execFileSync("git", ["-c", "user.name=a", "-c", "user.email=a@b", ...args], { cwd: where, encoding: "utf8" });
    git("init", "--quiet");
    git("add", "file.yaml");
    git("commit", "--quiet", "-m", "one");
    const commit = git("rev-parse", "HEAD").trim();
    writeFileSync(join(where, "untracked"), "");
    const text = `${smallest}# changed\n`;
    put(where, "file.yaml", text);
    const { run } = json(await stopgrad(["train", "file.yaml", "epochs=2", "--json"], { cwd: where }));
    const document = json(await stopgrad(["runs", run.slice(0, -4), "--json"], { cwd: where }));
    expect(document).toMatchObject({
      run,
      status: "completed",
      command: "stopgrad train file.yaml epochs=2 'seeds=[1]'",
      origin: {
        folder: where,
        given: "stopgrad train file.yaml epochs=2 --json",
        experiment: { file: "file.yaml", hash: createHash("sha256").update(text).digest("hex"), text },
      },
      environment: {
        stopgrad: JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")).version,
        node: process.versions.node,
        libtorch: expect.stringMatching(/^\d+\.\d+/),
        blas: expect.any(String),
        threads: 1,
        device: "cpu",
        precision: "float32",
        platform: `${process.platform} ${process.arch}`,
        os: expect.stringMatching(/\w/),
        cpu: expect.stringMatching(/\w/),
        instructionSets: expect.any(Array),
        processors: expect.any(Number),
        memoryBytes: expect.any(Number),
        commit: `${commit}-dirty`,
      },
      settings: { epochs: 2, model: { name: "mlp", width: 16 }, seed: 1 },
      secondsToFirstStep: expect.any(Number),
    });
    expect(JSON.stringify(document)).not.toContain(execFileSync("hostname", { encoding: "utf8" }).trim());
    expect(Date.parse(document.finishedAt)).toBeGreaterThanOrEqual(Date.parse(document.createdAt));
    expect(document.metrics).toEqual(stored(join(where, "runs"), run).metrics);

    const { stdout } = await stopgrad(["runs", run], { cwd: where });
    const { cpu, instructionSets, libtorch, os } = document.environment;
    for (const known of [run, document.command, where, document.origin.given, document.origin.experiment.hash, cpu]) {
      expect(stdout).toContain(known);
    }
    for (const known of [instructionSets.join(" "), libtorch, os, `${commit}-dirty`, "float32", "width: 16"]) {
      expect(stdout).toContain(known);
    }
    expect(stdout).not.toContain("changed since");
    put(where, "file.yaml", smallest);
    expect((await stopgrad(["runs", run], { cwd: where })).stdout).toContain("it has changed since");
    expect(git("status", "--porcelain")).not.toContain("file.yaml");

    git("checkout", "--quiet", "file.yaml");
    const clean = json(await stopgrad(["train", "file.yaml", "epochs=1", "--json"], { cwd: where }));
    expect(stored(join(where, "runs"), clean.run).record.environment?.commit).toBe(commit);
  });

  it("shown wrongly asked for: one sentence, exit 2, and nothing is created", async () => {
    const runs = folder();
    for (const args of [["none"], ["none", "--yaml", "--json"], ["none", "--name", "x"], ["--yaml"]]) {
      const result = await stopgrad(["runs", ...args, "--runs", join(runs, "new")]);
      expect(result).toMatchObject({ code: 2, stdout: args.includes("--json") ? expect.any(String) : "" });
      expect(result.stderr.trim().split("\n")).toHaveLength(1);
    }
    expect(readdirSync(runs)).toEqual([]);
  });
});

describe("the command that repeats a run", () => {
  const file = (text: string) => put(folder(), "file.yaml", text);
  const commands = (path: string, overrides: string[], options = {}) => {
    const { runs } = settingsSchema.expand(loadDocument(path), { overrides });
    const command = trainCommand(path, overrides, options);
    return runs.map((run) => command(run).replace(/^stopgrad train '.*?file\.yaml' /, ""));
  };

  it("leaves out an override that the variant has its own setting for", () => {
    const path = file(`${smallest}variants:\n  a: { model: { width: 8 } }\n  b: { epochs: 2 }\n`);
    expect(commands(path, ["model.width=4", "epochs=3"])).toEqual([
      "--variant a epochs=3 'seeds=[1]'",
      "--variant b model.width=4 'seeds=[1]'",
    ]);
  });

  it("names the seeds where they are set", () => {
    const path = file(`${smallest}variants:\n  a: { seeds: [5, 6] }\n  b: {}\n`);
    expect(commands(path, ["++seeds=[3]"])).toEqual([
      "--variant a 'variants.a.seeds=[5]'",
      "--variant a 'variants.a.seeds=[6]'",
      "--variant b 'seeds=[3]'",
    ]);
  });

  it("names the variant where it is not the only one, even when it is called default", () => {
    expect(commands(file(`${smallest}variants:\n  default: {}\n  b: { epochs: 2 }\n`), [])[0]).toBe(
      "--variant default 'seeds=[1]'",
    );
    expect(commands(file(smallest), [], { dataDir: "/my data" })).toEqual(["--data-dir '/my data' 'seeds=[1]'"]);
  });
});

it("every run of every experiment file here comes back from its own settings", () => {
  const papers = join(import.meta.dirname, "../../../../papers");
  const files = readdirSync(papers, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".yaml"));
  expect(files.length).toBeGreaterThan(0);
  const texts = [tiny, smallest, ...files.map((name) => readFileSync(join(papers, name), "utf8"))];
  for (const text of texts) {
    const path = put(folder(), "file.yaml", text);
    for (const run of settingsSchema.expand(loadDocument(path)).runs) {
      const again = settingsSchema.expand(loadDocument(put(folder(), "again.yaml", experimentText(run, ["a remark"]))));
      expect(again.runs.map(settingsHash)).toEqual([settingsHash(run)]);
    }
  }
});
