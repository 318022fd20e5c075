// Every table and figure of every paper: its files are valid at every scale, and say in their headers what they claim and
// what the small scale changes.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parseDocument } from "yaml";
import { shellQuote } from "../../src/cli/shell.js";
import { runId } from "../../src/experiment/identity.js";
import { loadDocument } from "../../src/experiment/load.js";
import { settingsSchema } from "../../src/experiment/registries.js";
import {
  Found,
  findItem,
  findPaper,
  findParts,
  findScale,
  hoursAt,
  judge,
  overridesAt,
  paperFolder,
  papers,
  partFile,
  recordedResults,
  renderReproduction,
  reproductionDocument,
  reproductionHtml,
  reproductionMarkdown,
  scales,
} from "../../src/reproduce/index.js";
import { type MadeRun, madeRun } from "./made-runs.js";

const all = papers.flatMap((paper) =>
  paper.items.flatMap((item) => item.parts.map((part) => ({ paper, item, part, name: `${item.id} ${part.id}` }))),
);

describe.each(all)("$name", ({ paper, item, part }) => {
  const file = partFile(paper, part);
  /** The comment at the top, as one line. */
  const header = readFileSync(file, "utf8")
    .split("\n")
    .filter((line) => line.startsWith("#"))
    .map((line) => line.slice(1).trim())
    .join(" ");

  it.each(scales)("is valid at scale %s", (scale) => {
    const { runs } = settingsSchema.expand(loadDocument(file), { overrides: overridesAt(part, scale) });
    expect(runs.length).toBeGreaterThan(1);
    expect(hoursAt(item, scale)).toBeGreaterThan(0);
    if (scale === "smoke") for (const { data } of runs) expect(data).toMatchObject({ name: "glyphs", train: 64 });
    if (scale === "small") expect(item.hours.small).toBeLessThan(1);
    // Every variant is trained as long as the scale says, except what is trained stage by stage.
    const longest = Math.max(...runs.map(({ epochs }) => epochs));
    if (scale !== "paper") expect(longest).toBeLessThanOrEqual(scale === "smoke" ? 1 : 100);
  });

  it("says in its header what it claims and what small changes", () => {
    const owners = paper.items.filter(({ parts }) => parts.some(({ file }) => file === part.file));
    if (owners[0] !== item) return; // the header is the first item's
    expect(header).toContain(`Claim: ${item.claim}.`);
    expect(header).toContain(`changes: ${part.small.map(shellQuote).join(" ")} Source: ${paper.source}`);
    expect(parseDocument(readFileSync(file, "utf8")).get("name")).toBe(part.file.replace(/\.yaml$/, ""));
  });
});

describe("e2e-information-bottleneck", () => {
  const paper = findPaper("e2e-information-bottleneck");

  it("has every table and figure, each name once", () => {
    const names = paper.items.flatMap(({ id, aliases }) => [id, ...Object.keys(aliases ?? {})]);
    expect(new Set(names).size).toBe(names.length);
    const numbers = [1, 3, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19];
    for (const id of [1, 2, 3, 4].map((n) => `table-${n}`).concat(numbers.map((n) => `figure-${n}`))) {
      expect(names).toContain(id);
    }
  });

  it("publishes the four cells of table 3 and nothing else", () => {
    const published = paper.items.filter((item) => item.published).map(({ id, published }) => ({ id, published }));
    expect(published).toEqual([
      {
        id: "table-3",
        published: { mnist: { original: 0.964, modified: 0.98 }, cifar10: { original: 0.094, modified: 0.487 } },
      },
    ]);
  });

  it("finds items by other names, and parts", () => {
    const { item, parts } = findItem(paper, "figure-3b");
    expect([item.id, parts.map(({ id }) => id)]).toEqual(["figure-3", ["cifar10"]]);
    expect(findItem(paper, "figure-8").parts.map(({ id }) => id)).toEqual(["mnist", "cifar10"]);
    expect(findParts(item, ["mnist"]).map(({ id }) => id)).toEqual(["mnist"]);
  });

  it("names what there is for a name that nothing has", () => {
    expect(() => findPaper("e2e-information")).toThrow(
      "unknown paper: e2e-information (known: e2e-information-bottleneck, context-supply); did you mean e2e-information-bottleneck?",
    );
    expect(() => findItem(paper, "tabel-3")).toThrow(/^unknown table or figure of .* did you mean table-3\?$/);
    expect(() => findScale("smal")).toThrow("unknown scale: smal (known: smoke, small, paper); did you mean small?");
    expect(() => findParts(findItem(paper, "table-3").item, ["mnits"])).toThrow(/did you mean mnist\?$/);
  });

  it("keeps recorded results beside files that repeat them to the same runs", () => {
    const { item } = findItem(paper, "figure-3");
    const results = recordedResults(paper, item);
    expect(results).toEqual(expect.arrayContaining(["cifar10-20-epochs", "cifar10-60-epochs", "mnist-20-epochs"]));
    for (const [result, name] of [
      ["mnist-20-epochs", "figure-3-mnist"],
      ["cifar10-20-epochs", "figure-3-cifar10"],
      ["cifar10-60-epochs", "figure-3-cifar10-60-epochs"],
    ] as const) {
      const folder = join(paperFolder(paper)!, "results", item.id, result);
      const { runs } = settingsSchema.expand(loadDocument(join(folder, `${name}.yaml`)));
      const table = readFileSync(join(folder, "tables", "runs.md"), "utf8");
      for (const run of runs) expect(table).toContain(runId(run));
    }
    expect(existsSync(join(paperFolder(paper)!, "README.md"))).toBe(true);
  });
});

