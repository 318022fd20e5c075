// Damaged files of every format: cut off at every length, and with random bits flipped. A reader loads them or throws
// a FileFormatError of one line; it never crashes, hangs, allocates what is not there, or keeps a tensor.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  FileFormatError,
  loadCheckpoint,
  loadSafetensors,
  memory,
  npzHeader,
  readNpy,
  readNpz,
  resetPeakBytes,
  safetensorsHeader,
  saveCheckpoint,
  saveSafetensors,
  scope,
  tensor,
  writeNpy,
  writeNpz,
} from "../../src/index.js";
import { fixturePath } from "../support/fixtures.js";

const folder = mkdtempSync(join(tmpdir(), "stopgrad-fuzz-files-"));
const path = join(folder, "x");
afterAll(() => rmSync(folder, { recursive: true }));

/** Numbers from a seed (mulberry32), as integers below `limit`. */
function randomIntegers(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (state + 0x6d2b79f5) | 0;
    let value = Math.imul(state ^ (state >>> 15), state | 1);
    value ^= value + Math.imul(value ^ (value >>> 7), value | 61);
    return ((value ^ (value >>> 14)) >>> 0) % limit;
  };
}

interface Format {
  /** Reads all of the file at `path`, in every way there is. */
  readers: (() => unknown)[];
  /** A whole file. */
  whole: () => Buffer;
}

const written = (write: () => void) => () => {
  scope(write);
  return readFileSync(path);
};
const some = () => ({ weight: tensor([[1, 2], [3, 4]]), half: tensor([0.5]).to("bfloat16"), flags: tensor([true, false]) }); // biome-ignore format: a table

const formats: Record<string, Format> = {
  npy: {
    readers: [() => readNpy(path), () => readNpy(path, { mapped: true })],
    whole: written(() => writeNpy(path, some().weight)),
  },
  "npy, Fortran and big-endian": {
    readers: [() => readNpy(path), () => readNpy(path, { mapped: true })],
    whole: () => readFileSync(fixturePath("npy/fortran-3d-big.npy")),
  },
  "npz stored": {
    readers: [() => readNpz(path), () => readNpz(path, { mapped: true }), () => npzHeader(path)],
    whole: written(() => writeNpz(path, some())),
  },
  "npz deflated": {
    readers: [() => readNpz(path), () => npzHeader(path)],
    whole: written(() => writeNpz(path, some(), { compressed: true })),
  },
  safetensors: {
    readers: [
      () => loadSafetensors(path),
      () => loadSafetensors(path, { mapped: true }),
      () => safetensorsHeader(path),
    ],
    whole: written(() => saveSafetensors(path, new Map(Object.entries(some())), { note: "kept" })),
  },
  "safetensors with a checksum": {
    readers: [() => loadSafetensors(path), () => loadSafetensors(path, { names: ["weight"] })],
    whole: written(() => saveSafetensors(path, new Map(Object.entries(some())), {}, { checksum: true })),
  },
  checkpoint: {
    readers: [() => loadCheckpoint(path), () => loadCheckpoint(path, { mapped: true })],
    whole: written(() =>
      saveCheckpoint(path, { model: new Map(Object.entries(some())), list: [1, 2.5, null], big: 2n ** 70n }),
    ),
  },
  "checkpoint of Python's": {
    readers: [() => loadCheckpoint(path), () => loadCheckpoint(path, { mapped: true })],
    whole: () => readFileSync(fixturePath("checkpoints/small.pt")),
  },
};

/** Reads these bytes in every way; how many loaded. */
function tryAll(readers: readonly (() => unknown)[], bytes: Uint8Array, what: string): number {
  writeFileSync(path, bytes);
  let loaded = 0;
  for (const read of readers) {
    try {
      scope(() => {
        read();
      });
      loaded++;
    } catch (error) {
      if (!(error instanceof FileFormatError)) throw new Error(`${what}: ${(error as Error).stack}`, { cause: error });
      if (/[\n\0]/.test(error.message)) throw new Error(`${what}: more than a line: ${error.message}`);
      if (error.message.length > 1000) throw new Error(`${what}: a long message: ${error.message}`);
    }
  }
  return loaded;
}

