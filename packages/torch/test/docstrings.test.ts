// Whatever a user can import or call says what it does: a docstring, which an editor shows and the reference is made of.
// Read from the source as text, beside the compiler that scripts/api-reference.mjs asks.
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import * as torch from "../src/index.js";

const SOURCES = fileURLToPath(new URL("../src/", import.meta.url));
const files = readdirSync(SOURCES, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".ts"));
const texts = new Map(files.map((name) => [name, readFileSync(SOURCES + name, "utf8")]));

/** Names that index files hand on, types among them. */
function listed(): Set<string> {
  const names = new Set([...Object.keys(torch), ...Object.keys(torch.nn), ...Object.keys(torch.optim)]);
  for (const text of texts.values()) {
    for (const [, list] of text.matchAll(/^export (?:type )?\{([^}]*)\} from /gm)) {
      for (const name of list!.split(",")) names.add(name.replace(/^\s*type /, "").trim());
    }
  }
  names.delete("");
  return names;
}

/** Whether what stands before position `at` of `text` ends with a docstring. */
const isTold = (text: string, at: number) => text.slice(0, at).trimEnd().endsWith("*/");

it("every export", () => {
  const names = listed();
  const untold: string[] = [];
  const found = new Set<string>();
  for (const [file, text] of texts) {
    const pattern = /^export (?:abstract )?(?:function\*?|const|class|interface|type) (\w+)/gm;
    for (const match of text.matchAll(pattern)) {
      const name = match[1]!;
      if (!names.has(name)) continue;
      // Of overloads the first one carries the text.
      const isLater = found.has(`${file} ${name}`) && match[0].includes("function");
      found.add(`${file} ${name}`);
      if (!isTold(text, match.index) && !isLater) untold.push(`${file}: ${name}`);
    }
  }
  expect(found.size).toBeGreaterThan(450);
  expect(untold).toEqual([]);
});

it("every method and getter of a tensor", () => {
  const text = texts.get("tensor.ts")!;
  const start = text.indexOf("export class Tensor");
  const body = text.slice(0, text.indexOf("\n}\n", start));
  const members = [...body.matchAll(/^ {2}(?:static |get )?(\w+)\(/gm)].filter(({ index }) => index > start);
  expect(members.length).toBeGreaterThan(140);
  const untold = members.filter(({ 1: name, index }) => name !== "constructor" && !isTold(body, index));
  expect(untold.map(({ 1: name }) => name)).toEqual([]);
});
