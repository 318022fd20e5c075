import { describe, expect, test } from "vitest";
import { documentFromText } from "../../src/experiment/document.js";
import { settingsHash } from "../../src/experiment/identity.js";
import { refusedSchedule, scheduledRate } from "../../src/experiment/rate-schedule.js";
import type { RunSettings } from "../../src/experiment/run-settings.js";
import { settings } from "./fake-registries.js";

const FILE = "data: mnist\nmodel: mlp\nepochs: 20\n";

function expand(text: string, overrides: string[] = []): readonly RunSettings[] {
  return settings.expand(documentFromText(FILE + text, "x.yaml"), { overrides }).runs;
}

function schedules(text: string, overrides?: string[]): unknown[] {
  return expand(text, overrides).map(({ optimizer }) => optimizer.schedule);
}

function mistakes(text: string): string[] {
  try {
    expand(text);
    return [];
  } catch (error) {
    return (error as { problems: { path: string; message: string }[] }).problems.map(
      ({ path, message }) => `${path}: ${message}`,
    );
  }
}

describe("what is read", () => {
  test.each([
    ["{ milestones: [5] }", { milestones: [5], gamma: 0.1 }],
    ["{ name: step, milestones: [5], gamma: 0.2 }", { milestones: [5], gamma: 0.2 }],
    ["{ name: null, milestones: [5], gamma: null }", { milestones: [5], gamma: 0.1 }],
    ["cosine", { name: "cosine", warmup: 0, warmupStart: 0.01 }],
    ["{ name: cosine, warmup: 10 }", { name: "cosine", warmup: 10, warmupStart: 0.01 }],
    ["null", null],
  ])("schedule: %s", (written, read) => {
    expect(schedules(`optimizer: { learningRate: 0.1, schedule: ${written} }`)).toEqual([read]);
  });

  test("a step schedule is the same run with its name and without, and the run it was before there were names", () => {
    const hash = (text: string) => settingsHash(expand(`optimizer: { schedule: ${text} }`)[0]!);
    expect(hash("{ milestones: [3] }")).toBe("ff0165f549141545fe3bbfe21e17338066015de6e075c1cde94e7f03581af568");
    expect(hash("{ name: step, milestones: [3] }")).toBe(hash("{ milestones: [3] }"));
    expect(hash("cosine")).not.toBe(hash("{ name: cosine, warmup: 1, warmupStart: 1e-5 }"));
  });
});

describe("variants and overrides", () => {
  test("another schedule drops the options of the first, the same one keeps them", () => {
    const text = `optimizer: { learningRate: 0.1, schedule: { milestones: [5, 9], gamma: 0.5 } }
variants:
  cosine: { optimizer: { schedule: cosine } }
  warm: { optimizer: { schedule: { name: cosine, warmup: 2 } } }
  named: { optimizer: { schedule: { name: step, gamma: 0.2 } } }
  unnamed: { optimizer: { schedule: { milestones: [3] } } }
  other: { optimizer: { name: sgd } }
  none: { optimizer: { schedule: null } }\n`;
    expect(schedules(text)).toEqual([
      { name: "cosine", warmup: 0, warmupStart: 0.01 },
      { name: "cosine", warmup: 2, warmupStart: 0.01 },
      { milestones: [5, 9], gamma: 0.2 },
      { milestones: [3], gamma: 0.5 },
      { milestones: [5, 9], gamma: 0.5 },
      null,
    ]);
  });

  test("a step schedule over a cosine says its name", () => {
    const variant = (schedule: string) =>
      `optimizer: { learningRate: 0.1, schedule: { name: cosine, warmup: 3 } }\nvariants: { a: { optimizer: { schedule: ${schedule} } } }\n`;
    expect(schedules(variant("{ name: step, milestones: [3] }"))).toEqual([{ milestones: [3], gamma: 0.1 }]);
    expect(schedules(variant("{ warmup: 4 }"))).toMatchObject([{ name: "cosine", warmup: 4 }]);
    expect(mistakes(variant("{ milestones: [3] }"))).toEqual([
      "variants.a.optimizer.schedule.milestones: cosine takes no milestones (known: warmup, warmupStart); it belongs to { name: step }",
    ]);
  });

  test("on the command line", () => {
    const text = "optimizer: { learningRate: 0.1, schedule: { milestones: [5] } }\n";
    expect(schedules(text, ["optimizer.schedule=cosine"])).toMatchObject([{ name: "cosine" }]);
    expect(schedules(text, ["optimizer.schedule={name: cosine, warmup: 2}"])).toMatchObject([{ warmup: 2 }]);
    expect(schedules(text, ["optimizer.schedule=cosine", "optimizer.schedule.warmup=3"])).toMatchObject([
      { name: "cosine", warmup: 3 },
    ]);
    expect(schedules(text, ["optimizer.schedule.milestones=[2, 4]"])).toMatchObject([{ milestones: [2, 4] }]);
    expect(schedules(text, ["optimizer.schedule=null"])).toEqual([null]);
  });
});

