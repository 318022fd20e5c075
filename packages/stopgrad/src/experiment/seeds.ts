// Every source of randomness in a run has a stream of its own, derived from the run's seed and the stream's name, so
// that two variants with the same seed share backbone initialisation, data order and augmentation, whatever else they
// draw.
import { createHash } from "node:crypto";

/** Seed of a stream: 52 bits of SHA-256 over `seed/name`, the same on every machine. */
export function streamSeed(seed: number, name: string): number {
  const digest = createHash("sha256").update(`${seed}/${name}`).digest();
  return Number(digest.readBigUInt64BE(0) >> 12n);
}
