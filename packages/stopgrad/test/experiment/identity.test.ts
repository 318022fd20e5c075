import { expect, test } from "vitest";
import { documentFromText } from "../../src/experiment/document.js";
import { canonicalJson, runId, settingsHash, slug } from "../../src/experiment/identity.js";
import type { RunSettings } from "../../src/experiment/run-settings.js";
import { defineSettings } from "../../src/experiment/settings.js";
import { hooks, registries, settings } from "./fake-registries.js";

function run(
  overrides: string[] = [],
  text = "data: cifar10\nmodel: lenet5\nepochs: 2\nobserve: { nhsic: true }\n",
): RunSettings {
  return settings.expand(documentFromText(text, "x.yaml"), { overrides }).runs[0] as RunSettings;
}

test("the hash is the same however the settings are written, and on every machine", () => {
  const spelt = `observe: { nhsic: { batches: 8, firstEpoch: false } }
epochs: 2
variants: { default: { model: { name: lenet5 } } }
data: { test: 10000, name: cifar10, train: 50000 }\n`;
  expect(settingsHash(run([], spelt))).toBe(settingsHash(run()));
  expect(settingsHash(run())).toBe("f7b406a914dde880ee3015b34ee8f7951968c6f2b1f2d70ff7179fb07cf2163f");
});

test.each([
  "checkpoint.every=5",
  "checkpoint.everySteps=9",
  "checkpoint.everySeconds=1",
  "checkpoint.keep=all",
  "data.evaluationBatch=7",
])("%s does not decide", (override) => {
  expect(settingsHash(run([override]))).toBe(settingsHash(run()));
});

test.each([
  "seeds=[2]",
  "name=other",
  "threads=4",
  "epochs=3",
  "model.batchNorm=true",
  "data.batch=64",
  "data.train=100",
  "partition=2",
  "classifier=detached",
  "optimizer.learningRate=1e-3",
  "optimizer.schedule={milestones: [1]}",
  "observe.nhsic.batches=4",
  "device=cuda",
  "+variants.a.epochs=2",
])("%s decides", (override) => {
  expect(settingsHash(run([override]))).not.toBe(settingsHash(run()));
});

test("an option that a measure got later decides where it is not what was so before", () => {
  const base = run();
  const observing = (options: object) =>
    settingsHash({ ...base, observe: { nhsic: { ...base.observe.nhsic!, ...options } } } as RunSettings);
  expect(observing({ kernel: "rbf", width: "scaled" })).toBe(settingsHash(base));
  expect(observing({ kernel: "linear", width: "scaled" })).not.toBe(settingsHash(base));
  expect(observing({ kernel: "rbf", width: "median" })).not.toBe(settingsHash(base));
});

test("what the images are decides, for data sets that can tell", () => {
  let looked = 0;
  const withContents = (contents: string | null) =>
    defineSettings(registries, {
      ...hooks,
      contents: ({ name }) => {
        looked++;
        return name === "cifar10" ? contents : null;
      },
    });
  const text = "data: cifar10\nmodel: lenet5\nepochs: 2\nobserve: { nhsic: true }\n";
  const hash = (contents: string | null) =>
    settingsHash(withContents(contents).expand(documentFromText(text, "x.yaml")).runs[0] as RunSettings);
  expect(hash(null)).toBe(settingsHash(run()));
  expect(new Set([hash(null), hash("12"), hash("34")]).size).toBe(3);

  looked = 0;
  const variants = documentFromText(`${text}variants:\n  a: {}\n  b: { epochs: 3 }\n  c: { data: mnist }\n`, "x.yaml");
  const { runs } = withContents("12").expand(variants);
  expect(runs.map(({ data }) => data.contents)).toEqual(["12", "12", undefined]);
  expect(looked).toBe(2);
});

test("one GPU is as good as another", () => {
  expect(settingsHash(run(["device=cuda:1"]))).toBe(settingsHash(run(["device=cuda"])));
});

test("run ids are file names", () => {
  const named = { ...run(["name='LeNet5 / ÄÖ: ../x'", "seeds=[12]"]), variant: "λ = 0.1" };
  expect(runId(named)).toBe(`lenet5-ao-x-0-1-s12-${settingsHash(named).slice(0, 8)}`);
  expect(slug("???")).toBe("run");
  expect(slug("a".repeat(99))).toHaveLength(48);
});

test("canonical JSON: sorted keys, undefined left out, nothing inexact", () => {
  expect(canonicalJson({ b: [1, { d: undefined, c: null }], a: "\u2028" })).toBe('{"a":"\u2028","b":[1,{"c":null}]}');
  expect(canonicalJson({ é: 1, z: 2, "10": 3, "9": 4 })).toBe('{"10":3,"9":4,"z":2,"é":1}');
  for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, undefined, 1n, () => 1])
    expect(() => canonicalJson([bad])).toThrow(TypeError);
});
