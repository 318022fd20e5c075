// `parallel` in experiment files: what it may say, what it cannot go with, and that it is no part of what a run is.
import { availableParallelism } from "node:os";
import { describe, expect, it, test } from "vitest";
import { documentFromText } from "../../src/experiment/document.js";
import { settingsHash } from "../../src/experiment/identity.js";
import { dealOut } from "../../src/experiment/parallel.js";
import { SettingsError } from "../../src/experiment/problems.js";
import { settingsSchema } from "../../src/experiment/registries.js";
import type { RunSettings } from "../../src/experiment/run-settings.js";
import { sideBySide } from "../../src/experiment/runner.js";

const base = `data: { name: glyphs, train: 96, test: 64, batch: 32 }
model: { name: resnet20, width: 4 }
partition: 4
epochs: 3
`;

function run(text: string): RunSettings {
  return settingsSchema.expand(documentFromText(base + text, "file.yaml")).runs[0]!;
}

function problemsOf(text: string, from = base): string {
  try {
    settingsSchema.expand(documentFromText(from + text, "file.yaml"));
  } catch (error) {
    if (error instanceof SettingsError) return error.message;
    throw error;
  }
  throw new Error(`expected a mistake in ${text}`);
}

describe("what it says", () => {
  it("is modules, or a number of workers, or nothing", () => {
    expect(run("parallel: modules\n").parallel).toEqual({ workers: null });
    expect(run("parallel: true\n").parallel).toEqual({ workers: null });
    expect(run("parallel: { workers: 2 }\n").parallel).toEqual({ workers: 2 });
    expect(run("parallel: false\n").parallel).toBeNull();
    expect(run("parallel: null\n").parallel ?? null).toBeNull();
    expect("parallel" in run("")).toBe(false);
  });

  it("is read again as it is written", () => {
    expect(run("parallel: { workers: null }\n").parallel).toEqual({ workers: null });
  });

  it("is refused as anything else", () => {
    expect(problemsOf("parallel: yes please\n")).toMatch(
      /parallel: expected modules, or a map such as \{ workers: 2 \}/,
    );
    expect(problemsOf("parallel: { workers: 0 }\n")).toMatch(/parallel/);
    expect(problemsOf("parallel: { processes: 2 }\n")).toMatch(/processes/);
  });
});

it("a run with it is the run without it", () => {
  expect(settingsHash(run("parallel: { workers: 2 }\n"))).toBe(settingsHash(run("")));
  expect(settingsHash(run("parallel: null\n"))).toBe(settingsHash(run("")));
});

it("leaves processors to other runs that it does not use itself", () => {
  const [alone, two, all] = ["", "parallel: { workers: 2 }\n", "parallel: modules\n"].map(run) as [
    RunSettings,
    RunSettings,
    RunSettings,
  ];
  const many = (one: RunSettings) => Array<RunSettings>(64).fill(one);
  expect(sideBySide(many(two), undefined)).toBe(Math.max(1, Math.floor(sideBySide(many(alone), undefined) / 2)));
  expect(sideBySide(many(alone), undefined)).toBe(Math.min(64, availableParallelism()));
  expect(sideBySide(many(all), undefined)).toBe(1);
  expect(sideBySide(many(all), 3)).toBe(3);
});

test.each([
  ["one module", "parallel: modules\n", base.replace("partition: 4", "partition: 1"), /parallel: there is one module/],
  [
    "a schedule",
    "parallel: modules\nschedule: sequential\n",
    base,
    /parallel: a sequential schedule trains one module/,
  ],
  [
    "labels in the network",
    "parallel: modules\nobjective: { loss: signal-propagation }\n",
    base,
    /sends labels through/,
  ],
  ["a late classifier", "parallel: modules\nclassifier: after\n", base, /parallel: a classifier that learns after/],
  [
    "a selection",
    "parallel: modules\ncontext: { fromInput: true, selection: { after: 1 } }\n",
    base,
    /parallel: a selection takes context paths out of use/,
  ],
  ["dropout", "parallel: modules\n", base.replace("width: 4", "width: 4, dropout: 0.1"), /parallel: masks of dropout/],
  [
    "too many workers",
    "parallel: { workers: 5 }\n",
    base,
    /parallel\.workers: expected at most one for each of the 4 mod/,
  ],
  ["a GPU", "parallel: modules\ndevice: cuda\n", base, /parallel: modules on cuda would wait for each other; use cpu/],
])("it is refused with %s", (_, text, from, message) => {
  expect(problemsOf(text, from)).toMatch(message);
});

it("another rule does not use it", () => {
  const other =
    "data: { name: glyphs, train: 96, test: 64, batch: 32 }\nmodel: mlp\nrule: forward-forward\nepochs: 1\n";
  expect(problemsOf("parallel: modules\n", other)).toMatch(/parallel: forward-forward does not use it/);
});

describe("modules are dealt out", () => {
  it("so that the worker with most to do has as little as can be", () => {
    expect(dealOut([5, 1, 1, 1, 1, 1], 2)).toEqual([
      { from: 0, end: 1 },
      { from: 1, end: 6 },
    ]);
    expect(dealOut([1, 1, 1, 6], 2)).toEqual([
      { from: 0, end: 3 },
      { from: 3, end: 4 },
    ]);
  });

  it("all to one, or one to each", () => {
    expect(dealOut([3, 2, 1], 1)).toEqual([{ from: 0, end: 3 }]);
    expect(dealOut([3, 2, 1], 3).map(({ from }) => from)).toEqual([0, 1, 2]);
  });
});
