// `reproduce`: the list, one item at scale smoke from start to verdict, and what nobody can mean.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { folder, json, runIds, stopgrad } from "./command.js";

const PAPER = "e2e-information-bottleneck";

describe("reproduce --list", () => {
  it("shows every paper and item in one document", async () => {
    const finished = await stopgrad(["reproduce", "--list", "--json"]);
    expect(finished.code).toBe(0);
    const { papers } = json(finished);
    expect(papers.map(({ id }: { id: string }) => id)).toEqual([PAPER, "context-supply"]);
    const table3 = papers[0].items.find(({ id }: { id: string }) => id === "table-3");
    expect(table3).toMatchObject({
      aliases: ["figure-8"],
      claim: expect.stringContaining("improve Forward-Forward"),
      parts: [
        { id: "mnist", file: "table-3-mnist.yaml" },
        { id: "cifar10", file: "table-3-cifar10.yaml" },
      ],
      scales: ["smoke", "small", "paper"].map((name) => ({ name, hours: expect.any(Number) })),
      recorded: expect.any(Array),
    });
  });

  it("is what a paper without an item gives, for people", async () => {
    const { code, stdout } = await stopgrad(["reproduce", PAPER]);
    expect(code).toBe(0);
    expect(stdout).toContain("table-3, figure-8: Forward-Forward");
    expect(stdout).toMatch(/time on two processors: smoke about 1 min, small about \d+ min, paper/);
    expect(stdout).toContain("recorded: cifar10-20-epochs, cifar10-60-epochs, mnist-20-epochs");
  });
});

describe("reproduce table-3 at scale smoke", () => {
  it("trains, writes report and verdict, ends well whatever the verdict, and does nothing twice", async () => {
    const runs = folder();
    const args = ["reproduce", PAPER, "figure-8", "--scale", "smoke", "--runs", runs];
    const first = await stopgrad([...args, "--json"]);
    expect(first.code).toBe(0);
    const document = json(first);
    expect(document).toMatchObject({
      paper: PAPER,
      item: "table-3",
      scale: "smoke",
      cells: [
        { part: "mnist", variant: "original", found: { n: 1, std: null }, published: 0.964 },
        { part: "mnist", variant: "modified", published: 0.98 },
        { part: "cifar10", variant: "original", published: 0.094 },
        { part: "cifar10", variant: "modified", published: 0.487 },
      ],
      verdict: { outcome: null },
    });
    expect(document.verdict.checks).toHaveLength(3);
    expect(document.runs).toHaveLength(4);
    for (const { status, testAccuracy, part, run } of document.runs) {
      expect(status).toBe("completed");
      const cell = document.cells.find(
        (one: { part: string; variant: string }) => one.part === part && run.includes(`-${one.variant}-`),
      );
      expect(cell.found.mean).toBe(testAccuracy);
    }
    const where = join(document.report, "..");
    const { runs: _, report: __, ...kept } = document;
    expect(JSON.parse(readFileSync(join(where, "reproduction.json"), "utf8"))).toEqual(kept);
    expect(readFileSync(join(where, "reproduction.md"), "utf8")).toContain("Verdict: none, at scale smoke");
    const page = readFileSync(document.report, "utf8");
    const order = ["Claim: ", "Verdict: none, at scale smoke", "table-3-mnist.yaml: ", "published", "Checks", "<nav>"];
    expect(order.map((text) => page.indexOf(text))).toEqual(
      order.map((text) => page.indexOf(text)).toSorted((a, b) => a - b),
    );
    for (const text of order) expect(page).toContain(text);

    const ids = runIds(runs);
    const again = await stopgrad([...args, "--part", "mnist"]);
    expect(again.code).toBe(0);
    expect(again.stderr).toContain("2 of 2 runs are already done");
    expect(again.stdout).toMatch(/original +1 +\d+\.\d+ +96\.4/);
    expect(again.stdout).toContain("They only show that it runs.");
    expect(again.stdout).toContain("\nVerdict: none, at scale smoke it would mean nothing.\n");
    expect(again.stdout.trimEnd().split("\n").at(-1)).toBe(`verdict: ${join(where, "reproduction.md")}`);
    expect(again.stdout).toContain("test accuracy modified − original: not measured: cannot be told");
    expect(runIds(runs)).toEqual(ids);
  });

  it("takes overrides after the scale's, and --out", async () => {
    const [runs, out] = [folder(), folder()];
    const finished = await stopgrad([
      ...["reproduce", PAPER, "figure-3", "seeds=[7]", "~variants.layer-wise", "--scale", "smoke"],
      ...["--runs", runs, "--out", out, "--json"],
    ]);
    expect(finished.code).toBe(0);
    expect(json(finished).runs.map(({ seed, variant }: { seed: number; variant: string }) => [seed, variant])).toEqual([
      [7, "e2e"],
      [7, "e2e"],
    ]);
    expect(existsSync(join(out, "reproduction.md"))).toBe(true);
  });

  it("measures what a figure's claim needs", async () => {
    const finished = await stopgrad([
      ...["reproduce", PAPER, "figure-1", "--scale", "smoke", "--runs", folder(), "--json"],
      ...["model.name=resnet18", "model.width=1"],
    ]);
    expect(finished.code).toBe(0);
    const numbers: string[] = json(finished).verdict.checks.flatMap((check: { numbers: string[] }) => check.numbers);
    expect(numbers.length).toBeGreaterThan(3);
    for (const number of numbers) expect(number).toMatch(/\[.*\], 1 seed/);
  });
});

describe("what nobody can mean", () => {
  it.each([
    [["reproduce", "e2e"], /^stopgrad: unknown paper: e2e \(known: /],
    [
      ["reproduce", PAPER, "table-33"],
      /unknown table or figure of e2e-information-bottleneck: .*did you mean table-3\?/,
    ],
    [["reproduce", PAPER, "table-3", "--scale", "tiny"], /unknown scale: tiny \(known: smoke, small, paper\)/],
    [["reproduce", PAPER, "table-3", "--part", "minst"], /unknown part of table-3: minst .*did you mean mnist\?/],
    [["reproduce", PAPER, "table-3", "epoch=3"], /override epoch=3/],
    [["reproduce", PAPER, "table-3", "--list"], /--list shows everything/],
  ])("%j", async (args, message) => {
    const runs = folder();
    const { code, stderr } = await stopgrad([...args, "--runs", runs]);
    expect(code).toBe(2);
    expect(stderr).toMatch(message);
    expect(runIds(runs)).toEqual([]);
  });
});
