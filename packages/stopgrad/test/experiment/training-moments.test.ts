import { expect, it } from "vitest";
import { isAskedAfter, logSpacedSteps, timesLeft } from "../../src/experiment/training-moments.js";

const length = { epochs: 5, stepsPerEpoch: 10 };
const everyTwo = { every: 2, firstEpoch: false };
const dense = { every: 5, firstEpoch: true };
const atEnd = { at: "end", firstEpoch: false } as const;

it("steps of the first epoch are powers of two below its end", () => {
  expect([...logSpacedSteps(10)]).toEqual([1, 2, 4, 8]);
  expect([...logSpacedSteps(8)]).toEqual([1, 2, 4]);
  expect([...logSpacedSteps(1)]).toEqual([]);
});

it("every so many epochs, and after the last", () => {
  const epochs = [1, 2, 3, 4, 5];
  expect(epochs.filter((epoch) => isAskedAfter(everyTwo, epoch, epoch === 5))).toEqual([2, 4, 5]);
  expect(epochs.filter((epoch) => isAskedAfter(atEnd, epoch, epoch === 5))).toEqual([5]);
});

it("counts what is still to come from a step on", () => {
  expect(timesLeft(everyTwo, length, 0)).toBe(4); // before the first step, after 2, 4 and 5
  expect(timesLeft(everyTwo, length, 1)).toBe(3);
  expect(timesLeft(everyTwo, length, 20)).toBe(2);
  expect(timesLeft(atEnd, length, 0)).toBe(1);
  expect(timesLeft(atEnd, length, 50)).toBe(0);
  expect(timesLeft(dense, length, 0)).toBe(1 + 4 + 1);
  expect(timesLeft(dense, length, 3)).toBe(2 + 1); // steps 4 and 8
});
