// Hand-made data files for tests: the official layout and size, blank images (which pack and write fast), and a folder
// that goes away again.
import { mkdir, mkdtemp, open, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { pack } from "tar-stream";
import { onTestFinished } from "vitest";

export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "stopgrad-data-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Writes a file and the folders above it. */
export async function put(path: string, content: Uint8Array | string): Promise<string> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, content);
  return path;
}

/** An IDX file of unsigned bytes; blank where `body` is not given. */
export function idx(dimensions: number[], body?: Uint8Array): Buffer {
  const header = Buffer.alloc(4 + 4 * dimensions.length);
  header[2] = 8;
  header[3] = dimensions.length;
  for (const [i, size] of dimensions.entries()) header.writeUInt32BE(size, 4 + 4 * i);
  return Buffer.concat([header, body ?? Buffer.alloc(dimensions.reduce((product, size) => product * size, 1))]);
}

/** 0, 1, …, classes - 1, 0, 1, … */
export function labels(count: number, classes = 10): Uint8Array {
  return Uint8Array.from({ length: count }, (_, i) => i % classes);
}

const zip = (bytes: Uint8Array) => gzipSync(bytes, { level: 1 });

/** Gzipped MNIST files by name: blank images but for the first pixel, which is 7. */
export function mnistFiles(): Record<string, Buffer> {
  return Object.fromEntries(
    [
      ["train", 60_000] as const,
      ["t10k", 10_000] as const, //
    ].flatMap(([split, count]) => {
      const images = idx([count, 28, 28]);
      images[16] = 7;
      return [
        [`${split}-images-idx3-ubyte.gz`, zip(images)],
        [`${split}-labels-idx1-ubyte.gz`, zip(idx([count], labels(count)))],
      ];
    }),
  );
}

/** Writes a blank CIFAR file of `bytes` bytes (a hole on disk) whose bytes at the given places are set. */
export async function putBlank(path: string, bytes: number, set: Record<number, number> = {}): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const file = await open(path, "w");
  await file.truncate(bytes);
  for (const [at, value] of Object.entries(set)) await file.write(Uint8Array.of(value), 0, 1, Number(at));
  await file.close();
}

/** A gzipped tar archive. */
export async function archive(members: Record<string, Uint8Array>): Promise<Buffer> {
  const tar = pack();
  for (const [name, bytes] of Object.entries(members)) tar.entry({ name }, Buffer.from(bytes));
  tar.finalize();
  const chunks: Uint8Array[] = [];
  for await (const chunk of tar) chunks.push(chunk as Uint8Array);
  return zip(Buffer.concat(chunks));
}

/** What a promise was rejected with, as a message; fails when it was not. */
export async function messageOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    return `${(error as Error).name}: ${(error as Error).message}`;
  }
  throw new Error("expected a rejection, got a value");
}
