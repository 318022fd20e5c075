// What can be asked of finished runs: measures of their stages at kept epochs, and probes.
import { describe, expect, it } from "vitest";
import { checkpoints, json, results } from "./command.js";
import { trainedRuns } from "./trained.js";

const trained = trainedRuns();

describe("checkpoint.keep", () => {
  it("keeps the weights of the epochs that it names beside the newest checkpoints", () => {
    const epochs = (id: string) => checkpoints(trained.runs, id).filter((name) => name.startsWith("epoch-"));
    expect(epochs(trained.e2e)).toEqual([0, 1, 2, 3].map((epoch) => `epoch-00000${epoch}.safetensors`));
    expect(epochs(trained.layerWise)).toEqual(["epoch-000000.safetensors", "epoch-000002.safetensors"]);
  });
});

describe("measure --run", () => {
  it("finds at every kept epoch what the run's own observer found", async () => {
    const { results: rows } = await trained.told("measure", "nhsic", "--run", trained.e2e, "--epochs", "all", "--batch", "32", "--samples", "64"); // biome-ignore format: one line
    const observed = results(trained.runs, trained.e2e).filter(({ key }) => key.startsWith("nhsic"));
    expect(observed).toHaveLength(rows.length);
    for (const { epoch, stage, key, value, standardError } of observed) {
      const pair = key === "nhsicXZ" ? "x,z" : "y,z";
      const row = rows.find(
        (one: Record<string, unknown>) => one.epoch === epoch && one.stage === stage && one.pair === pair,
      );
      expect(row.value, `${epoch} ${stage} ${key}`).toBeCloseTo(value, 9);
      expect(row.standardError).toBeCloseTo(standardError!, 9);
      expect(row.interval[0]).toBeLessThan(row.value);
    }
  });

  it("takes by default the images that the run observed, on as many threads", async () => {
    const observed = (key: string, stage: string) =>
      results(trained.runs, trained.e2e).findLast((point) => point.key === key && point.stage === stage)!.value;
    const nhsic = await trained.told("measure", "nhsic", "--run", trained.e2e, "--stages", "fc1");
    expect(nhsic).toMatchObject({ samples: 64, split: "test", batch: 32, batches: 2 });
    expect(nhsic.results[0].value).toBeCloseTo(observed("nhsicXZ", "fc1"), 9);
    const mine = await trained.told(
      "measure",
      "mine",
      "--run",
      trained.e2e,
      "--stages",
      "conv2",
      "--set",
      "steps=40",
      "pairs=input",
    );
    expect(mine).toMatchObject({ samples: 200, split: "train" });
    expect(mine.results[0].value).toBe(observed("mineXZ", "conv2"));
    const other = await trained.told("measure", "hsic", "--run", trained.e2e, "--stages", "fc1");
    expect(other).toMatchObject({ samples: 128, split: "test", batch: 128, batches: 1 });
    const text = await trained.ask("measure", "geometry", "--run", trained.e2e, "--stages", "fc1", "--epoch", "3");
    expect(text.stdout).toMatch(/^geometry of 128 test images\nepoch 3\n/);
  });

  it("takes stages, epochs, splits; two runs on the same batches, stage by stage", async () => {
    const given = ["--batch", "32", "--stages", "conv2", "fc1"];
    const one = await trained.told(
      "measure",
      "hsic",
      "--run",
      trained.e2e,
      "--epochs",
      "0,3",
      "--split",
      "train",
      ...given,
    );
    expect(one.results.map(({ epoch, stage, pair }: Record<string, unknown>) => [epoch, stage, pair])).toEqual(
      [0, 3].flatMap((epoch) =>
        ["x,z", "y,z"].flatMap((pair) => ["conv2", "fc1"].map((stage) => [epoch, stage, pair])),
      ),
    );
    expect(one.batches).toBe(8);
    const alone = await trained.told("measure", "nhsic", "--run", trained.layerWise, ...given);
    const both = await trained.told("measure", "nhsic", "--run", trained.e2e, "--against", trained.layerWise, ...given);
    for (const [at, row] of both.results.entries()) {
      expect(row.against).toBe(alone.results[at].value);
      expect(row.difference).toBeCloseTo(row.value - row.against, 12);
      expect(row.differenceInterval[0]).toBeLessThan(row.difference);
      expect(row.differenceInterval[1]).toBeGreaterThan(row.difference);
    }
    const same = await trained.told("measure", "nhsic", "--run", trained.e2e, "--against", trained.e2e, ...given);
    for (const row of same.results) expect(row).toMatchObject({ difference: 0, differenceInterval: [0, 0] });
  });

  it("takes every kind of measure", async () => {
    const geometry = await trained.told(
      "measure",
      "geometry",
      "--run",
      trained.e2e,
      "--stages",
      "fc1",
      "--samples",
      "100",
    );
    expect(geometry.results[0]).toMatchObject({ epoch: 3, stage: "fc1", key: expect.any(String) });
    const probe = await trained.told(
      "measure",
      "probe",
      "--run",
      trained.e2e,
      "--against",
      trained.layerWise,
      "--stages",
      "fc1",
    );
    const test = probe.results.find(({ key }: { key: string }) => key === "test");
    expect(test.differenceInterval).toHaveLength(2);
    expect(test.difference * 128).toBe(Math.round(test.difference * 128)); // a number of images, exactly
    const information = await trained.told("measure", "information", "--run", trained.e2e, "--stages", "fc2", "--set", "epochs=1", "train=64"); // biome-ignore format: one line
    expect(information.results.map(({ key }: { key: string }) => key)).toContain("informationY");
    const full = await trained.told("measure", "nhsic", "--run", trained.e2e, "--full", "--stages", "fc2");
    expect(full.results.map(({ pair }: { pair: string }) => pair)).toEqual(["x,z", "y,z"]);
  });

  it("measures the stages that a measure takes, and says why not the others", async () => {
    const given = ["measure", "ksg", "--run", trained.e2e, "--stages", "conv1", "fc2", "--set", "pairs=labels"];
    const finished = await trained.ask(...given, "largestDimension=84", "--against", trained.layerWise, "--json");
    expect(finished.code, finished.stderr).toBe(0);
    const [conv1, fc2] = json(finished).results;
    expect(conv1).toMatchObject({ stage: "conv1", key: "ksgYZ", value: null, against: null, difference: null });
    expect(fc2).toMatchObject({ stage: "fc2", value: expect.any(Number), difference: expect.any(Number) });
    expect(finished.stderr).toMatch(/^conv1: z has \d+ features a sample, expected at most 84/m);
    expect(finished.stderr).toMatch(new RegExp(`^conv1 of ${trained.layerWise}: z has`, "m"));
    const alone = await trained.ask(...given, "largestDimension=5", "--json");
    expect(json(alone).error).toMatch(/^measure ksg: conv1: z has .*; the other 1 could not be measured either$/);
  });

  it("estimators of few dimensions look at the labels alone unless the input is asked for", async () => {
    for (const name of ["ksg", "binning"]) {
      const given = ["measure", name, "--run", trained.e2e, "--samples", "64"];
      const { options, results: rows } = await trained.told(...given, "--set", "largestDimension=100");
      expect(options).toMatchObject({ pairs: "labels", largestDimension: 100 });
      expect(new Set(rows.map(({ key }: { key: string }) => key))).toEqual(new Set([`${name}YZ`]));
      expect(rows.filter(({ value }: { value: number | null }) => value !== null).length).toBeGreaterThan(0);
      const asked = await trained.ask(...given, "--set", "pairs=both");
      expect([asked.code, asked.stderr]).toEqual([1, expect.stringContaining("leave the input out (pairs=labels)")]);
    }
  });

  it("says what is not there, and how to get it", async () => {
    const stages = "conv1, conv2, fc1, fc2";
    const mistakes: [string[], string | RegExp, number][] = [
      [
        ["measure", "nhsic", "--run", trained.layerWise, "--epochs", "1"],
        `run ${trained.layerWise} has no weights of epoch 1, only of epochs 0, 2 and 3; a run that is trained with checkpoint.keep=all (or =[1,5,20]) keeps them`,
        1,
      ],
      [
        ["measure", "nhsic", "--run", trained.e2e, "--epochs", "some"],
        "expected last, all or epochs such as 1,5,20, got some",
        2,
      ],
      [
        ["measure", "nhsic", "--run", trained.e2e, "--stages", "conv3"],
        new RegExp(`^run ${trained.e2e} has no stage conv3 \\(stages: ${stages}.*\\); did you mean conv`),
        2,
      ],
      [
        ["measure", "nhsic", "--run", trained.e2e, "--samples", "129"],
        `expected 1 to 128 samples of the test images of run ${trained.e2e}, got 129`,
        1,
      ],
      [
        ["measure", "nhsic", "--run", trained.e2e, "--samples", "64", "--batch", "128"],
        /expected at least one batch of 128 samples, got 64/,
        1,
      ],
      [
        ["measure", "nhsic", "--run", trained.e2e, "--split", "0.5"],
        /--split: expected test or train of a run's images/,
        2,
      ],
      [["measure", "nhsic", "--run", "nothing"], /nothing/, 2],
      [["probe", "nothing"], /nothing/, 2],
    ];
    for (const [args, message, code] of mistakes) {
      const finished = await trained.ask(...args, "--json");
      const { error } = json(finished);
      if (typeof message === "string") expect(error).toBe(message);
      else expect(error).toMatch(message);
      expect(finished.code, error).toBe(code);
    }
  });
});

describe("probe", () => {
  it("finds what the run's own probe found, and where separability saturates", async () => {
    const { stages, saturation, epochs } = await trained.told("probe", trained.e2e);
    const observed = results(trained.runs, trained.e2e).filter(({ key }) => key.startsWith("probeT"));
    for (const { stage, key, value } of observed.filter(({ key }) => key === "probeTrain" || key === "probeTest")) {
      expect(stages.find(({ name }: { name: string }) => name === stage)[key], `${stage} ${key}`).toBeCloseTo(value, 9);
    }
    const tests = stages.map(({ probeTest }: { probeTest: number }) => probeTest);
    const first = tests.findIndex((accuracy: number) => accuracy >= Math.max(...tests) - 0.01);
    expect(saturation).toBe(stages[first].name);
    expect(epochs).toHaveLength(1);
    const text = await trained.ask("probe", trained.e2e, "--epochs", "0,3", "--stages", "fc1", "--kind", "knn");
    expect(text.stdout).toContain(`${trained.e2e}, epoch 0: knn probes, accuracy in %`);
    expect(text.stdout).toContain("saturated from fc1 on");
  });
});
