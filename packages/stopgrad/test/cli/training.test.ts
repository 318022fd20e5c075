// `train`, `compare`, `resume`, `runs` and `report`: their documents, what they write, what they do not do again.
import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import {
  checkpoints,
  finalTensors,
  folder,
  json,
  put,
  runIds,
  smallest,
  start,
  stopgrad,
  stored,
  tiny,
  until,
  untilStep,
  workersOf,
} from "./command.js";

const SHAPES = { conv1: [6, 14, 14], conv2: [16, 5, 5], fc1: [120], fc2: [84], fc3: [10] };

const number = expect.any(Number);
const fraction = expect.toSatisfy((value: unknown) => typeof value === "number" && value >= 0 && value <= 1);
const positive = expect.toSatisfy((value: unknown) => typeof value === "number" && value > 0);

/** What `train --json` prints of one run of `tiny`. */
function runDocument(variant: string, seed: number) {
  return {
    run: expect.stringMatching(new RegExp(`^tiny-${variant}-s${seed}-[0-9a-f]{8}$`)),
    name: "tiny",
    variant,
    seed,
    status: "completed",
    error: null,
    epochs: 2,
    seconds: positive,
    imagesPerSecond: positive,
    peakBytes: positive,
    trainAccuracy: fraction,
    testAccuracy: fraction,
    secondsToFirstStep: positive,
    parameters: { backbone: 62006, heads: variant === "e2e" ? 0 : positive },
    // 5x5 convolutions and linear layers for 32x32 images of three channels, by hand
    cost: { inference: { backbone: 651_720, extras: 0 }, training: positive },
    memory: {
      parameters: 4 * 62006,
      heads: variant === "e2e" ? 0 : positive,
      contexts: 0,
      gradients: positive,
      optimizer: positive,
      modules: (variant === "e2e" ? ["network"] : ["conv1", "conv2", "fc1", "fc2", "fc3"]).map((module) => ({
        module,
        activations: positive,
        head: expect.any(Number),
        context: 0,
        decoder: 0,
        peak: positive,
      })),
    },
    stages: Object.entries(SHAPES).map(([name, shape]) => ({
      name,
      shape,
      nhsicXZ: expect.toSatisfy((value: number) => value > 0 && value <= 31),
      nhsicYZ: expect.toSatisfy((value: number) => value > 0 && value <= 9),
      probeTrain: null,
      probeTest: null,
    })),
  };
}

