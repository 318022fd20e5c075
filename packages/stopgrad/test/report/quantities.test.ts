import { describe, expect, it } from "vitest";
import { measures } from "../../src/measures/index.js";
import { families, familyOf, quantityOf, scaleOf, titleWithUnit } from "../../src/report/quantities.js";

/** Every key under which a run stores a number of a stage. */
const keys = Object.values(measures).flatMap((measure): string[] => {
  if (measure.kind === "pair") return [];
  if (measure.kind === "probe") return [`${measure.key}Train`, `${measure.key}Test`];
  if (measure.kind === "streamed") return [...measure.keys];
  return measure.keys.map(({ key }) => key);
});

describe("quantities of reports", () => {
  it("explain every number that a measure finds, in one line", () => {
    expect(keys.length).toBeGreaterThan(30);
    for (const key of [...keys, "hsicXZ", "hsicYZ", "ckaXZ", "ckaYZ"]) {
      const { says } = quantityOf(key);
      expect(says, key).not.toBe("");
      expect(says, key).not.toMatch(/\n|\.$/);
    }
  });

  it("each belongs to one family; others to the last", () => {
    const all = families.flatMap(({ quantities }) => Object.keys(quantities));
    expect(new Set(all).size).toBe(all.length);
    expect(["J", "nc1", "knnTest", "mineYZ", "hsicXZ"].map(familyOf)).toEqual([
      "entanglement",
      "geometry",
      "probes",
      "mutual-information",
      "dependence",
    ]);
    for (const name of ["mine", "toString", "__proto__"]) {
      expect(familyOf(name)).toBe("other");
      expect(titleWithUnit(name)).toMatch(/^[A-Z_]/);
    }
  });

  it("shares are shown in percent", () => {
    expect(scaleOf("knnTest")).toEqual({ times: 100, possible: [0, 100] });
    expect(scaleOf("J").times).toBe(1);
    expect(titleWithUnit("slack")).toBe("Slack of the bound (nats)");
  });
});
