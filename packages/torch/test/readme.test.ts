// Every example in the README runs as it stands there, and prints what its comments say.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { loadSafetensors, scope } from "../src/index.js";
import { runScript } from "./support/child.js";

const IMPORT = 'import * as torch from "@stopgrad/torch";\n';
const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
const examples = Array.from(readme.matchAll(/^## (.*)$|```js\n([\s\S]*?)```/gm), ([, title, code]) => ({
  title,
  code,
}));
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "stopgrad-readme-"));
});

afterAll(() => {
  rmSync(folder, { recursive: true });
});

/** What an example prints, and the comment behind the `console.log` that printed it ("" where there is none). */
function run(code: string): { printed: string; expected: string }[] {
  const expected: string[] = [];
  const body = code.replace(IMPORT, "").replace(/console\.log\((.*)\);(?: \/\/ (.*))?$/gm, (_, words, comment) => {
    expected.push(comment ?? "");
    return `record(${expected.length - 1}, ${words});`;
  });
  const script = `process.chdir(${JSON.stringify(folder)});
    const { inspect } = await import("node:util");
    const records = [];
    const record = (at, ...words) => records.push([at, words.map((word) =>
      typeof word === "string" ? word : inspect(word, { breakLength: Infinity, depth: 9 })).join(" ")]);
    ${body}
    process.stdout.write(JSON.stringify(records));`;
  return runScript<[number, string][]>(script).map(([at, printed]) => ({ printed, expected: expected[at]! }));
}

/** Spaces inside brackets and the kind of quotation marks are the writer's. */
const plain = (text: string) => text.replaceAll("'", '"').replace(/([[{])\s+|\s+([\]}])/g, "$1$2");

it("the training loop has ten lines at most, learns, and writes its file", () => {
  const code = examples.find((example) => example.code)!.code!;
  const [loop] = /^for [\s\S]*?^}$/m.exec(code)!;
  expect(loop.split("\n").length).toBeLessThanOrEqual(10);
  const lines = run(code).map(({ printed }) => printed.split(" ").map(Number) as [number, number]);
  expect(lines.map(([step]) => step)).toEqual([100, 200, 300]);
  expect(lines[2]![1]).toBeLessThan(0.001); // the product's variance is 0.049
  scope(() => {
    const { tensors } = loadSafetensors(join(folder, "network.safetensors"));
    expect([...tensors.keys()].sort()).toEqual(["0.bias", "0.weight", "2.bias", "2.weight"]);
  });
});

describe("examples print what their comments say", () => {
  let chapter = "";
  let number = 0;
  for (const { title, code } of examples.slice(examples.findIndex(({ title: heading }) => heading))) {
    if (title) {
      chapter = title;
      number = 0;
    }
    if (!code) continue;
    it(`${chapter}, ${++number}`, () => {
      const lines = run(code);
      expect(lines.length).toBe(code.match(/console\.log/g)?.length);
      for (const { printed, expected } of lines) expect(plain(printed)).toBe(plain(expected));
    });
  }
});
