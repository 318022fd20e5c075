// Every way of learning as a whole run, from an experiment file: it ends, and a run that was stopped in the middle of it
// and went on ends with the same bits and the same metrics.
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import "../support/one-thread.js";
import { loadSafetensors, scope } from "@stopgrad/torch";
import { describe, expect, onTestFinished, test } from "vitest";
import { documentFromText } from "../../src/experiment/document.js";
import type { TrainingEvent } from "../../src/experiment/protocol.js";
import { settingsSchema } from "../../src/experiment/registries.js";
import { train } from "../../src/experiment/trainer.js";
import type { MetricPoint } from "../../src/store/index.js";
import { differing, type Snapshot, snapshot } from "../support/compare.js";

const common = `name: x
data: { name: glyphs, train: 60, test: 20, batch: 20 }
model: { name: mlp, width: 8 }
epochs: 2
`;
const views =
  "data: { name: glyphs, train: 60, test: 20, batch: 20, augment: { preset: contrastive, resizedCrop: { resizeTo: 32 } } }";

/** What is written over the common settings. */
const ways: Record<string, string> = {
  "sequential, layer by layer": "partition: stage\nschedule: sequential\n",
  "sequential, statistics that move": "partition: 2\nschedule: { name: sequential, statistics: moving }\n",
  asynchronous: "partition: 3\nschedule: asynchronous\n",
  "signal propagation": "partition: stage\nobjective: { loss: signal-propagation }\n",
  "supervised contrastive": `partition: 2\nobjective: { loss: supervised-contrastive }\n${views}\n`,
  "SimCLR, end to end": `objective: { loss: simclr, head: projection }\n${views}\n`,
  predsim: "partition: 2\nobjective: { loss: predsim }\n",
  "HSIC bottleneck and format training":
    "partition: stage\nobjective: { loss: hsic-bottleneck }\nclassifier: after\nformat: { epochs: 1, learningRate: 0.01 }\n",
  "the nHSIC term": "partition: 2\nobjective: { nhsic: { weight: 0.1, with: module-input } }\n",
  "Forward-Forward": "rule: { name: forward-forward, embedding: random-example-mixture }\nschedule: sequential\n",
  "forward gradient": "rule: { name: forward-gradient, tangents: 2 }\n",
};

function settingsOf(text: string) {
  const keys = text.split("\n").map((line) => line.split(":")[0]);
  const kept = common.split("\n").filter((line) => !keys.includes(line.split(":")[0] ?? "") || line === "");
  return settingsSchema.expand(documentFromText(`${kept.join("\n")}\n${text}`, "file.yaml")).runs[0]!;
}

interface Trained {
  events: TrainingEvent[];
  points: MetricPoint[];
  weights: Snapshot;
  /** In the run's folder, when it is done. */
  files: string[];
}

