#!/usr/bin/env node
// Makes docs/torch, the API reference of @stopgrad/torch, from the docstrings in its source. The signatures are the
// compiler's, the one that builds the workspace, so that nothing else is installed for this.
//
//     node scripts/api-reference.mjs           writes docs/torch
//     node scripts/api-reference.mjs --check   says what would change, and what has no docstring; ends with 1 then
//
// The same source gives the same bytes: no date, no path of this machine, no line numbers.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { pages } from "./lib/reference/families.mjs";
import { renderReference } from "./lib/reference/markdown.mjs";
import { readPackage } from "./lib/reference/model.mjs";
import { undocumented } from "./lib/reference/undocumented.mjs";
import { say, speakAs } from "./lib/say.mjs";

const SOURCES = "packages/torch/src/";
const USAGE = "usage: node scripts/api-reference.mjs [--check]";

const root = fileURLToPath(new URL("..", import.meta.url));
const folder = join(root, "docs", "torch");

speakAs("api-reference");
process.exitCode = main(process.argv.slice(2));

function main(options) {
  if (options.length > 1 || (options.length === 1 && options[0] !== "--check")) {
    process.stderr.write(`${USAGE}\n`);
    return 2;
  }
  const namespaces = readPackage(
    root,
    join(root, "packages", "torch", "tsconfig.json"),
    join(root, SOURCES, "index.ts"),
  );
  const files = renderReference(namespaces, pages, SOURCES);
  const lacking = undocumented(namespaces);
  for (const name of lacking) say(`${name} has no docstring`);
  const there = new Map(markdownFiles().map((name) => [name, readFileSync(join(folder, name), "utf8")]));
  const changed = [...files].filter(([name, text]) => there.get(name) !== text).map(([name]) => name);
  const gone = [...there.keys()].filter((name) => !files.has(name));
  if (options.length === 1) {
    const stale = [...changed, ...gone];
    if (stale.length > 0) {
      say(`docs/torch is not what the docstrings say (${stale.join(", ")}): run "node scripts/api-reference.mjs"`);
    }
    return stale.length + lacking.length === 0 ? 0 : 1;
  }
  mkdirSync(folder, { recursive: true });
  for (const name of gone) rmSync(join(folder, name));
  for (const name of changed) writeFileSync(join(folder, name), files.get(name));
  const count = namespaces.reduce((sum, { entries }) => sum + entries.length, 0);
  say(`${count} names on ${files.size} pages in docs/torch, ${changed.length + gone.length} of them changed`);
  return lacking.length === 0 ? 0 : 1;
}

function markdownFiles() {
  try {
    return readdirSync(folder).filter((name) => name.endsWith(".md"));
  } catch {
    return [];
  }
}
