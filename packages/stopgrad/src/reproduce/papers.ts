// The papers whose tables and figures can be reproduced. Adding one: a folder here that exports a `Paper`, its experiment
// files in papers/<id>, and a line here.
import { existsSync, readdirSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { didYouMean } from "../experiment/suggest.js";
import { contextSupply } from "./context-supply/index.js";
import { e2eInformationBottleneck } from "./e2e-information-bottleneck/index.js";
import { type Item, type Paper, type Part, type Scale, scales } from "./paper.js";

export const papers: readonly Paper[] = [e2eInformationBottleneck, contextSupply];

/** A name that nothing has. */
export class UnknownNameError extends Error {
  override readonly name = "UnknownNameError";
}

/** @throws UnknownNameError naming those there are */
export function findPaper(name: string): Paper {
  return (
    papers.find(({ id }) => id === name) ??
    unknown(
      "paper",
      name,
      papers.map(({ id }) => id),
    )
  );
}

/** An item by its id or another name, with the parts that name means. @throws UnknownNameError */
export function findItem(paper: Paper, name: string): { item: Item; parts: readonly Part[] } {
  for (const item of paper.items) {
    const alias = item.aliases?.[name];
    if (item.id === name || alias === null) return { item, parts: item.parts };
    if (alias !== undefined) return { item, parts: item.parts.filter(({ id }) => id === alias) };
  }
  const known = paper.items.flatMap(({ id, aliases }) => [id, ...Object.keys(aliases ?? {})]);
  return unknown(`table or figure of ${paper.id}`, name, known);
}

/** @throws UnknownNameError */
export function findScale(name: string): Scale {
  return scales.find((scale) => scale === name) ?? unknown("scale", name, scales);
}

/** @throws UnknownNameError */
export function findParts(item: Item, names: readonly string[]): readonly Part[] {
  const known = item.parts.map(({ id }) => id);
  for (const name of names) if (!known.includes(name)) unknown(`part of ${item.id}`, name, known);
  return item.parts.filter(({ id }) => names.includes(id));
}

function unknown(kind: string, name: string, known: readonly string[]): never {
  throw new UnknownNameError(`unknown ${kind}: ${name} (known: ${known.join(", ")})${didYouMean(name, known)}`);
}

/** Where experiment files and recorded results of a paper lie: beside the packages; null where there are none. */
export function paperFolder(paper: Paper): string | null {
  const folder = fileURLToPath(new URL(`../../../../papers/${paper.id}`, import.meta.url));
  return existsSync(folder) ? folder : null;
}

/** A part's experiment file as a command line here would name it. @throws Error where the files are not there */
export function partFile(paper: Paper, part: Part): string {
  const folder = paperFolder(paper);
  if (folder === null) {
    throw new Error(
      `${paper.id}: its experiment files are not here; expected papers/${paper.id} of stopgrad's repository`,
    );
  }
  const file = join(folder, part.file);
  const here = relative(process.cwd(), file);
  return here.startsWith("..") ? file : here;
}

/** Names of the recorded results of an item, folders in `results/<item>`. */
export function recordedResults(paper: Paper, item: Item): string[] {
  const folder = paperFolder(paper);
  const results = folder === null ? null : join(folder, "results", item.id);
  if (results === null || !existsSync(results)) return [];
  return readdirSync(results, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name)
    .sort();
}
