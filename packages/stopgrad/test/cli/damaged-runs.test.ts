// Finished and interrupted runs of which something is not there any more: images, kept weights, a part of a checkpoint. Each
// is one sentence that names the file, or is no hindrance.
import { cpSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { mnistFiles } from "../data/made-files.js";
import { checkpoints, everyGenerator, folder, json, put, runIds, start, stopgrad, stored, until } from "./command.js";

let home: string;
beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), "stopgrad-damaged-"));
});
afterAll(() => rmSync(home, { recursive: true, force: true }));

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => {
    made ??= make();
    return made;
  };
}

/** One error, told once, and the command fails. */
async function errorOf(...args: string[]): Promise<string> {
  const finished = await stopgrad([...args, "--json"], { cwd: home });
  const { error } = json(finished);
  expect(finished.code, error).toBe(1);
  expect(finished.stderr.trimEnd().split("\n")).toEqual([`stopgrad: ${error}`]);
  return error;
}

describe("a run whose images are not there", () => {
  it("says which set and which file, where it was looked for, and what to do", async () => {
    const [runs, data] = [join(home, "mnist-runs"), join(home, "data")];
    for (const [name, bytes] of Object.entries(mnistFiles())) put(join(data, "mnist"), name, bytes);
    const text = `name: seen
data: { name: mnist, train: 64, test: 32, batch: 32 }
model: { name: mlp, width: 8 }
epochs: 1
threads: 1
`;
    const trained = await stopgrad(["train", put(home, "seen.yaml", text), "--runs", runs, "--data-dir", data]);
    expect(trained.code, trained.stderr).toBe(0);
    const [id] = runIds(runs);
    const where = ["--runs", runs, "--data-dir", data];
    rmSync(join(data, "mnist", "t10k-labels-idx1-ubyte.gz"));
    const error = await errorOf("measure", "geometry", "--run", id!, ...where);
    expect(error).toMatch(/^mnist: not found \(looked in .*\); .*t10k-labels-idx1-ubyte.*stopgrad data fetch mnist/);
    expect(error).toContain(join(data, "mnist"));
    rmSync(data, { recursive: true });
    expect(await errorOf("probe", id!, ...where)).toMatch(
      /^mnist: not found \(looked in .*\); run `stopgrad data fetch/,
    );
  });
});

describe("a run of which every epoch was kept", () => {
  let id: string;
  const interrupted = () => join(home, "interrupted");
  const finished = () => join(home, "finished");

  /** Stopped in its third epoch, and, in another folder, gone on from there without the weights of its first. */
  const trained = once(async () => {
    const file = put(home, "kept.yaml", `${everyGenerator}checkpoint: { keep: all }\n`);
    const training = start(["train", file, "--runs", interrupted()], { detached: true });
    await until("the second epoch", () => {
      [id = ""] = runIds(interrupted());
      return kept(interrupted()).includes("epoch-000002.safetensors");
    });
    process.kill(-training.pid, "SIGINT");
    expect((await training.finished).code).toBe(130);
    cpSync(interrupted(), finished(), { recursive: true });
    rmSync(join(finished(), id, "checkpoints", "epoch-000001.safetensors"));
    const resumed = await stopgrad(["resume", id, "--runs", finished()]);
    expect(resumed.code, resumed.stderr).toBe(0);
    expect(resumed.stderr).toMatch(/goes on from step \d+/);
  });

  /** A copy of the finished run. */
  async function copied(): Promise<{ runs: string; path: (name: string) => string }> {
    await trained();
    const runs = folder();
    cpSync(finished(), runs, { recursive: true });
    return { runs, path: (name) => join(runs, id, "checkpoints", name) };
  }

  const kept = (runs: string) => checkpoints(runs, id).filter((name) => name.startsWith("epoch-"));
  const measure = (runs: string, epochs: string) =>
    ["measure", "hsic", "--run", id, "--runs", runs, "--epochs", epochs, "--batch", "32", "--samples", "64"] as const;

  /** The whole epochs that are measured: where training was stopped depends on the machine. */
  async function measured(runs: string, wanted: string): Promise<number[]> {
    const told = await stopgrad([...measure(runs, wanted), "--json"]);
    expect(told.code, told.stderr).toBe(0);
    const epochs: number[] = json(told).results.map(({ epoch }: { epoch: number }) => epoch);
    return [...new Set(epochs)].filter(Number.isInteger);
  }

  it("is resumed although one of them was deleted, and keeps the later ones", async () => {
    await trained();
    expect(kept(interrupted())).toEqual([0, 1, 2].map((epoch) => `epoch-00000${epoch}.safetensors`));
    expect(stored(finished(), id).record).toMatchObject({ status: "completed", error: null });
    expect(kept(finished())).toEqual([0, 2, 3].map((epoch) => `epoch-00000${epoch}.safetensors`));
    expect(await measured(finished(), "all")).toEqual([0, 2, 3]);
  });

  it("says that the file of an epoch is gone, and which epochs there are", async () => {
    await trained();
    const there = `run ${id} has no weights of epoch \\d, only of epochs 0, 2(, 2\\.\\d+)* and 3`;
    const gone = new RegExp(`^${there}; its file checkpoints/epoch-000001\\.safetensors is gone$`);
    expect(await errorOf(...measure(finished(), "1"))).toMatch(gone);
    expect(await errorOf(...measure(finished(), "4"))).toMatch(new RegExp(`^${there}; a run that is trained with`));
  });

  it.each([
    ["within the header", 500, /: the file is truncated within the header: expected at least \d+ bytes, found 500/],
    ["within the numbers", 40_000, /: the file is truncated: tensor "backbone\.[^"]*": .* end beyond/],
    ["to nothing", 0, /: the file is empty; expected a safetensors file$/],
  ])("names the file of an epoch that is truncated %s", async (_, size, expected) => {
    const { runs, path } = await copied();
    truncateSync(path("epoch-000002.safetensors"), size);
    const error = await errorOf(...measure(runs, "2"));
    expect(error).toMatch(expected);
    expect(error).toContain(path("epoch-000002.safetensors"));
  });

  it("measures what there is beside a newest checkpoint that is damaged, and names it where it is wanted", async () => {
    const { runs, path } = await copied();
    const newest = checkpoints(runs, id).findLast((name) => name.startsWith("step-"))!;
    writeFileSync(path(newest), "rubbish");
    expect(await measured(runs, "all")).toEqual([0, 2, 3]); // kept twice: the other file serves
    rmSync(path("epoch-000003.safetensors"));
    expect(await measured(runs, "0,2")).toEqual([0, 2]);
    expect(await errorOf(...measure(runs, "last"))).toContain(path(newest));
    expect(await errorOf("probe", id, "--runs", runs)).toContain(path(newest));
  });
});
