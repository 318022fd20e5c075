import { expect, test } from "vitest";
import { documentFromText } from "../../src/experiment/document.js";
import { settingsHash } from "../../src/experiment/identity.js";
import { recordedSettings } from "../../src/experiment/recorded-settings.js";
import { settingsSchema } from "../../src/experiment/registries.js";

test("a run that was recorded before there were more settings is the same run, with what was so before", () => {
  const [run] = settingsSchema.expand(documentFromText("data: glyphs\nmodel: lenet5\nepochs: 2\n", "x.yaml")).runs;
  const { format: _, retrain: __, context: ___, gradientCheckpointing: ____, match: _____, ...old } = run!;
  const { nhsic: ______, reconstruction: _______, ...objective } = old.objective;
  const settings = recordedSettings({ settings: { ...old, objective, schedule: "simultaneous" } });
  expect(settings).toEqual(run);
  expect(settingsHash(settings)).toBe(settingsHash(run!));
});
