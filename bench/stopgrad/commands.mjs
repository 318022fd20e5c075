// The command line as a user waits for it, each time in a process of its own: `stopgrad --help`, and the time from the
// start of `stopgrad train` to the end of the first optimizer step, which the run records itself.

import { execFile } from "node:child_process";
import { randomFillSync } from "node:crypto";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const program = fileURLToPath(new URL("../../packages/stopgrad/bin/stopgrad.js", import.meta.url));
const stopgrad = async (...args) => (await promisify(execFile)(process.execPath, [program, ...args])).stdout;

/** Wall time of `stopgrad --help`, measured from outside. */
export class Help {
  async warmUp() {
    await this.run(2);
    return { peakBytes: null };
  }

  async run(count) {
    for (let at = 0; at < count; at++) await stopgrad("--help");
    return { units: count };
  }
}

/** CIFAR-10's files lie in the system's cache, since they have just been written or read. */
export class FirstStep {
  #arguments;
  #runs;

  constructor({ directory, data, settings, batch, seed }) {
    const folder = join(directory, "commands");
    mkdirSync(folder, { recursive: true });
    writeCifar10(join(folder, "cifar-10-batches-bin"), data);
    const tree = { name: "first-step", data: { name: "cifar10", batch }, epochs: 1, seeds: [seed], ...settings };
    const file = join(folder, "first-step.yaml");
    writeFileSync(file, JSON.stringify(tree)); // JSON is YAML
    this.#runs = join(folder, "runs");
    this.#arguments = ["train", file, "--json", "--runs", this.#runs, "--data-dir", folder];
  }

  async warmUp() {
    await this.run(1);
    return { peakBytes: null };
  }

  async run(count) {
    let seconds = 0;
    for (let at = 0; at < count; at++) {
      rmSync(this.#runs, { recursive: true, force: true });
      seconds += JSON.parse(await stopgrad(...this.#arguments)).secondsToFirstStep;
    }
    return { units: count, seconds };
  }
}

/** The whole command: both ways of training, two seeds, nHSIC at every epoch, the table and the report. */
export class Compare {
  #arguments;
  #runs;

  constructor({ directory, data, settings, batch }) {
    const folder = join(directory, "compare");
    mkdirSync(folder, { recursive: true });
    writeCifar10(join(folder, "cifar-10-batches-bin"), data);
    const { epochs, seeds } = settings;
    const tree = {
      name: "compare",
      data: { name: "cifar10", batch },
      model: "lenet5",
      optimizer: { name: "adam", learningRate: 5e-4 },
      epochs,
      seeds,
      observe: { nhsic: { every: 1, batch: 128, batches: settings.batches } },
      variants: {
        "end-to-end": { partition: 1 },
        "layer-wise": { partition: "stage", objective: { loss: "cross-entropy", head: "linear" } },
      },
    };
    const file = join(folder, "compare.yaml");
    writeFileSync(file, JSON.stringify(tree));
    this.#runs = join(folder, "runs");
    this.#arguments = ["compare", file, "--json", "--runs", this.#runs, "--data-dir", folder];
  }

  warmUp() {
    return { peakBytes: null };
  }

  async run(count) {
    for (let at = 0; at < count; at++) {
      rmSync(this.#runs, { recursive: true, force: true });
      await stopgrad(...this.#arguments);
    }
    return { units: count };
  }
}

/** The original format: records of a label and 3072 bytes, five files of 10,000 for training and one for testing. */
function writeCifar10(folder, { images, labels, count }) {
  const records = Buffer.alloc(count * 3073);
  const pixels = readFileSync(images);
  const classes = readFileSync(labels);
  for (let at = 0; at < count; at++) {
    records[at * 3073] = classes[at];
    pixels.copy(records, at * 3073 + 1, at * 3072, (at + 1) * 3072);
  }
  const each = 10_000 * 3073;
  mkdirSync(folder, { recursive: true });
  for (let file = 1; file <= 5; file++) {
    writeFileSync(join(folder, `data_batch_${file}.bin`), records.subarray((file - 1) * each, file * each));
  }
  // Only the time matters: random pixels under the first labels, so that no file is another's copy.
  const test = randomFillSync(Buffer.alloc(each));
  for (let at = 0; at < 10_000; at++) test[at * 3073] = classes[at];
  writeFileSync(join(folder, "test_batch.bin"), test);
}