/** @param stops - the run is stopped when it is asked so often, and goes on, until it is done */
async function trained(text: string, stops: readonly number[] = []): Promise<Trained> {
  const directory = mkdtempSync(join(tmpdir(), "stopgrad-mixtures-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const points = new Map<string, MetricPoint>();
  const events: TrainingEvent[] = [];
  for (const stopAfter of [...stops, Number.POSITIVE_INFINITY]) {
    let asked = 0;
    await train(
      { settings: settingsOf(text), directory, dataDirs: [], resume: true, retrainFrom: null, startedAt: Date.now() },
      {
        emit: async (event) => {
          events.push(event);
          if (event.type !== "metrics") return;
          for (const point of event.points) points.set(`${point.key}/${point.stage}/${point.step}`, point);
        },
        shouldStop: () => ++asked > stopAfter,
      },
    );
  }
  const newest = readdirSync(join(directory, "checkpoints")).sort().at(-1)!;
  const weights = scope(() => snapshot(loadSafetensors(join(directory, "checkpoints", newest)).tensors));
  return { events, points: [...points.values()], weights, files: readdirSync(directory) };
}

const isResult = ({ key }: MetricPoint) => !["seconds", "imagesPerSecond", "peakBytes"].includes(key);

describe.each(Object.entries(ways))("%s", (_, text) => {
  test("stopped and gone on, it ends with the same bits as undisturbed", async () => {
    const undisturbed = await trained(text);
    expect(undisturbed.events.at(-1)).toMatchObject({ type: "completed", summary: { cost: expect.any(Object) } });
    const stopped = await trained(text, [3, 4, 3, 5]);
    expect(stopped.events.filter(({ type }) => type === "interrupted").length).toBeGreaterThan(1);
    expect(differing(stopped.weights, undisturbed.weights)).toEqual([]);
    expect(stopped.points.filter(isResult)).toEqual(undisturbed.points.filter(isResult));
  });
});

describe("phases", () => {
  test("a network that is trained on crops of another size is evaluated whole, and ends", async () => {
    const crops = "data: { name: glyphs, train: 40, test: 20, batch: 20, augment: { resizedCrop: { size: 28 } } }";
    const text = `partition: 3\nschedule: sequential\nmodel: { name: resnet18, width: 4 }\n${crops}\n`;
    expect((await trained(text)).events.at(-1)).toMatchObject({ type: "completed" });
  });

  test("the nHSIC term of a batch of one image is 0", async () => {
    const text =
      "data: { name: glyphs, train: 21, test: 20, batch: 10 }\nobjective: { nhsic: { weight: 0.1 } }\npartition: stage\n";
    expect((await trained(text)).events.at(-1)).toMatchObject({ type: "completed" });
  });

  test("outputs that were computed once are gone when the run is done, and count as cost", async () => {
    const text = (schedule: string) => `partition: 5\nschedule: ${schedule}\nepochs: 1\n`;
    const costOf = async (schedule: string) => {
      const { events, files } = await trained(text(schedule));
      expect(files).toEqual(["checkpoints"]);
      const last = events.at(-1)!;
      return last.type === "completed" ? last.summary.cost!.training : Number.NaN;
    };
    const [cached, plain] = [await costOf("asynchronous"), await costOf("sequential")];
    expect(cached).toBeCloseTo(plain, 0); // in one epoch a phase, each image runs through what is frozen once
  });

  test("each has the run's epochs and begins the learning rate's schedule anew", async () => {
    const text =
      "partition: 2\nschedule: sequential\noptimizer: { learningRate: 0.1, schedule: { milestones: [1], gamma: 0.5 } }\n";
    const { points } = await trained(text);
    const rates = points.filter(({ key }) => key === "learningRate").map(({ value }) => value);
    expect(rates).toEqual([0.1, 0.05, 0.1, 0.05]);
    const losses = points.filter(({ key }) => key === "localLoss").map(({ stage }) => stage);
    expect(losses).toEqual(["fc1-fc3", "fc1-fc3", "fc4-fc5", "fc4-fc5"]);
  });
});

describe("a mixture that makes no sense is refused in one sentence", () => {
  const augmented = "data: { name: glyphs, augment: { flip: true } }";
  test.each([
    [
      "objective: { loss: simclr }",
      "simclr compares two augmented views of each image: say in data.augment how they differ",
    ],
    [
      "objective: { loss: supervised-contrastive }",
      "supervised-contrastive compares two augmented views of each image: say in data.augment how they differ, or views: 1",
    ],
    [
      "partition: 2\nobjective: { loss: cross-entropy, head: conv }",
      "cross-entropy takes no head conv; use head: linear or mlp",
    ],
    [
      "partition: 1\nobjective: { loss: predsim }\nclassifier: attached",
      "the only module would learn from the classifier alone and not from predsim; use detached or after",
    ],
    [
      `partition: 2\nschedule: asynchronous\n${augmented}`,
      "asynchronous computes outputs once, so that images cannot be augmented; use sequential",
    ],
    [
      "partition: 2\nschedule: asynchronous\nobjective: { loss: signal-propagation }",
      "asynchronous computes outputs once, and signal-propagation sends labels along with every batch; use sequential",
    ],
    [
      "partition: 2\ngradientCheckpointing: 2\nobjective: { loss: signal-propagation }",
      "signal-propagation sends labels through the modules beside the images, which are not computed again; leave it out",
    ],
    [
      "partition: 2\ncontext: R1E",
      "mlp has no stage that gives feature maps, which contexts are added to; use context: none",
    ],
    [
      "rule: forward-forward\npartition: 2",
      "partition: forward-forward does not use it; leave it out, or set it to null",
    ],
    [
      "rule: forward-gradient\nschedule: sequential",
      "forward-gradient does not use it; leave it out, or set it to null",
    ],
    [
      "rule: forward-forward\nschedule: asynchronous",
      "forward-forward knows no asynchronous schedule; use simultaneous or sequential",
    ],
    [
      "rule: { name: forward-forward, embedding: top-left, mixing: block }",
      "top-left changes the image itself, not features: use mixing: input, or another embedding",
    ],
    [
      "data: { name: glyphs, augment: { flip: true, views: 2 } }",
      "cross-entropy takes 1 of each image, got 2; leave it out",
    ],
    [
      "data: { name: glyphs, augment: { resizedCrop: { size: 28 } } }",
      "mlp is built for images of one size, and would be trained on 28x28 and evaluated on 32x32; add resizeTo: 32",
    ],
    ["objective: { nhsic: { weight: -1 } }", "objective.nhsic.weight: expected a number, 0 or more, got -1"],
    [
      "rule: forward-forward\ndata: { name: glyphs, augment: { resizedCrop: { size: 28 } } }\nmodel: { name: resnet18, width: 4 }",
      "forward-forward is built for images of one size, and would be trained on 28x28 and evaluated on 32x32; add resizeTo: 32",
    ],
    [
      "data: { name: glyphs, train: 61, test: 20, batch: 20 }\nmodel: { name: vgg11, form: layer-wise }",
      "the last batch of 61 images in batches of 20 holds one image, which the batch norm of vgg11's linear layers cannot normalise; change data.batch",
    ],
    [
      "partition: { cuts: [2] }\nretrain: { from: a.safetensors, frozen: 2 }",
      "no cut after stage 2: the first 2 stages are frozen, so the first cut is 3",
    ],
  ])("%s", (text, expected) => {
    let message = "";
    try {
      settingsOf(text);
    } catch (error) {
      message = (error as Error).message;
    }
    expect(message).toContain(expected);
    expect(message.trim().split("\n")).toHaveLength(1);
  });
});