test.each([
  ["cosin", "schedule: unknown schedule: cosin (known: step, cosine); did you mean cosine?"],
  ["{ name: cosin, warmup: 3 }", "schedule.name: unknown schedule: cosin (known: step, cosine); did you mean cosine?"],
  ["{ name: 3 }", "schedule.name: expected the name of a schedule (known: step, cosine), got 3"],
  [
    "3",
    "schedule: expected the name of a schedule (known: step, cosine), or a map such as { milestones: [80, 120] } or { name: cosine, warmup: 10 }, got 3",
  ],
  ["[80, 120]", "got [80,120]"],
  ["{ name: cosine, warmpu: 3 }", "schedule.warmpu: unknown key; did you mean warmup?"],
  [
    "{ name: cosine, milestones: [3] }",
    "schedule.milestones: cosine takes no milestones (known: warmup, warmupStart); it belongs to { name: step }",
  ],
  ["{ warmup: 3 }", "schedule.warmup: step takes no warmup (known: milestones, gamma); it belongs to { name: cosine }"],
  ["{ name: cosine, warmup: -1 }", "schedule.warmup: expected an integer, 0 or more, got -1"],
  ["{ name: cosine, warmupStart: fast }", 'schedule.warmupStart: expected a number, 0 or more, got "fast"'],
  ["{ gamma: 0.5 }", "schedule.milestones: missing; expected a non-empty list, each item a positive integer"],
  ["step", "schedule.milestones: missing; expected a non-empty list, each item a positive integer"],
  [
    "{ milestones: 5 }",
    "schedule.milestones: expected a non-empty list, each item a positive integer, got 5; write [5]",
  ],
  ["{ milestones: [0] }", "schedule.milestones[0]: expected a positive integer, got 0"],
  ["{ milestones: [3, 2] }", "schedule.milestones: expected ascending epochs, each once"],
])("schedule: %s", (written, message) => {
  const found = mistakes(`optimizer: { schedule: ${written} }\n`);
  expect(found).toHaveLength(1);
  expect(found[0]).toMatch(/^optimizer\.schedule/);
  expect(found[0]).toContain(message);
});

test("options of a schedule are found where they belong", () => {
  expect(mistakes("warmupStart: 0.1\n")).toEqual([
    "warmupStart: unknown key; did you mean optimizer.schedule.warmupStart?",
  ]);
});

test("a schedule by its settings", () => {
  const at = { base: 1, epoch: 3, epochs: 4 };
  expect(scheduledRate(null, at)).toBe(1);
  expect(scheduledRate({ milestones: [3], gamma: 0.5 }, at)).toBe(0.5);
  expect(scheduledRate({ name: "cosine", warmup: 0, warmupStart: 0.01 }, at)).toBe(0);
  expect(refusedSchedule({ name: "cosine", warmup: 5, warmupStart: 0.01 }, at)).toMatch(/^expected a warm-up within/);
  expect(refusedSchedule({ milestones: [9], gamma: 0.5 }, at)).toBeNull();
  expect(refusedSchedule(null, at)).toBeNull();
});