describe("train", () => {
  it("prints one document, writes checkpoints and settings, and does nothing the second time", async () => {
    const runs = folder();
    const file = put(runs, "sp ace/it's.yaml", tiny);
    const args = ["train", file, "--variant", "layer-wise", "--json", "--runs", runs];
    const first = await stopgrad(args);
    expect(first.code).toBe(0);
    const document = json(first);
    expect(document).toEqual(runDocument("layer-wise", 1));
    expect(first.stderr).toMatch(
      /^layer-wise, seed 1: epoch 2\/2, loss \d\.\d+, test accuracy [\d.]+ %, \d+ images\/s/m,
    );
    expect(Number.isInteger(document.testAccuracy * 128)).toBe(true);
    expect(Number.isInteger(document.trainAccuracy * 256)).toBe(true);
    expect(checkpoints(runs, document.run)).toHaveLength(2);
    const settings = parse(readFileSync(join(runs, document.run, "settings.yaml"), "utf8"));
    expect(settings).toMatchObject({ variant: "layer-wise", seed: 1, partition: "stage", epochs: 2 });

    const before = stored(runs, document.run);
    expect(before.record.command).toBe(
      `stopgrad train '${file.replaceAll("'", "'\\''")}' --variant layer-wise 'seeds=[1]'`,
    );
    const written = statSync(join(runs, document.run, "checkpoints", checkpoints(runs, document.run)[1]!)).mtimeMs;
    const second = await stopgrad(args);
    expect(second.stderr).toBe("1 of 1 runs is already done (--fresh starts again)\n");
    expect(json(second)).toEqual(document);
    expect(stored(runs, document.run)).toEqual(before);
    expect(statSync(join(runs, document.run, "checkpoints", checkpoints(runs, document.run)[1]!)).mtimeMs).toBe(
      written,
    );
  });

  it("starts again with --fresh, and comes to the same bits", async () => {
    const runs = folder();
    const file = put(runs, "file.yaml", smallest);
    const { run } = json(await stopgrad(["train", file, "--json", "--runs", runs]));
    const before = { tensors: finalTensors(runs, run), record: stored(runs, run).record };
    put(runs, join(run, "checkpoints", "step-999999999.safetensors"), "rubbish of an earlier run");
    expect((await stopgrad(["train", file, "--fresh", "--runs", runs])).code).toBe(0);
    expect(finalTensors(runs, run)).toEqual(before.tensors);
    expect(stored(runs, run).record.finishedAt).not.toBe(before.record.finishedAt);
    expect(stored(runs, run).record.createdAt).toBe(before.record.createdAt);
  });

  it("takes overrides and several seeds, and prints every run", async () => {
    const runs = folder();
    const file = put(runs, "file.yaml", smallest);
    const overrides = ["epochs=2", "model.width=8", "seeds=[3,4]", "+observe.nhsic.at=end", "observe.nhsic.batch=16"];
    const document = json(await stopgrad(["train", file, ...overrides, "--jobs", "2", "--json", "--runs", runs]));
    expect(document).toMatchObject({ run: document.runs[0].run, epochs: 2, seed: 3 });
    expect(document.runs.map(({ seed }: { seed: number }) => seed)).toEqual([3, 4]);
    for (const { stages } of document.runs) expect(stages[0]).toMatchObject({ shape: [8], nhsicXZ: number });
    expect(stored(runs, document.run).record.settings).toMatchObject({ model: { name: "mlp", width: 8 }, epochs: 2 });
  });

  it("gives a run one thread unless it says otherwise, whatever --jobs is: threads decide how sums are rounded", async () => {
    const runs = folder();
    const file = put(runs, "file.yaml", smallest.replace("threads: 1\n", ""));
    const threadsOf = ({ run }: { run: string }) => stored(runs, run).record.environment!.threads;
    const alone = json(await stopgrad(["train", file, "--jobs", "1", "--json", "--runs", runs]));
    expect(threadsOf(alone)).toBe(1);
    const other = json(await stopgrad(["train", file, "threads=2", "--json", "--runs", runs]));
    expect(threadsOf(other)).toBe(2);
    expect(other.run).not.toBe(alone.run);
  });

  it("keeps runs in ./runs, or where STOPGRAD_RUNS says", async () => {
    const cwd = folder();
    put(cwd, "file.yaml", smallest);
    const { run } = json(await stopgrad(["train", "file.yaml", "--json"], { cwd }));
    expect(existsSync(join(cwd, "runs", run, "settings.yaml"))).toBe(true);
    const elsewhere = { cwd, env: { STOPGRAD_RUNS: join(cwd, "else where") } };
    await stopgrad(["train", "file.yaml", "--json"], elsewhere);
    expect(existsSync(join(cwd, "else where", run, "settings.yaml"))).toBe(true);
    expect(json(await stopgrad(["runs", "--json"], elsewhere)).runs).toHaveLength(1);
  });
});

