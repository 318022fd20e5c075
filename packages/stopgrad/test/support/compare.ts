// Comparing states bit for bit, and numbers within a tolerance that is said.
import type { Tensor } from "@stopgrad/torch";
import { expect } from "vitest";

/** The bytes of every entry of a state. */
export type Snapshot = ReadonlyMap<string, Uint8Array>;

export function bytesOf(entry: Tensor): Uint8Array {
  return new Uint8Array(entry.toTypedArray().buffer);
}

export function snapshot(state: ReadonlyMap<string, Tensor>): Snapshot {
  return new Map(Array.from(state, ([name, entry]) => [name, bytesOf(entry)]));
}

/** Names of entries that differ in any bit, or stand on one side only. */
export function differing(a: Snapshot, b: Snapshot): string[] {
  const names = new Set([...a.keys(), ...b.keys()]);
  return [...names].filter((name) => {
    const [one, other] = [a.get(name), b.get(name)];
    return !one || !other || Buffer.compare(one, other) !== 0;
  });
}

/** Each number within `tolerance` · (1 + |expected|). */
export function expectClose(actual: readonly number[], expected: readonly number[], tolerance: number): void {
  expect(actual).toHaveLength(expected.length);
  for (const [i, want] of expected.entries()) {
    const error = Math.abs(actual[i]! - want);
    if (!(error <= tolerance * (1 + Math.abs(want)))) {
      throw new Error(`expected ${want} at ${i}, got ${actual[i]} (off by ${error}, tolerance ${tolerance})`);
    }
  }
}
