// Experiment files against what is really registered.
import { cuda } from "@stopgrad/torch";
import { describe, expect, test } from "vitest";
import { documentFromText } from "../../src/experiment/document.js";
import { settingsSchema } from "../../src/experiment/registries.js";

function expand(text: string, overrides: string[] = []) {
  return settingsSchema.expand(documentFromText(text, "x.yaml"), { overrides }).runs;
}

const file = (model: string, rest = "") => `data: glyphs\nmodel: ${model}\nepochs: 1\n${rest}`;

describe("the classifier", () => {
  test("is detached layer by layer where there is one, and attached where the last stage gives the class scores", () => {
    expect(expand(file("resnet18", "partition: stage\n"))[0]?.classifier).toBe("detached");
    expect(expand(file("resnet18", "partition: 9\n"))[0]?.classifier).toBe("attached");
    for (const model of ["lenet5", "mlp"]) {
      expect(expand(file(model, "partition: stage\n"))[0]?.classifier).toBe("attached");
    }
  });

  test("cannot be detached where there is none", () => {
    expect(() => expand(file("lenet5", "classifier: detached\n"))).toThrow(
      /classifier: lenet5 has no classifier apart from its last stage/,
    );
  });
});

test("the example of the experiment-file format is right as it stands", () => {
  const runs = expand(`
name: lenet5-cifar10
data: { name: cifar10, train: 50000, test: 10000, batch: 128 }
model: { name: lenet5 }
optimizer: { name: adam, learningRate: 5e-4, schedule: { milestones: [200, 300, 350, 375], gamma: 0.2 } }
epochs: 20
seeds: [1, 2, 3]
observe:
  nhsic: { every: 1, batch: 128, batches: 8 }
  probe: { at: end }
variants:
  e2e:        { partition: 1 }
  layer-wise: { partition: stage, objective: { loss: cross-entropy, head: linear } }
  block-wise: { partition: 2, objective: { loss: cross-entropy, head: mlp } }
`);
  expect(runs.map(({ variant, seed }) => `${variant} ${seed}`)).toHaveLength(9);
  expect(runs[6]).toMatchObject({
    variant: "block-wise",
    partition: 2,
    objective: { head: { name: "mlp" } },
    threads: 1,
  });
});

describe("an override", () => {
  const variants = "variants: { e2e: { partition: 1 }, blocks: { partition: 2 } }\n";

  test("that every variant sets itself is refused, also when one of them happens to hold its value", () => {
    for (const value of [2, 3]) {
      expect(() => expand(file("lenet5", variants), [`partition=${value}`])).toThrow(/has no effect/);
    }
  });

  test("that holds itself is one clear mistake", () => {
    expect(() => expand(file("lenet5"), ["model=&a {name: *a}"])).toThrow(/an anchor contains itself/);
  });

  test.skipIf(cuda.isAvailable())("of the device is refused where there is none, saying what was found", () => {
    expect(() => expand(file("lenet5"), ["device=cuda"])).toThrow(
      /device: cuda cannot be used, because libtorch [\d.]+ (is built without|has) CUDA.*; use cpu/,
    );
  });

  test("of a device that is no place to train is refused, without looking for it", () => {
    expect(() => expand(file("lenet5"), ["device=meta"])).toThrow(/device: expected cpu, cuda or cuda:1, got "meta"/);
  });
});
