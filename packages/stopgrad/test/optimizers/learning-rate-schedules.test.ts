import "../support/one-thread.js";
import { optim, Parameter, scope, tensor } from "@stopgrad/torch";
import { expect, test } from "vitest";
import { learningRateSchedules } from "../../src/optimizers/learning-rate-schedules.js";

const { step, cosine } = learningRateSchedules;

/** Rates of a phase, first epoch to last. */
function rates(schedule: typeof cosine, options: Record<string, unknown>, base: number, epochs: number): number[] {
  return Array.from({ length: epochs }, (_, epoch) => schedule.rate(options, { base, epoch, epochs }));
}

/** The rate of an epoch counted from 1, as papers count. */
function rateOf(epoch: number, options: Record<string, unknown>, base: number, epochs = 160): number {
  return cosine.rate(options, { base, epoch: epoch - 1, epochs });
}

// papers.md 14.2 (arXiv 2101.10832 and 2312.07636): base rate 0.8, 160 epochs, 10 of them warm-up.
test.each([
  [1, 0.01, 5],
  [2, 0.08897, 5],
  [5, 0.32523, 5],
  [10, 0.71408, 5],
  [11, 0.79071, 5],
  [80, 0.4, 12],
  [120, 0.11716, 5],
  [159, 8e-5, 5],
])("epoch %i of the published warm-up cosine has the rate %d", (epoch, rate, digits) => {
  expect(rateOf(epoch, { warmup: 10, warmupStart: 0.01 }, 0.8)).toBeCloseTo(rate, digits);
});

test("the last epoch's rate is exactly 0, which optimizers take", () => {
  expect(rateOf(160, { warmup: 10 }, 0.8)).toBe(0);
  expect(rateOf(3, {}, 0.8, 3)).toBe(0);
  scope(() => {
    const weight = new Parameter(tensor([1, 2]));
    const optimizer = new optim.SGD([weight], { learningRate: 0.8, momentum: 0.9, nesterov: true });
    optimizer.learningRate = rateOf(160, { warmup: 10 }, 0.8);
    weight.sum().backward();
    optimizer.step();
    expect(weight.toNumbers()).toEqual([1, 2]);
  });
});

test("a warm-up rises to where the cosine is, and leaves it alone after", () => {
  const plain = rates(cosine, {}, 0.5, 20);
  const warm = rates(cosine, { warmup: 4, warmupStart: 0.02 }, 0.5, 20);
  expect(warm.slice(4)).toEqual(plain.slice(4));
  // By hand: 0, 1/4, 1/2, 3/4 of the cosine, and the rest of the start's rate.
  const expected = [0, 1, 2, 3].map((at) => (plain[at]! * at) / 4 + (0.02 * (4 - at)) / 4);
  expect(warm[0]).toBe(0.02);
  for (const [at, rate] of expected.entries()) expect(warm[at]).toBeCloseTo(rate, 15);
});

test("without warm-up it is PyTorch's cosine annealing, one epoch ahead", () => {
  const annealing = optim.cosineSchedule({ steps: 30 });
  const ours = rates(cosine, {}, 0.1, 30);
  for (const [epoch, rate] of ours.entries()) expect(rate).toBeCloseTo(annealing(0.1, epoch + 1), 15);
});

test("steps are those of MultiStepLR, bit for bit", () => {
  const options = { milestones: [2, 5, 6], gamma: 0.2 };
  const expected = Array.from({ length: 9 }, (_, epoch) => optim.multiStep(5e-4, epoch, options));
  expect(rates(step, options, 5e-4, 9)).toEqual(expected);
  expect(new Set(expected).size).toBe(4);
  expect(step.rate({ milestones: [1] }, { base: 1, epoch: 1, epochs: 2 })).toBe(0.1);
});

test("phases that cannot be scheduled so are refused in a sentence", () => {
  const refused = (options: Record<string, unknown>, base = 0.8, epochs = 5) =>
    cosine.refuses?.(options, { base, epochs }) ?? null;
  expect(refused({ warmup: 5 })).toBeNull();
  expect(refused({ warmup: 6 })).toBe(
    "expected a warm-up within the 5 epochs of training, got 6 epochs; use warmup: 0, or train longer",
  );
  expect(refused({ warmup: 2 }, 5e-4)).toBe(
    "expected a warm-up that starts at or below the learning rate 0.0005, got warmupStart: 0.01; set one of them",
  );
  expect(refused({ warmup: 2, warmupStart: 5e-4 }, 5e-4)).toBeNull();
  expect(refused({}, 5e-4)).toBeNull();
  expect(refused({}, 0.8, 1)).toMatch(/its only epoch would train nothing/);
  expect(refused({ warmup: 1 }, 0.8, 1)).toBeNull();
});

test.each(Object.entries(learningRateSchedules))(
  "%s: options have defaults, and unknown ones are refused",
  (_, one) => {
    expect(() => one.options.parse({ milestones: [1], warmup: 1, gama: 2 })).toThrow(/gama/);
    expect(one.summary.length).toBeGreaterThan(10);
    expect(one.source).toBeTruthy();
  },
);
