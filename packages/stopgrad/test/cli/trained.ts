// A finished run of two variants with kept epochs, for the commands that look at runs. A second of training.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect } from "vitest";
import { type Finished, json, program, runIds, stopgrad } from "./command.js";

const experiment = `name: kept
data: { name: glyphs, train: 256, test: 128, batch: 32 }
model: lenet5
epochs: 3
threads: 1
checkpoint: { keep: all }
observe:
  nhsic: { every: 1, batch: 32, batches: 2 }
  probe: { at: end }
  mine: { at: end, steps: 40, images: 200, split: train, pairs: input }
variants:
  e2e: { partition: 1 }
  layer-wise: { partition: stage, objective: { loss: cross-entropy, head: linear }, checkpoint: { keep: [0, 2] } }
`;

/** Where the runs are and what they are called; filled in before the first test. */
export interface TrainedRuns {
  home: string;
  runs: string;
  e2e: string;
  layerWise: string;
  /** A command with these runs, in `home`. */
  ask(...args: string[]): Promise<Finished>;
  /** The JSON document of a command that goes well. */
  // biome-ignore lint/suspicious/noExplicitAny: a test says what it expects of the document, not the types
  told(...args: string[]): Promise<any>;
}

/** Trains them before the tests of a file, and removes them afterwards. */
export function trainedRuns(): TrainedRuns {
  const trained: TrainedRuns = {
    home: "",
    runs: "",
    e2e: "",
    layerWise: "",
    ask: (...args) => stopgrad([...args, "--runs", trained.runs], { cwd: trained.home }),
    async told(...args) {
      const finished = await trained.ask(...args, "--json");
      expect(finished.code, finished.stderr).toBe(0);
      return json(finished);
    },
  };
  beforeAll(() => {
    trained.home = mkdtempSync(join(tmpdir(), "stopgrad-runs-"));
    trained.runs = join(trained.home, "runs");
    writeFileSync(join(trained.home, "kept.yaml"), experiment);
    const args = [program, "compare", "kept.yaml", "--runs", trained.runs];
    const { status, stderr } = spawnSync(process.execPath, args, { cwd: trained.home });
    expect(status, stderr.toString()).toBe(0);
    const ids = runIds(trained.runs);
    trained.e2e = ids.find((id) => id.includes("e2e"))!;
    trained.layerWise = ids.find((id) => id.includes("layer-wise"))!;
  }, 60_000);
  afterAll(() => rmSync(trained.home, { recursive: true, force: true }));
  return trained;
}
