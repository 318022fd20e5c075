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

  it("trains what a single variant starts from, too", async () => {
    const runs = folder();
    const alone = await stopgrad([
      "train",
      put(runs, "again.yaml", file),
      "--variant",
      "upper",
      "--json",
      "--runs",
      runs,
    ]);
    expect(alone.code).toBe(0);
    expect(json(alone)).toMatchObject({ variant: "upper", status: "completed" });
    expect(
      runIds(runs)
        .map((id) => id.replace(/-s\d+-.*/, ""))
        .sort(),
    ).toEqual(["again-layer-wise", "again-layer-wise", "again-upper", "again-upper"]);
  });

  it("says what is missing where there is nothing to start from", async () => {
    const runs = folder();
    const refusedFor = async (text: string) => {
      const finished = await stopgrad(["compare", put(runs, "wrong.yaml", text), "--json", "--runs", runs]);
      expect(finished.code).toBe(2);
      return finished.stdout + finished.stderr;
    };
    expect(await refusedFor(file.replace("from: layer-wise, frozen: 2", "from: layer-wide, frozen: 2"))).toContain(
      "unknown variant: layer-wide (known: kept, layer-wise); did you mean layer-wise?; or give a run's id or a checkpoint file",
    );
    expect(await refusedFor(file.replace("partition: stage", "partition: stage, seeds: [1]"))).toContain(
      "layer-wise is not trained with seed 2; its seeds are 1",
    );
    expect(await refusedFor(file.replace("partition: stage", "partition: stage, model: { name: lenet5 }"))).toContain(
      "layer-wise is another network: lenet5, width 6 on glyphs, and this is mlp, width 8 on glyphs",
    );
    const gone = file.replaceAll("from: layer-wise", "from: gone-a-s1-0123abcd");
    const run = await stopgrad(["train", put(runs, "gone.yaml", gone), "--variant", "upper", "--json", "--runs", runs]);
    expect(run.code).toBe(1);
    expect(json(run).error).toBe("retrain.from gone-a-s1-0123abcd: there is no such run or file; train it first");
    const notOne = file.replaceAll("from: layer-wise", "from: ./gone.yaml");
    const other = await stopgrad(
      ["train", put(runs, "n.yaml", notOne), "--variant", "upper", "--json", "--runs", runs],
      {
        cwd: runs,
      },
    );
    expect(json(other).error).toMatch(/^retrain\.from \.\/gone\.yaml: .*gone\.yaml/);
    const circle = file.replace("partition: stage", "partition: stage, retrain: { from: upper, frozen: 1 }");
    const refused = await stopgrad(["compare", put(runs, "circle.yaml", circle), "--json", "--runs", runs]);
    expect(refused.code).toBe(2);
    expect(refused.stdout + refused.stderr).toContain(
      "expected a variant that is trained before, got upper → layer-wise → upper",
    );
  });
});
