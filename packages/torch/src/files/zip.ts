// Zip archives, as far as NumPy's .npz and PyTorch's checkpoints need them: members stored or deflated, zip64, read at
// positions one by one, written in one pass with every member aligned so that it can be mapped.
//
// Why our own: the zip packages that are kept up read asynchronously, and a scope ends when its function returns; or
// they want the archive whole in memory, and none aligns members. Deflate itself is Node's.
// Source: APPNOTE.TXT 6.3.10 (PKWARE). Not read: encryption, archives in several parts, other compression methods.
import { constants as bufferConstants } from "node:buffer";
import { deflateRawSync, inflateRawSync, constants as zlibConstants } from "node:zlib";
import type { Write } from "./atomic-write.js";
import { crc32 } from "./crc32.js";
import { type ByteSource, bytesSource, type OpenFile, type Refuse, shown } from "./open-file.js";
import { PIECE } from "./tensor-bytes.js";

/** Every member's data begin at a multiple of this: of every element's size, and of a cache line. PyTorch's choice. */
export const ALIGNMENT = 64;

const STORED = 0;
const DEFLATED = 8;

const LOCAL = 0x04034b50;
const CENTRAL = 0x02014b50;
const END = 0x06054b50;
const END_64 = 0x06064b50;
const LOCATOR_64 = 0x07064b50;

/** A 32-bit field that says "see the zip64 field". */
const ELSEWHERE = 0xffffffff;

/** A directory of more bytes than this, over a million members, is damage. */
const LARGEST_DIRECTORY = 1 << 28;

/** Deflate makes at most this many bytes of one: a larger claim is damage, and allocating for it absurd. */
const LARGEST_EXPANSION = 1032;

export interface Member {
  name: string;
  method: number;
  /** Bytes as they are in the archive. */
  packedSize: number;
  /** Bytes when unpacked. */
  size: number;
  crc: number;
  /** Where its local header begins. */
  start: number;
}

export interface OpenMember extends ByteSource {
  /** Where its bytes begin in the archive; null when they are compressed. */
  readonly dataStart: number | null;
  /** Reads what was not read yet and compares the checksum of all. @throws FileFormatError when it differs */
  verify(): void;
}

/** Whether the file begins as an archive with members, or is an empty one. */
export function looksLikeZip(start: Uint8Array): boolean {
  const text = Buffer.from(start.subarray(0, 4)).toString("latin1");
  return text === "PK\x03\x04" || text === "PK\x05\x06";
}

// --- reading -----------------------------------------------------------------------------------------------------------

/**
 * The members by name, in the order of the directory, none overlapping another.
 * @throws what `refuse` makes, when the file is no archive, or damaged, or of a kind that is not read here
 */
export function readDirectory(file: OpenFile, expected: string, refuse: Refuse): Map<string, Member> {
  if (file.size === 0) throw refuse(`the file is empty; expected ${expected}`);
  const { count, directoryStart, directorySize } = findDirectory(file, expected, refuse);
  if (directorySize > LARGEST_DIRECTORY) throw refuse(`the archive is damaged: a directory of ${directorySize} bytes`);
  const directory = Buffer.from(file.read(directoryStart, directorySize).buffer);
  const members = new Map<string, Member>();
  let at = 0;
  for (let i = 0; i < count; i++) {
    if (at + 46 > directory.length || directory.readUInt32LE(at) !== CENTRAL) {
      throw refuse(`the archive is damaged: expected ${count} members, its directory breaks off at number ${i}`);
    }
    const [nameLength, extraLength, commentLength] = [28, 30, 32].map((field) => directory.readUInt16LE(at + field));
    const extraStart = at + 46 + nameLength!;
    const next = extraStart + extraLength! + commentLength!;
    if (next > directory.length) throw refuse(`the archive is damaged: its directory breaks off at number ${i}`);
    const name = decodeName(directory.subarray(at + 46, extraStart));
    const inMember: Refuse = (problem) => refuse(`member ${shown(name)}: ${problem}`);
    if (members.has(name)) throw refuse(`the archive has two members ${shown(name)}`);
    const flags = directory.readUInt16LE(at + 8);
    if (flags & 1) throw inMember("it is encrypted; expected an archive without a password");
    const [size, packedSize, start] = wideFields(
      [24, 20, 42].map((field) => directory.readUInt32LE(at + field)),
      directory.subarray(extraStart, extraStart + extraLength!),
      inMember,
    );
    members.set(name, {
      name,
      method: directory.readUInt16LE(at + 10),
      size: size!,
      packedSize: packedSize!,
      crc: directory.readUInt32LE(at + 16),
      start: start!,
    });
    at = next;
  }
  let filled = 0;
  for (const { name, start, packedSize } of [...members.values()].sort((a, b) => a.start - b.start)) {
    const end = start + 30 + packedSize;
    if (start < filled || end > directoryStart) {
      throw refuse(`the archive is damaged: member ${shown(name)} overlaps what is beside it`);
    }
    filled = end;
  }
  return members;
}

