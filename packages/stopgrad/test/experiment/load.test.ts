import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { documentFromText } from "../../src/experiment/document.js";
import { loadDocument } from "../../src/experiment/load.js";
import { settings } from "./fake-registries.js";

const dir = mkdtempSync(join(tmpdir(), "stopgrad-load-"));
afterAll(() => rmSync(dir, { recursive: true }));

function written(content: string | Uint8Array): string {
  const file = join(dir, "x.yaml");
  writeFileSync(file, content);
  return file;
}

test("a file on disk, with a byte order mark and Windows line ends", () => {
  const document = loadDocument(written("\uFEFFdata: mnist\r\nmodel: lenet5\r\nepochs: 1e1\r\n"));
  expect(document.tree).toEqual({ data: "mnist", model: "lenet5", epochs: 10 });
  expect(settings.expand(document).name).toBe("x");
});

test("what is no readable text", () => {
  const file = join(dir, "none.yaml");
  expect(() => loadDocument(file)).toThrow(`${file}: no such file`);
  expect(() => loadDocument(dir)).toThrow(`${dir}: is a directory; expected an experiment file (.yaml)`);
  mkdirSync(join(dir, "sub"));
  expect(() => loadDocument(written("#".repeat(1_000_001)))).toThrow(/is 1000001 bytes long/);
  const latin = written(new Uint8Array([...new TextEncoder().encode("a: 1\nnäme: caf"), 0xe9, 0x0a]));
  expect(() => loadDocument(latin)).toThrow(`${latin}:2:10: not UTF-8 text; save the file as UTF-8`);
  expect(() => loadDocument(written(new Uint8Array([0xff, 0xfe, 0x61, 0])))).toThrow(/x\.yaml:1:1: not UTF-8/);
  expect(() => loadDocument(written(new Uint8Array([0x61, 0xc3])))).toThrow(/x\.yaml:1:2: not UTF-8/);
});

test.each([
  ["", "f: the file is empty; expected a map of settings"],
  ["# only a comment\n", "f: the file is empty"],
  ["- 1\n", "f:1:1: expected a map of settings, such as `model: lenet5`, got a list"],
  ["lenet5\n", "f:1:1: expected a map of settings, such as `model: lenet5`, got a single value"],
  ["a: 1\nb: 2\na: 3\n", "f:3:1: duplicate key: a; each setting can stand only once"],
  ["m: { b: 1,\n     'b': 2 }\n", "f:2:6: duplicate key: 'b'"],
  ["a: 1\n---\nb: 1\n", "f:2:1: expected one YAML document, found a second one"],
  ["a:\n\tb: 1\n", "f:2:1: not YAML: a tab; indent with spaces"],
  ["a: [1, 2\nb: 3\n", "f:2:1: not YAML: flow sequence"],
  ["a: !python/object 3\n", "f:1:4: not YAML: unresolved tag"],
  ["a: *b\n", "f:1:4: *b: no anchor &b stands before it"],
  ["a: &x [*x]\n", "f:1:1: an anchor contains itself"],
])("%j", (text, expected) => {
  expect(() => documentFromText(text, "f")).toThrow(expected);
});

test("every syntax error is named", () => {
  expect(() => documentFromText("a: 1\na: 2\nb: 1\nb: 2\n", "f")).toThrow(
    /^f: 2 mistakes\n.*f:2:1: duplicate.*\n.*f:4:1: duplicate/,
  );
});

test("anchors and merge keys; an alias points at what it stands for", () => {
  const text = "base: &base { batch: 0 }\ndata: { <<: *base, name: mnist }\nmodel: lenet5\nepochs: 1\n";
  const document = documentFromText(text, "f");
  expect(document.tree.data).toEqual({ batch: 0, name: "mnist" });
  expect(() => settings.expand(document)).toThrow(/f:2:7: data\.batch: expected a positive integer, got 0/);
});

test("an alias bomb is refused, not unfolded", () => {
  const lines = Array.from(
    { length: 12 },
    (_, i) =>
      `a${i}: &a${i} [${Array(10)
        .fill(i === 0 ? "x" : `*a${i - 1}`)
        .join(", ")}]`,
  );
  expect(() => documentFromText(lines.join("\n"), "f")).toThrow(/^f: not usable as YAML/);
});
