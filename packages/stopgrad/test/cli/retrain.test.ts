// Networks whose lower stages come from another run.
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { checkpoints, folder, json, put, readTensors, runIds, stopgrad } from "./command.js";

const file = `name: again
data: { name: glyphs, train: 60, test: 20, batch: 20 }
model: { name: mlp, width: 8 }
epochs: 2
seeds: [1, 2]
variants:
  upper: { partition: 1, retrain: { from: layer-wise, frozen: 2 } }
  kept: { partition: 1, retrain: { from: layer-wise, frozen: 3, init: keep }, optimizer: { learningRate: 1.0e-30 } }
  layer-wise: { partition: stage }
`;

/** Weights of the last checkpoint of a variant's run. */
function weightsOf(runs: string, variant: string, seed: number): Record<string, string> {
  const id = runIds(runs).find((name) => name.startsWith(`again-${variant}-s${seed}-`))!;
  const { tensors } = readTensors(join(runs, id, "checkpoints", checkpoints(runs, id).at(-1)!));
  return Object.fromEntries(Object.entries(tensors).filter(([name]) => name.startsWith("backbone.")));
}

describe("retrain", () => {
  it("trains what it starts from first, seed by seed, and leaves the frozen stages as they are", async () => {
    const runs = folder();
    const finished = await stopgrad([
      "compare",
      put(runs, "again.yaml", file),
      "--jobs",
      "2",
      "--json",
      "--runs",
      runs,
    ]);
    expect(finished.stderr).not.toContain("failed");
    expect(finished.code).toBe(0);
    for (const seed of [1, 2]) {
      const source = weightsOf(runs, "layer-wise", seed);
      const upper = weightsOf(runs, "upper", seed);
      const kept = weightsOf(runs, "kept", seed);
      for (const name of Object.keys(source)) {
        const isFrozen = /fc[12]\./.test(name);
        if (isFrozen) expect(upper[name], name).toEqual(source[name]);
        else expect(upper[name], name).not.toEqual(source[name]);
        expect(kept[name], name).toEqual(source[name]); // a step this small changes no bit
      }
    }
    expect(weightsOf(runs, "layer-wise", 1)).not.toEqual(weightsOf(runs, "layer-wise", 2));
  });

  it("says what is missing where there is nothing to start from", async () => {
    const runs = folder();
    const path = put(runs, "again.yaml", file);
    const alone = await stopgrad(["train", path, "--variant", "upper", "seeds=[1]", "--json", "--runs", runs]);
    expect(alone.code).toBe(1);
    expect(json(alone)).toMatchObject({
      status: "failed",
      error: expect.stringMatching(
        /^retrain\.from again-layer-wise-s1-[0-9a-f]{8}: there is no such run or file; train it first$/,
      ),
    });
    const circle = file.replace("partition: stage", "partition: stage, retrain: { from: upper, frozen: 1 }");
    const refused = await stopgrad(["compare", put(runs, "circle.yaml", circle), "--json", "--runs", runs]);
    expect(refused.code).toBe(2);
    expect(refused.stdout + refused.stderr).toContain(
      "expected a variant that is trained before, got upper → layer-wise → upper",
    );
    const other = file.replace("partition: stage", "partition: stage, model: { name: lenet5 }");
    const misfit = await stopgrad(["compare", put(runs, "other.yaml", other), "seeds=[1]", "--json", "--runs", runs]);
    expect(misfit.code).toBe(1);
    expect(misfit.stdout + misfit.stderr).toMatch(/another network, expected fc1\.weight \[8, \d+\], but it is/);
  });
});