function findDirectory(file: OpenFile, expected: string, refuse: Refuse) {
  const tailStart = Math.max(0, file.size - 22 - 0xffff);
  const tail = Buffer.from(file.read(tailStart, file.size - tailStart).buffer);
  let at = tail.length - 22;
  while (at >= 0 && !(tail.readUInt32LE(at) === END && at + 22 + tail.readUInt16LE(at + 20) === tail.length)) at--;
  if (at < 0) {
    if (!looksLikeZip(file.read(0, Math.min(4, file.size))))
      throw refuse(`this is no zip archive; expected ${expected}`);
    throw refuse(
      `the file is truncated or has bytes added: a zip archive has its directory at the end, this one has none`,
    );
  }
  let count = tail.readUInt16LE(at + 10);
  let directorySize = tail.readUInt32LE(at + 12);
  let directoryStart = tail.readUInt32LE(at + 16);
  let end = tailStart + at;
  const parts = tail.readUInt16LE(at + 4);
  if (at >= 20 && tail.readUInt32LE(at - 20) === LOCATOR_64) {
    const recordStart = Number(tail.readBigUInt64LE(at - 12));
    if (recordStart + 56 > end - 20) throw refuse("the archive is damaged: its zip64 record lies outside the file");
    const record = Buffer.from(file.read(recordStart, 56).buffer);
    if (record.readUInt32LE(0) !== END_64) throw refuse("the archive is damaged: its zip64 record is missing");
    count = Number(record.readBigUInt64LE(32));
    directorySize = Number(record.readBigUInt64LE(40));
    directoryStart = Number(record.readBigUInt64LE(48));
    end = recordStart;
  } else if (parts !== 0 && parts !== 0xffff) {
    throw refuse("this is one part of a zip archive in several; expected a whole one");
  }
  if (directoryStart + directorySize > end || count * 46 > directorySize) {
    throw refuse(
      `the archive is damaged: a directory of ${count} members in ${directorySize} bytes at ${directoryStart} does not fit into the file`,
    );
  }
  return { count, directoryStart, directorySize };
}

/** Fields of 32 bits, with those that are too small for their number taken from the zip64 field, in its order. */
function wideFields(fields: number[], extra: Buffer, refuse: Refuse): number[] {
  if (!fields.includes(ELSEWHERE)) return fields;
  for (let at = 0; at + 4 <= extra.length; ) {
    const id = extra.readUInt16LE(at);
    const length = extra.readUInt16LE(at + 2);
    if (id === 1) {
      let next = at + 4;
      const end = Math.min(next + length, extra.length);
      return fields.map((field) => {
        if (field !== ELSEWHERE) return field;
        if (next + 8 > end) throw refuse("its zip64 field is damaged");
        next += 8;
        return Number(extra.readBigUInt64LE(next - 8));
      });
    }
    at += 4 + length;
  }
  return fields;
}

