import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { checkDataset } from "../../src/data/check.js";
import { checkDatasets, fetchDatasets, listDatasets } from "../../src/data/commands.js";
import { datasets } from "../../src/data/index.js";
import { messageOf, mnistFiles, put, temporaryFolder } from "./made-files.js";

const files = mnistFiles();
async function withMnist(): Promise<string> {
  const folder = await temporaryFolder();
  for (const [name, bytes] of Object.entries(files)) await put(join(folder, "mnist", name), bytes);
  return folder;
}

test("list: every set, where it is or how to get it", async () => {
  const folder = await withMnist();
  const { data, lines, ok } = listDatasets([folder]);
  expect(ok).toBe(true);
  expect(data.datasets.map(({ name }) => name)).toEqual(Object.keys(datasets));
  expect(Object.fromEntries(data.datasets.map(({ name, found }) => [name, found]))).toEqual({
    glyphs: "drawn",
    mnist: join(folder, "mnist"),
    cifar10: null,
    cifar100: null,
    svhn: null,
    stl10: null,
    folder: "own",
  });
  expect(data.datasets[1]).toMatchObject({ shape: [1, 28, 28], classes: 10, train: 60_000, test: 10_000 });
  expect(data.datasets.at(-1)).toMatchObject({ shape: null, classes: null, train: null, test: null });
  expect(lines).toHaveLength(7);
  expect(lines[1]).toMatch(/^mnist {5}1x28x28 {3}10 classes {3}60000 \+ 10000 {2}/);
  expect(lines[2]).toContain("not found (stopgrad data fetch cifar10)");
  expect(lines[6]).toMatch(/^folder {4}any size {2}any classes {2}any number {5}your own files {2}/);
  expect(lines[6]).toMatch(/; write data: \{ name: folder, path: \.\/photos, size: 32 \}$/);
});

test("check: a whole set with another checksum is right", async () => {
  const folder = await withMnist();
  const check = await checkDataset("mnist", [folder]);
  expect(check).toMatchObject({ status: "right", found: join(folder, "mnist"), checksum: "differs", problems: [] });
  expect(check.train).toEqual({ images: 60_000, classCounts: new Array(10).fill(6000) });
  expect(check.test).toEqual({ images: 10_000, classCounts: new Array(10).fill(1000) });
  expect(check.files).toHaveLength(4);
  const { lines, ok } = await checkDatasets(["mnist"], [folder]);
  expect(ok).toBe(true);
  expect(lines).toEqual([
    `mnist: right, in ${join(folder, "mnist")}; structure is right, checksum differs from the official files`,
    "  train 60000 images, 6000 a class; test 10000 images, 1000 a class",
  ]);
});

test("check: every damaged file is named, not only the first", async () => {
  const folder = await withMnist();
  const first = await put(join(folder, "mnist", "t10k-labels-idx1-ubyte.gz"), "");
  const second = await put(join(folder, "mnist", "t10k-images-idx3-ubyte.gz"), "<html>");
  const { data, lines, ok } = await checkDatasets([], [folder]);
  expect(ok).toBe(false);
  expect(data.datasets[1]).toMatchObject({ status: "damaged", train: null, checksum: null });
  const text = lines.join("\n");
  expect(text).toContain(`${first}: is empty`);
  expect(text).toContain(`${second}: is a web page`);
});

test("check: absent fails only when it was asked for by name", async () => {
  const folder = await temporaryFolder();
  const all = await checkDatasets([], [folder]);
  expect(all.ok).toBe(true);
  expect(all.data.datasets.map(({ status }) => status)).toEqual(
    Object.keys(datasets).map((name) => (name === "glyphs" ? "drawn" : name === "folder" ? "own" : "absent")),
  );
  const named = await checkDatasets(["cifar100", "cifar100"], [folder]);
  expect(named.ok).toBe(false);
  expect(named.lines).toHaveLength(1);
  expect(named.lines[0]).toContain("run `stopgrad data fetch cifar100`");
});

test("an unknown name: the nearest known one", async () => {
  expect(await messageOf(checkDatasets(["cifar-10"], []))).toBe(
    "DatasetError: unknown data set: cifar-10; did you mean cifar10? (known: glyphs, mnist, cifar10, cifar100, svhn, stl10, folder)",
  );
  expect(await messageOf(fetchDatasets([], []))).toContain("(mnist, cifar10, cifar100, svhn, stl10), got none");
});

test("fetch: nothing to do for a set that is whole or drawn", async () => {
  const folder = await withMnist();
  const { data, lines, ok } = await fetchDatasets(["glyphs", "mnist", "folder"], ["/nowhere", folder], {
    mirror: "http://127.0.0.1:9",
  });
  expect(ok).toBe(true);
  expect(data.datasets.map(({ status }) => status)).toEqual(["drawn", "present", "own"]);
  expect(lines).toEqual([
    "glyphs: drawn on demand, nothing to fetch",
    `mnist: already in ${join(folder, "mnist")}`,
    "folder: your own files, nothing to fetch; write data: { name: folder, path: ./photos, size: 32 }",
  ]);
  expect((await checkDatasets(["folder"], [folder])).lines).toEqual([
    "folder: your own files, checked when a run reads them; write data: { name: folder, path: ./photos, size: 32 }",
  ]);
});

test("fetch: one failure does not stop the others, and bytes that are not the official ones are refused", async () => {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(request.url!);
    const body = files["t10k-labels-idx1-ubyte.gz"]!;
    response.writeHead(request.url!.startsWith("/mnist") ? 200 : 404, { "content-length": body.length }).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.close();
  });
  const mirror = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const folder = await temporaryFolder();
  const { data, lines, ok } = await fetchDatasets(["mnist", "cifar10"], [folder], { mirror });
  expect(ok).toBe(false);
  expect(data.datasets.map(({ status, files }) => [status, files])).toEqual([
    ["failed", []],
    ["failed", []],
  ]);
  expect(lines[0]).toContain("mnist/train-images-idx3-ubyte.gz: expected 9912422 bytes, the server offers");
  expect(lines[1]).toContain("cifar-10-binary.tar.gz: the server answered 404 Not Found");
  expect(asked).toEqual(["/mnist/train-images-idx3-ubyte.gz", "/cifar-10-binary.tar.gz"]);
});
