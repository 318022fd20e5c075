// The API reference in docs/torch is what the docstrings say, and names everything that can be imported.
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import * as torch from "../src/index.js";

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
const RENEW = "renew it with: node scripts/api-reference.mjs";
const pages = new Map(
  readdirSync(`${ROOT}/docs/torch`).map((name) => [name, readFileSync(`${ROOT}/docs/torch/${name}`, "utf8")]),
);

it("every export has an entry, and a place in the index", () => {
  const { cuda, nn, optim, ...own } = torch;
  const names = [
    ...Object.keys(own),
    ...Object.keys(cuda).map((name) => `cuda.${name}`),
    ...Object.keys(nn).map((name) => `nn.${name}`),
    ...Object.keys(optim).map((name) => `optim.${name}`),
  ];
  expect(names.length).toBeGreaterThan(400);
  const index = pages.get("README.md")!;
  const entries = [...pages.values()].flatMap((text) => Array.from(text.matchAll(/^### (.*)$/gm), ([, name]) => name!));
  expect(
    names.filter((name) => !entries.includes(name) || !index.includes(`[\`${name}\`](`)),
    RENEW,
  ).toEqual([]);
});

it("is what the docstrings say now", { timeout: 120_000 }, () => {
  const { status, stderr } = spawnSync("node", ["scripts/api-reference.mjs", "--check"], {
    cwd: ROOT,
    encoding: "utf8",
  });
  expect(stderr).toBe("");
  expect(status, RENEW).toBe(0);
});

it("names no place on a machine, and leads nowhere that is not there", () => {
  for (const [name, text] of pages) {
    expect(text, name).not.toMatch(/\/(home|work|tmp|root|usr)\//);
    for (const [, target] of text.matchAll(/\]\(([^)#]*)(?:#[^)]*)?\)/g)) {
      if (target)
        expect(() => readFileSync(new URL(target, `file://${ROOT}/docs/torch/`)), `${name}: ${target}`).not.toThrow();
    }
    const anchored = Array.from(
      text.matchAll(/\]\(([\w.]*)#([^)]*)\)/g),
      ([, page, anchor]) => [page || name, anchor!] as const,
    );
    for (const [page, anchor] of anchored)
      expect(anchorsOf(pages.get(page)!), `${name}: ${page}#${anchor}`).toContain(anchor);
  }
});

/** Of headings, as GitHub makes them: lower case, without punctuation, numbered when they come again. */
function anchorsOf(text: string): string[] {
  const seen: string[] = [];
  for (const [, heading] of text.matchAll(/^#+ (.*)$/gm)) {
    const anchor = heading!
      .toLowerCase()
      .replace(/[^\w\- ]/g, "")
      .replaceAll(" ", "-");
    const times = seen.filter((other) => other === anchor || new RegExp(`^${anchor}-\\d+$`).test(other)).length;
    seen.push(times === 0 ? anchor : `${anchor}-${times}`);
  }
  return seen;
}
