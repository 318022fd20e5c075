// When a silent run says what it measures, by a clock that the tests turn.
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { Silence } from "../../src/cli/progress-measuring.js";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const measuring = (measure: string) => ({ type: "measuring", measure, epoch: 1, number: 1, of: 1 }) as const;
const stored = { type: "metrics" as const, points: [] };

it("says what is measured after five seconds, and the same again after thirty", () => {
  const said: string[] = [];
  const silence = new Silence(({ measure }) => void said.push(measure));
  silence.note(measuring("geometry"));
  vi.advanceTimersByTime(4900);
  expect(said).toEqual([]);
  vi.advanceTimersByTime(200);
  expect(said).toEqual(["geometry"]);
  vi.advanceTimersByTime(29_000);
  expect(said).toEqual(["geometry"]);
  vi.advanceTimersByTime(2000);
  expect(said).toEqual(["geometry", "geometry"]);
  silence.end();
  vi.advanceTimersByTime(60_000);
  expect(said).toHaveLength(2);
});

it("many short measures are as silent as one long", () => {
  const said: string[] = [];
  const silence = new Silence(({ measure }) => void said.push(measure));
  for (let at = 0; at < 8; at++) {
    silence.note(measuring(`measure ${at}`));
    vi.advanceTimersByTime(1500);
  }
  expect(said).toEqual(["measure 3", "measure 6"]);
});

it("a line about the run begins the silence anew, and what is measured no more is not said", () => {
  const said: string[] = [];
  const silence = new Silence(({ measure }) => void said.push(measure));
  silence.note(measuring("geometry"));
  vi.advanceTimersByTime(4000);
  silence.note(stored);
  silence.broken();
  vi.advanceTimersByTime(60_000);
  expect(said).toEqual([]);
  silence.broken();
  silence.note(measuring("probe"));
  vi.advanceTimersByTime(4000);
  expect(said).toEqual([]);
});