describe.each(Object.entries(formats))("%s", (name, { readers, whole }) => {
  let bytes: Buffer;
  let liveBefore = 0;
  beforeAll(() => {
    bytes = whole();
    tryAll(readers, bytes, "whole");
    liveBefore = memory().liveTensors;
    resetPeakBytes();
  });
  const nothingKept = () => {
    expect(memory().liveTensors).toBe(liveBefore);
    expect(memory().peakBytes - memory().liveBytes).toBeLessThan(1 << 20); // the files have a few hundred elements
  };

  it("cut off at every length", () => {
    for (let length = 0; length < bytes.length; length++) {
      const loaded = tryAll(readers, bytes.subarray(0, length), `${name} cut off at ${length}`);
      if (loaded > 0) throw new Error(`${name}: loaded although cut off at ${length}`);
    }
    nothingKept();
  });

  it("with random bits flipped", () => {
    const random = randomIntegers(20240209);
    for (let round = 0; round < 600; round++) {
      const damaged = Buffer.from(bytes);
      // Mostly in the first part, where the headers are, and the last, where a zip archive's directory is.
      const flips = 1 + random(4);
      for (let flip = 0; flip < flips; flip++) {
        const region = random(3);
        const span = Math.min(damaged.length, 300);
        const at =
          region === 0 ? random(span) : region === 1 ? damaged.length - 1 - random(span) : random(damaged.length);
        damaged[at]! ^= 1 << random(8);
      }
      tryAll(readers, damaged, `${name} round ${round}`);
    }
    nothingKept();
  });

  it("with bytes set to what numbers go wrong at", () => {
    const random = randomIntegers(7);
    const values = [0x00, 0xff, 0x7f, 0x80, 0x20, 0x2d, 0x39, 0x28, 0x5d, 0x7b];
    for (let round = 0; round < 600; round++) {
      const damaged = Buffer.from(bytes);
      const at = random(damaged.length);
      damaged.fill(values[random(values.length)]!, at, Math.min(at + 1 + random(8), damaged.length));
      tryAll(readers, damaged, `${name} round ${round}`);
    }
    nothingKept();
  });
});

// Behind the archive's checksums, where flipped bits do not reach: the pickle itself.
describe("the pickle of a checkpoint", () => {
  it.each([2, 4, 5])("of protocol %i, damaged within a sound archive", (protocol) => {
    const bytes = readFileSync(fixturePath(`checkpoints/values${protocol}.pt`));
    const begin = bytes.indexOf(Buffer.of(0x80, protocol));
    const name = Buffer.from(`values${protocol}/data.pkl`);
    const entry = bytes.indexOf(name, bytes.indexOf(name) + 1) - 46;
    const size = bytes.readUInt32LE(entry + 24);
    expect(bytes.toString("latin1", entry, entry + 4)).toBe("PK\x01\x02");
    const { liveTensors } = memory();
    resetPeakBytes();
    const random = randomIntegers(protocol);
    let loaded = 0;
    for (let round = 0; round < 1500; round++) {
      const damaged = Buffer.from(bytes);
      damaged.writeUInt32LE(0, entry + 16); // a checksum of 0 is not compared
      for (let flips = 1 + random(3); flips > 0; flips--) {
        const at = begin + random(round % 2 ? size : Math.min(size, 1200));
        damaged[at] = random(2) ? damaged[at]! ^ (1 << random(8)) : random(256);
      }
      loaded += tryAll([() => loadCheckpoint(path)], damaged, `protocol ${protocol} round ${round}`);
    }
    expect(loaded).toBeGreaterThan(10); // the damage does reach the pickle, and some of it does not matter
    expect(loaded).toBeLessThan(1400);
    expect(memory().liveTensors).toBe(liveTensors);
    expect(memory().peakBytes - memory().liveBytes).toBeLessThan(16 << 20);
  });
});
