// The checksum in zip archives (CRC-32, polynomial 0xEDB88320). Node computes it from 20.15 and 22.2 on; before that, a
// table of 256 entries does, at a fraction of the speed.
import * as zlib from "node:zlib";

const table = new Uint32Array(256).map((_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

/** The same without Node's help. */
export function tableCrc32(bytes: Uint8Array, before = 0): number {
  let value = ~before;
  for (let i = 0; i < bytes.length; i++) value = (value >>> 8) ^ table[(value ^ bytes[i]!) & 0xff]!;
  return ~value >>> 0;
}

/** CRC-32 of `bytes` following others whose checksum is `before`; in [0, 2³²). */
export function crc32(bytes: Uint8Array, before = 0): number {
  if (typeof zlib.crc32 !== "function") return tableCrc32(bytes, before);
  return bytes.length === 0 ? before : zlib.crc32(bytes, before); // Node's forgets `before` when there are no bytes
}
