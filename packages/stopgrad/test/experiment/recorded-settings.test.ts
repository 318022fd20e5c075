import "../support/one-thread.js";
import { Generator, rand, scope, tensor } from "@stopgrad/torch";
import { expect, test } from "vitest";
import { stringify } from "yaml";
import { normalisationOf } from "../../src/data/loader.js";
import { documentFromText } from "../../src/experiment/document.js";
import { settingsHash } from "../../src/experiment/identity.js";
import { createObserver } from "../../src/experiment/observer.js";
import { recordedSettings } from "../../src/experiment/recorded-settings.js";
import { settingsSchema } from "../../src/experiment/registries.js";
import type { RunSettings } from "../../src/experiment/run-settings.js";
import { makeRule } from "../support/networks.js";

test("a run that was recorded before there were more settings is the same run, with what was so before", () => {
  const [run] = settingsSchema.expand(documentFromText("data: glyphs\nmodel: lenet5\nepochs: 2\n", "x.yaml")).runs;
  const { format: _, retrain: __, context: ___, gradientCheckpointing: ____, match: _____, ...old } = run!;
  const { nhsic: ______, reconstruction: _______, ...objective } = old.objective;
  const settings = recordedSettings({ settings: { ...old, objective, schedule: "simultaneous" } });
  expect(settings).toEqual(run);
  expect(settingsHash(settings)).toBe(settingsHash(run!));
});

test("a run that was recorded with an option its kernel does not use is the same run, and is measured as it was", () => {
  const text = "data: glyphs\nmodel: lenet5\nepochs: 2\nobserve: { nhsic: { kernel: linear, batch: 8, batches: 2 } }\n";
  const [run] = settingsSchema.expand(documentFromText(text, "x.yaml")).runs;
  // Written out in full, as `stopgrad runs --yaml` does, it is right, and the same run.
  const { name, variant: _, seed, ...rest } = run!;
  const written = stringify({ name, seeds: [seed], ...rest });
  expect(settingsHash(settingsSchema.expand(documentFromText(written, "x.yaml")).runs[0]!)).toBe(settingsHash(run!));

  const old = { ...run!, observe: { nhsic: { ...run!.observe.nhsic!, sigma: 3, distance: "plain" } } } as RunSettings;
  const read = recordedSettings({ settings: old as unknown as Record<string, unknown> });
  expect(read.observe).toEqual(old.observe);
  expect(settingsHash(read)).toBe(settingsHash(old));
  expect(settingsHash(read)).not.toBe(settingsHash(run!));

  const rule = makeRule({ model: "resnet20", options: { width: 4 }, inputShape: [3, 8, 8], classes: 4, partition: 1 });
  const values = (settings: RunSettings) =>
    scope(() => {
      const labels = tensor(BigInt64Array.from({ length: 16 }, (_, at) => BigInt(at % 4)));
      const images = rand([16, 3, 8, 8], { generator: new Generator(1) })
        .mul(255)
        .to("uint8");
      const set = { images, labels, count: 16 };
      const normalisation = normalisationOf({ mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25] });
      const data = { train: set, test: set, normalisation, classes: 4 };
      const observer = createObserver("nhsic", settings.observe.nhsic!, data as Parameters<typeof createObserver>[2]);
      const found = observer.observe(rule);
      observer.dispose();
      expect(found.every(({ problem }) => problem === null)).toBe(true);
      return found.map(({ value }) => value);
    });
  expect(values(read)).toEqual(values(run!));
  rule.dispose();
});