function decodeName(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return Buffer.from(bytes).toString("latin1"); // of an old program; at least every name is another
  }
}

/**
 * A member, ready to be read. A deflated one is unpacked at once, with its checksum compared.
 * @param verify - whether `verify()` and unpacking compare the checksum
 */
export function openMember(file: OpenFile, member: Member, verify: boolean, refuse: Refuse): OpenMember {
  const { dataStart } = locate(file, member, refuse);
  if (member.method === STORED) return storedMember(file, member, dataStart, verify, refuse);
  const unpacked = inflate(file.read(dataStart, member.packedSize), member, refuse);
  if (verify) compareChecksum(crc32(unpacked), member, refuse);
  return { ...bytesSource(unpacked), dataStart: null, verify: () => {} };
}

/** The first bytes of a member, `length` at most, few; of a deflated one without unpacking it all. */
export function memberStart(file: OpenFile, member: Member, length: number, refuse: Refuse): Uint8Array {
  const { dataStart } = locate(file, member, refuse);
  const wanted = Math.min(length, member.size);
  if (member.method === STORED) return file.read(dataStart, wanted);
  // Deflate may use a few more bytes than it is given: of text that does not shrink, and for its own headers.
  const packed = file.read(dataStart, Math.min(member.packedSize, wanted + 1024));
  try {
    return inflateRawSync(packed, { finishFlush: zlibConstants.Z_SYNC_FLUSH }).subarray(0, wanted);
  } catch (error) {
    throw refuse(`its compressed bytes are damaged: ${(error as Error).message}`);
  }
}

function locate(file: OpenFile, member: Member, refuse: Refuse): { dataStart: number } {
  const { method, size, packedSize, start, name } = member;
  if (method !== STORED && method !== DEFLATED) {
    throw refuse(`it is compressed by method ${method}; expected it stored or deflated`);
  }
  const header = Buffer.from(file.read(start, 30).buffer); // within the file: the directory begins after it
  if (header.readUInt32LE(0) !== LOCAL) throw refuse("the archive is damaged: its header is missing");
  const nameLength = header.readUInt16LE(26);
  const dataStart = start + 30 + nameLength + header.readUInt16LE(28);
  if (dataStart + packedSize > file.size) throw refuse("the archive is damaged: it ends beyond the file");
  if (header.readUInt16LE(8) !== method || decodeName(file.read(start + 30, nameLength)) !== name) {
    throw refuse("the archive is damaged: its header and the directory differ");
  }
  if (method === STORED && size !== packedSize) {
    throw refuse(`the archive is damaged: it is stored, but has ${packedSize} bytes instead of ${size}`);
  }
  return { dataStart };
}

function storedMember(file: OpenFile, member: Member, dataStart: number, verify: boolean, refuse: Refuse): OpenMember {
  let seen = 0; // bytes in the checksum so far: those before this position
  let checksum = 0;
  const counted = (bytes: Uint8Array<ArrayBuffer>, start: number): Uint8Array<ArrayBuffer> => {
    if (verify && start <= seen && start + bytes.length > seen) {
      checksum = crc32(bytes.subarray(seen - start), checksum);
      seen = start + bytes.length;
    }
    return bytes;
  };
  const readPiece = (start: number, length: number) => counted(file.readPiece(dataStart + start, length), start);
  return {
    size: member.size,
    dataStart,
    read: (start, length) => counted(file.read(dataStart + start, length), start),
    readPiece,
    verify: () => {
      if (!verify) return;
      while (seen < member.size) readPiece(seen, Math.min(PIECE, member.size - seen));
      compareChecksum(checksum, member, refuse);
    },
  };
}

function compareChecksum(found: number, { crc }: Member, refuse: Refuse): void {
  if (found === crc) return;
  const hex = (value: number) => value.toString(16).padStart(8, "0");
  throw refuse(`it is damaged: checksum ${hex(found)} of its bytes is not the saved ${hex(crc)}; use another copy`);
}

