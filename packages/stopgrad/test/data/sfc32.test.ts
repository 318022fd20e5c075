import { expect, test } from "vitest";
import { Sfc32 } from "../../src/data/sfc32.js";

const first = (random: Sfc32, count: number) => Array.from({ length: count }, () => random.next());

test("a stream is a function of its key, and every part of the key matters", () => {
  const streams = [[1, 2, 3], [1, 2, 4], [1, 3, 3], [2, 2, 3], [3, 2, 1], [1, 2], [0], []];
  for (const key of streams) expect(first(new Sfc32(...key), 5)).toEqual(first(new Sfc32(...key), 5));
  expect(new Set(streams.map((key) => first(new Sfc32(...key), 2).join())).size).toBe(streams.length);
});

test("bits are even and neighbouring streams are unrelated", () => {
  const count = 20_000;
  const ones = new Array<number>(32).fill(0);
  const agree = new Array<number>(32).fill(0);
  for (let i = 0; i < count; i++) {
    const here = new Sfc32(7, i).next();
    const next = new Sfc32(7, i + 1).next();
    for (let bit = 0; bit < 32; bit++) {
      ones[bit]! += (here >>> bit) & 1;
      agree[bit]! += (~(here ^ next) >>> bit) & 1;
    }
  }
  const fiveDeviations = (5 * Math.sqrt(count)) / 2;
  for (const sum of [...ones, ...agree]) expect(Math.abs(sum - count / 2)).toBeLessThan(fiveDeviations);
});

test("uniform and integer stay in range and reach their ends", () => {
  const random = new Sfc32(1);
  const drawn = Array.from({ length: 10_000 }, () => random.uniform(-2, 3));
  expect(Math.min(...drawn)).toBeGreaterThanOrEqual(-2);
  expect(Math.min(...drawn)).toBeLessThan(-1.99);
  expect(Math.max(...drawn)).toBeLessThan(3);
  expect(Math.max(...drawn)).toBeGreaterThan(2.99);
  const counts = [0, 0, 0, 0, 0, 0];
  for (let i = 0; i < 6000; i++) counts[random.integer(6)]! += 1;
  for (const count of counts) expect(Math.abs(count - 1000)).toBeLessThan(150);
});

test("a permutation holds each number once, and each place gets each number equally often", () => {
  const counts = Array.from({ length: 4 }, () => [0, 0, 0, 0]);
  for (let i = 0; i < 4000; i++) {
    const order = new Sfc32(i).permutation(4);
    expect([...order].sort()).toEqual([0, 1, 2, 3]);
    for (const [place, value] of order.entries()) counts[place]![value]! += 1;
  }
  for (const count of counts.flat()) expect(Math.abs(count - 1000)).toBeLessThan(150);
});