describe("compare", () => {
  it("trains every variant and seed, prints the table, writes the report, and adds only what is missing", async () => {
    const runs = folder();
    const file = put(runs, "tiny.yaml", tiny);
    const first = await stopgrad(["compare", file, "--json", "--runs", runs]);
    expect(first.code).toBe(0);
    expect(json(first)).toEqual({
      variants: ["e2e", "layer-wise"].map((name) => ({
        name,
        runs: [runDocument(name, 1)],
        testAccuracy: { mean: fraction, std: null, n: 1 },
      })),
      report: join(runs, "reports", "tiny", "report.html"),
    });
    expect(readFileSync(json(first).report, "utf8")).toContain("<html");
    const id = json(first).variants[0].runs[0].run;
    const before = { ...stored(runs, id), tensors: finalTensors(runs, id) };

    const more = ["compare", file, "seeds=[1,2]", "--runs", runs];
    const second = await stopgrad([...more, "--json"]);
    expect(second.stderr).toContain("2 of 4 runs are already done");
    for (const { name, runs: documents, testAccuracy } of json(second).variants) {
      expect(documents).toEqual([runDocument(name, 1), runDocument(name, 2)]);
      const [a, b] = documents.map((document: { testAccuracy: number }) => document.testAccuracy);
      expect(testAccuracy.n).toBe(2);
      expect(testAccuracy.mean).toBeCloseTo((a + b) / 2, 12);
      expect(testAccuracy.std).toBeCloseTo(Math.abs(a - b) / Math.SQRT2, 12);
    }
    expect({ ...stored(runs, id), tensors: finalTensors(runs, id) }).toEqual(before);

    const third = await stopgrad([...more, "--out", join(runs, "a report")]);
    expect(third.code).toBe(0);
    expect(third.stderr).toBe("4 of 4 runs are already done (--fresh starts again)\n");
    expect(third.stdout).toMatch(/^e2e .*%/m);
    expect(third.stdout).toMatch(/^layer-wise /m);
    expect(third.stdout).toContain(`report: ${join(runs, "a report", "report.html")}`);
    expect(third.stdout).not.toContain("\u001b"); // no colours where nobody can see them
  });

  it("says a measure's warning once over all runs, and how often it came", async () => {
    const runs = folder();
    const observe = "observe: { ksg: { every: 1, images: 32, largestDimension: 4 } }";
    const file = put(runs, "tiny.yaml", tiny.replace(/observe: .*/, observe));
    const { code, stderr } = await stopgrad(["compare", file, "seeds=[1,2]", "--runs", runs]);
    expect(code).toBe(0);
    const lines = stderr.split("\n").filter((line) => line.includes("warning"));
    expect(lines).toHaveLength(2);
    expect(lines[0]).toMatch(/, seed 1: warning: ksg of conv1, .* cannot be computed before the first step: /);
    expect(lines[1]).toBe("the warning of ksg came 12 times in every run, of conv1, conv2, fc1, fc2, fc3");
  });

  it("goes on when a run fails, reports what there is, and tries again only what failed", async () => {
    const runs = folder();
    const file = put(runs, "tiny.yaml", tiny);
    const diverging = ["variants.e2e.optimizer.name=sgd", "variants.e2e.optimizer.learningRate=1e6"];
    const args = ["compare", file, ...diverging, "--runs", runs];
    const first = await stopgrad([...args, "--json"]);
    expect(first.code).toBe(1);
    const { variants, report } = json(first);
    expect(variants[0]).toMatchObject({
      name: "e2e",
      runs: [{ status: "failed", testAccuracy: null, stages: [] }],
      testAccuracy: { mean: null, std: null, n: 0 },
    });
    expect(variants[0].runs[0].error).toMatch(/\(learning rate 1000000\).*a smaller optimizer\.learningRate helps$/);
    expect(variants[1]).toMatchObject({ name: "layer-wise", runs: [runDocument("layer-wise", 1)] });
    expect(existsSync(report)).toBe(true);
    expect(first.stderr).toContain("1 of 2 runs failed; to do only what is missing: stopgrad compare ");
    expect(first.stderr).not.toMatch(/^\s+at /m);

    const second = await stopgrad(args);
    expect(second.code).toBe(1);
    expect(second.stderr).toContain("1 of 2 runs is already done");
    expect(second.stdout).toMatch(/^layer-wise /m);
  });

  it.skipIf(process.platform !== "linux")(
    "whose worker is killed goes on with the others, and does only what is missing",
    async () => {
      const runs = folder();
      const file = put(runs, "tiny.yaml", tiny);
      const args = ["compare", file, "seeds=[1,2]", "--jobs", "1", "--json", "--runs", runs];
      const command = start(args);
      await until("the second run", () => runIds(runs).length === 2);
      const [, victim] = runIds(runs);
      await untilStep(runs, victim!, 0);
      process.kill(workersOf(command.pid)[0]!, "SIGKILL");
      const first = await command.finished;
      expect(first.code).toBe(1);
      const outcomes = (finished: typeof first) =>
        json(finished).variants.flatMap(
          (variant: { runs: { run: string; status: string; error: string | null }[] }) => variant.runs,
        );
      expect(
        outcomes(first)
          .map(({ status }: { status: string }) => status)
          .sort(),
      ).toEqual(["completed", "completed", "completed", "failed"]);
      expect(outcomes(first).find(({ run }: { run: string }) => run === victim).error).toMatch(/ended by SIGKILL/);
      expect(first.stderr).toMatch(/^1 of 4 runs failed; to do only what is missing: stopgrad compare /m);
      const others = runIds(runs).filter((id) => id !== victim);
      const before = others.map((id) => stored(runs, id));
      const second = await stopgrad(args);
      expect(second.code).toBe(0);
      expect(second.stderr).toContain("3 of 4 runs are already done");
      expect(others.map((id) => stored(runs, id))).toEqual(before);
      expect(stored(runs, victim!).record).toMatchObject({ status: "completed", error: null });
    },
  );

  it("prints its numbers even when every run failed", async () => {
    const runs = folder();
    const file = put(runs, "file.yaml", smallest);
    const diverging = ["optimizer.name=sgd", "optimizer.learningRate=3e38", "optimizer.weightDecay=1e4"];
    const finished = await stopgrad(["compare", file, ...diverging, "--runs", runs]);
    expect(finished.code).toBe(1);
    expect(finished.stderr).toMatch(/^the run failed; to do only what is missing: /m);
    expect(finished.stderr).not.toMatch(/^\s+at /m);
  });

  it("prints its numbers even when the report cannot be written", async () => {
    const runs = folder();
    const file = put(runs, "file.yaml", smallest);
    const finished = await stopgrad(["compare", file, "--json", "--runs", runs, "--out", file]);
    expect(finished.code).toBe(1);
    expect(json(finished)).toMatchObject({ report: null, variants: [{ testAccuracy: { n: 1 } }] });
    expect(json(finished).error).toMatch(/^the report in .*file\.yaml cannot be written: .* not a folder$/);
  });
});