function inflate(packed: Uint8Array, { size }: Member, refuse: Refuse): Uint8Array<ArrayBuffer> {
  if (size > bufferConstants.MAX_LENGTH) {
    throw refuse(
      `it has ${size} bytes, and Node unpacks at most ${bufferConstants.MAX_LENGTH} at once; store it uncompressed, as numpy.savez does`,
    );
  }
  if (size > packed.length * LARGEST_EXPANSION) {
    throw refuse(`it is damaged: ${packed.length} compressed bytes cannot become ${size}`);
  }
  let unpacked: Buffer;
  try {
    unpacked = inflateRawSync(packed, { maxOutputLength: Math.max(size, 1), chunkSize: 1 << 16 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE") {
      throw refuse(`it is damaged: expected ${size} bytes, its compressed bytes become more`);
    }
    throw refuse(`its compressed bytes are damaged: ${(error as Error).message}`);
  }
  if (unpacked.length !== size) throw refuse(`it is damaged: expected ${size} bytes, found ${unpacked.length}`);
  return unpacked as Buffer<ArrayBuffer>;
}

// --- writing -----------------------------------------------------------------------------------------------------------

/** The moment in every archive, so that equal content makes equal files: 1 January 1980, where zip's calendar begins. */
const DATE = 0x21;

/** Members from this size on get room for 64-bit sizes, compressed or not. */
const NEEDS_64 = 0xf0000000;

export interface ZipWriter {
  /**
   * Adds a member.
   * @param size - the bytes that `body` is going to write
   * @param body - calls its argument for each piece
   */
  add(name: string, size: number, body: (write: (bytes: Uint8Array) => void) => void, compressed?: boolean): void;
  /** Adds the directory; nothing may be added after that. */
  finish(): void;
}

/** Writes an archive through `write`, which belongs to a file that is empty. */
export function zipWriter(write: Write): ZipWriter {
  const written: (Member & { raw: Buffer })[] = [];
  let end = 0;
  const append = (bytes: Uint8Array): void => {
    write(bytes);
    end += bytes.length;
  };

  return {
    add(name, size, body, compressed = false) {
      const raw = Buffer.from(name);
      const start = end;
      const member = { name, raw, method: compressed ? DEFLATED : STORED, size, packedSize: 0, crc: 0, start };
      const wide = size >= NEEDS_64;
      append(localHeader(member, wide));
      const dataStart = end;
      let taken = 0;
      body((bytes) => {
        member.crc = crc32(bytes, member.crc);
        taken += bytes.length;
        // Each piece by itself, ended at a whole byte: put after each other they are one stream.
        append(compressed ? deflateRawSync(bytes, { finishFlush: zlibConstants.Z_SYNC_FLUSH }) : bytes);
      });
      if (taken !== size) throw new Error(`zip: expected ${size} bytes for ${name}, got ${taken}`);
      if (compressed) append(deflateRawSync(new Uint8Array(0)));
      member.packedSize = end - dataStart;
      write(localHeader(member, wide), start);
      written.push(member);
    },
    finish() {
      const directoryStart = end;
      for (const member of written) append(directoryEntry(member));
      const directorySize = end - directoryStart;
      if (written.length >= 0xffff || directoryStart >= ELSEWHERE || directorySize >= ELSEWHERE) {
        const record = Buffer.alloc(56 + 20);
        record.writeUInt32LE(END_64, 0);
        record.writeBigUInt64LE(44n, 4); // the record's bytes after this field
        record.writeUInt16LE(45, 12); // made by, and needed to read: version 4.5 of the format
        record.writeUInt16LE(45, 14);
        record.writeBigUInt64LE(BigInt(written.length), 24);
        record.writeBigUInt64LE(BigInt(written.length), 32);
        record.writeBigUInt64LE(BigInt(directorySize), 40);
        record.writeBigUInt64LE(BigInt(directoryStart), 48);
        record.writeUInt32LE(LOCATOR_64, 56);
        record.writeBigUInt64LE(BigInt(end), 64);
        record.writeUInt32LE(1, 72); // parts
        append(record);
      }
      const last = Buffer.alloc(22);
      last.writeUInt32LE(END, 0);
      last.writeUInt16LE(Math.min(written.length, 0xffff), 8);
      last.writeUInt16LE(Math.min(written.length, 0xffff), 10);
      last.writeUInt32LE(Math.min(directorySize, ELSEWHERE), 12);
      last.writeUInt32LE(Math.min(directoryStart, ELSEWHERE), 16);
      append(last);
    },
  };
}

/** The fields that both headers of a member share, from "version needed" to "extra length". */
function commonFields({ raw, method, size, packedSize, crc }: Member & { raw: Buffer }, wide: boolean): Buffer {
  const fields = Buffer.alloc(26);
  fields.writeUInt16LE(wide ? 45 : 20, 0);
  fields.writeUInt16LE(0x800, 2); // the name is UTF-8
  fields.writeUInt16LE(method, 4);
  fields.writeUInt16LE(DATE, 8);
  fields.writeUInt32LE(crc, 10);
  fields.writeUInt32LE(wide ? ELSEWHERE : packedSize, 14);
  fields.writeUInt32LE(wide ? ELSEWHERE : size, 18);
  fields.writeUInt16LE(raw.length, 22);
  return fields;
}

/** Header, name and fields before the data, filled up so that the data are aligned. */
function localHeader(member: Member & { raw: Buffer }, wide: boolean): Buffer {
  const signature = Buffer.alloc(4);
  signature.writeUInt32LE(LOCAL);
  const sizes = wide ? wideField([member.size, member.packedSize]) : Buffer.alloc(0);
  const unpadded = member.start + 30 + member.raw.length + sizes.length + 4;
  const filling = Buffer.alloc(4 + ((ALIGNMENT - (unpadded % ALIGNMENT)) % ALIGNMENT));
  filling.write("FB", "latin1"); // PyTorch's own mark for a field of filling
  filling.writeUInt16LE(filling.length - 4, 2);
  const fields = commonFields(member, wide);
  fields.writeUInt16LE(sizes.length + filling.length, 24);
  return Buffer.concat([signature, fields, member.raw, sizes, filling]);
}

function directoryEntry(member: Member & { raw: Buffer }): Buffer {
  const wideSize = member.size >= NEEDS_64;
  const wideStart = member.start >= ELSEWHERE;
  const numbers = [...(wideSize ? [member.size, member.packedSize] : []), ...(wideStart ? [member.start] : [])];
  const extra = numbers.length > 0 ? wideField(numbers) : Buffer.alloc(0);
  const before = Buffer.alloc(6);
  before.writeUInt32LE(CENTRAL);
  before.writeUInt16LE(45, 4); // made by version 4.5 of the format
  const fields = commonFields(member, wideSize || wideStart);
  if (!wideSize && wideStart) {
    fields.writeUInt32LE(member.packedSize, 14);
    fields.writeUInt32LE(member.size, 18);
  }
  fields.writeUInt16LE(extra.length, 24);
  const after = Buffer.alloc(14);
  after.writeUInt32LE(wideStart ? ELSEWHERE : member.start, 10);
  return Buffer.concat([before, fields, after, member.raw, extra]);
}

/** The zip64 field: numbers of 64 bits. */
function wideField(numbers: readonly number[]): Buffer {
  const field = Buffer.alloc(4 + 8 * numbers.length);
  field.writeUInt16LE(1, 0);
  field.writeUInt16LE(8 * numbers.length, 2);
  for (const [i, number] of numbers.entries()) field.writeBigUInt64LE(BigInt(number), 4 + 8 * i);
  return field;
}
