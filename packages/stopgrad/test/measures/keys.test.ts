// Every number that is stored of a stage has a name of its own, whatever measures a run takes.
import { expect, test } from "vitest";
import { type Measure, measures } from "../../src/measures/index.js";

function keysOf(name: string, measure: Measure): readonly string[] {
  switch (measure.kind) {
    case "pair":
      return [`${name}XZ`, `${name}YZ`];
    case "probe":
      return [`${measure.key}Train`, `${measure.key}Test`];
    case "sample":
      return measure.keys.map(({ key }) => key);
    case "streamed":
      return measure.keys;
  }
}

test("no two measures store a number under one key", () => {
  const keys = Object.entries(measures).flatMap(([name, measure]) => keysOf(name, measure));
  expect(keys.length).toBeGreaterThan(40);
  expect(keys.filter((key, at) => keys.indexOf(key) !== at)).toEqual([]);
});