describe("the verdict on table 3", () => {
  const paper = findPaper("e2e-information-bottleneck");
  const { item, parts } = findItem(paper, "table-3");
  /** Accuracies of two seeds each, and what the first block alone reaches. */
  function reproduce(cells: Record<string, Record<string, readonly number[]>>, firstBlock: number) {
    const runs = Object.entries(cells).flatMap(([part, variants]) =>
      Object.entries(variants).flatMap(([variant, accuracies]) =>
        accuracies.map((testAccuracy, at) => {
          const testAccuracies = [firstBlock * testAccuracy, testAccuracy];
          const made: MadeRun = { variant, seed: at + 1, testAccuracy, epochs: 2, phaseEpochs: 1, testAccuracies };
          return { part, run: madeRun(made) };
        }),
      ),
    );
    const variants = new Map(parts.map(({ id }) => [id, ["original", "modified"]]));
    return judge({ paper, item, parts, scale: "small" }, variants, new Found(runs), ["seeds=[1,2]"]);
  }
  const asPublished = {
    mnist: { original: [0.9638, 0.9641], modified: [0.98, 0.9801] },
    cifar10: { original: [0.094, 0.0941], modified: [0.487, 0.486] },
  };

  it("holds for the published numbers, with them beside", () => {
    const reproduction = reproduce(asPublished, 1);
    expect(reproduction.outcome).toBe("holds");
    const text = renderReproduction(reproduction);
    expect(text).toMatch(/cifar10 +modified +2 +48\.65 ± 0\.07 +48\.7/);
    expect(text).toContain("Verdict: the claim holds.");
    expect(text).toContain("table-3-mnist.yaml: epochs=5 seeds=[1,2]");
    expect(reproductionMarkdown(reproduction)).toContain("| cifar10 | original | 2 | 9.40 ± 0.01 | 9.4 |");
    expect(reproductionDocument(reproduction)).toMatchObject({
      item: "table-3",
      scale: "small",
      cells: expect.arrayContaining([
        { part: "mnist", variant: "original", found: expect.objectContaining({ n: 2 }), published: 0.964 },
      ]),
      verdict: { outcome: "holds" },
    });
  });

  it("tells the same at the top of a page, every text escaped", () => {
    const reproduction = reproduce(asPublished, 1);
    const html = reproductionHtml({ ...reproduction, item: { ...item, claim: "a < b" } });
    expect(html).toContain("<p>Claim: a &lt; b.</p>");
    expect(html).toContain('<p class="finding">Verdict: the claim holds.</p>');
    expect(html).toContain("table-3-mnist.yaml: epochs=5 seeds=[1,2]");
    expect(html).toMatch(/>48\.65 ± 0\.07<.*>48\.7</);
    for (const { statement } of reproduction.checks) {
      expect(html).toContain(`<li>${statement.replaceAll("'", "&#39;")}: <strong>holds</strong><ul>`);
    }
  });

  it("is none at scale smoke, whatever the numbers", () => {
    const smoke = { ...reproduce(asPublished, 1), scale: "smoke" as const };
    for (const text of [renderReproduction(smoke), reproductionMarkdown(smoke), reproductionHtml(smoke)]) {
      expect(text).toContain("Verdict: none, at scale smoke it would mean nothing.");
      expect(text).not.toContain("the claim holds");
      expect(text).toContain(smoke.checks[0]!.numbers[0]!);
    }
    expect(reproductionDocument(smoke)).toMatchObject({ verdict: { outcome: null } });
  });

  it("does not hold where the original learns CIFAR-10", () => {
    const { outcome, checks } = reproduce(
      { ...asPublished, cifar10: { ...asPublished.cifar10, original: [0.3, 0.31] } },
      1,
    );
    expect(outcome).toBe("does not hold");
    expect(checks.map((check) => check.outcome)).toEqual(["holds", "does not hold", "holds"]);
  });

  it("does not hold where deeper blocks help", () => {
    expect(reproduce(asPublished, 0.5).checks.map((check) => check.outcome)).toEqual([
      "holds",
      "holds",
      "does not hold",
    ]);
  });

  it("cannot be told where a part is missing, and shows a dash for it", () => {
    const reproduction = reproduce({ mnist: asPublished.mnist }, 1);
    expect(reproduction.outcome).toBe("cannot be told");
    expect(renderReproduction(reproduction)).toMatch(/cifar10 +modified +0 +– +48\.7/);
  });
});