describe("resume, runs and report", () => {
  it("print what there is", async () => {
    const runs = folder();
    const file = put(runs, "tiny.yaml", tiny);
    const trained = json(await stopgrad(["train", file, "--variant", "e2e", "--json", "--runs", runs]));
    await stopgrad(["train", put(runs, "smallest.yaml", smallest), "--runs", runs]);

    const resumed = await stopgrad(["resume", "tiny", "--json", "--runs", runs]);
    expect(resumed.code).toBe(0);
    expect(json(resumed)).toEqual(trained);

    const all = json(await stopgrad(["runs", "--json", "--runs", runs])).runs;
    expect(all[0]).toEqual({ id: trained.run, createdAt: expect.stringMatching(/^\d{4}-.*Z$/), ...trained });
    expect(all[1]).toMatchObject({ name: "smallest", variant: "default", seed: 1, status: "completed" });
    expect(json(await stopgrad(["runs", "--name", "smallest", "--json", "--runs", runs])).runs).toHaveLength(1);
    expect(json(await stopgrad(["runs", "--status", "failed", "--json", "--runs", runs])).runs).toEqual([]);
    const table = await stopgrad(["runs", "--runs", runs]);
    expect(table.stdout).toMatch(new RegExp(`^${trained.run} +completed +2 `, "m"));
    expect(table.stderr).toBe("");

    const report = json(await stopgrad(["report", "tiny", "smallest", "--json", "--runs", runs]));
    expect(report.report).toBe(join(runs, "reports", "tiny-smallest", "report.html"));
    expect(report.runs).toEqual([trained.run, all[1].run]);
    for (const path of report.files) expect(existsSync(path)).toBe(true);
  });
});

describe("a run that another process trains", () => {
  it("is waited for and not trained twice", async () => {
    const runs = folder();
    const file = put(runs, "file.yaml", tiny.replace("epochs: 2", "epochs: 40"));
    const args = ["train", file, "--variant", "e2e", "--json", "--runs", runs];
    const first = start(args);
    await until("a run", () => runIds(runs).length === 1);
    const id = runIds(runs)[0]!;
    await untilStep(runs, id, 8);
    const second = await stopgrad(args);
    expect(second.code).toBe(0);
    expect(second.stderr).toMatch(`run ${id} is being trained by another process (process ${first.pid} `);
    const before = stored(runs, id).record;
    expect(json(second)).toEqual(json(await first.finished));
    expect(stored(runs, id).record).toEqual(before);
  });
});
