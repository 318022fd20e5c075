// Every way of learning, as a whole run on a small subset of real images: far above chance, which is 10 %.
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import "../support/one-thread.js";
import { describe, expect, onTestFinished, test } from "vitest";
import { documentFromText } from "../../src/experiment/document.js";
import type { TrainingEvent } from "../../src/experiment/protocol.js";
import { settingsSchema } from "../../src/experiment/registries.js";
import { train } from "../../src/experiment/trainer.js";

const dataDir = process.env.STOPGRAD_DATA ?? "";
const hasMnist = existsSync(join(dataDir, "mnist"));

const head = (augment: string) => `name: x
data: { name: mnist, train: 1500, test: 500, batch: 50, evaluationBatch: 250${augment} }
model: { name: mlp, width: 64 }
`;
const views = ", augment: { resizedCrop: { size: 28, scale: [0.5, 1] } }";

const withRate = (text: string) => (text.includes("optimizer:") ? text : `${text}optimizer: { learningRate: 2e-3 }\n`);

/** Least test accuracy, and what is written below the common settings. */
const ways: Record<string, [least: number, text: string, augment?: string]> = {
  "end to end": [0.8, "epochs: 4\n"],
  "layer by layer": [0.75, "epochs: 4\npartition: stage\n"],
  sequential: [0.75, "epochs: 3\npartition: stage\nschedule: sequential\n"],
  asynchronous: [0.75, "epochs: 3\npartition: 2\nschedule: asynchronous\n"],
  "supervised contrastive": [0.5, "epochs: 5\npartition: stage\nobjective: { loss: supervised-contrastive }\n", views],
  "supervised contrastive, one view": [
    0.6,
    "epochs: 5\npartition: stage\nobjective: { loss: { name: supervised-contrastive, views: 1 } }\n",
  ],
  SimCLR: [0.35, "epochs: 6\nobjective: { loss: simclr, head: projection }\n", views],
  "similarity matching": [0.6, "epochs: 5\npartition: stage\nobjective: { loss: similarity-matching }\n"],
  predsim: [0.6, "epochs: 5\npartition: stage\nobjective: { loss: predsim }\n"],
  "signal propagation, soft": [0.4, "epochs: 8\npartition: stage\nobjective: { loss: signal-propagation }\n"],
  "signal propagation, hard": [
    0.4,
    "epochs: 8\npartition: stage\nobjective: { loss: { name: signal-propagation, target: hard } }\n",
  ],
  "HSIC bottleneck": [
    0.5,
    "epochs: 6\npartition: stage\nobjective: { loss: hsic-bottleneck }\nclassifier: after\nformat: { epochs: 4, learningRate: 0.01 }\n",
  ],
  "the nHSIC term": [0.7, "epochs: 4\npartition: stage\nobjective: { nhsic: { weight: 0.01 } }\n"],
  "Forward-Forward, original": [
    0.3,
    "epochs: 8\nrule: forward-forward\nschedule: sequential\noptimizer: { learningRate: 0.03 }\n",
  ],
  "Forward-Forward, the paper's": [
    0.45,
    "epochs: 8\nrule: { name: forward-forward, embedding: average-subtraction, mixing: block }\nschedule: sequential\noptimizer: { learningRate: 0.03 }\n",
  ],
  "forward gradient": [0.4, "epochs: 40\nrule: { name: forward-gradient, distribution: rademacher }\n"],
};

describe.skipIf(!hasMnist)("on 1,500 digits", () => {
  test.each(Object.entries(ways))("%s beats chance by far", async (_, [least, text, augment = ""]) => {
    const directory = mkdtempSync(join(tmpdir(), "stopgrad-chance-"));
    onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
    const settings = settingsSchema.expand(documentFromText(head(augment) + withRate(text), "file.yaml")).runs[0]!;
    const events: TrainingEvent[] = [];
    await train(
      { settings, directory, dataDirs: [dataDir], resume: false, retrainFrom: null, startedAt: Date.now() },
      { emit: async (event) => void events.push(event), shouldStop: () => false },
    );
    const last = events.at(-1)!;
    expect(last).toMatchObject({ type: "completed" });
    if (last.type === "completed") expect(last.summary.testAccuracy).toBeGreaterThan(least);
  });
});
