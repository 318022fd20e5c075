// The papers' codes, the slot rule and the names of paths: no tensors.
import { describe, expect, test } from "vitest";
import { type ContextTopology, contextCode, parseContextCode } from "../../src/contexts/code.js";
import { pathName, pathsOf } from "../../src/contexts/paths.js";

const from = (fromInput: boolean, previousModules: number): ContextTopology => ({ fromInput, previousModules });

const codes: [code: string, topology: ContextTopology | null][] = [
  ["none", null],
  ["R0", null],
  ["E", from(true, 0)],
  ["R1", from(false, 1)],
  ["R1E", from(true, 1)],
  ["R2", from(false, 2)],
  ["R4E", from(true, 4)],
  ["R16", from(false, 16)],
  ["R16E", from(true, 16)],
  ["R120E", from(true, 120)],
];

describe("codes", () => {
  test.each(codes)("%s", (code, topology) => {
    for (const written of [code, code.toLowerCase(), code.toUpperCase(), ` ${code} `]) {
      expect(parseContextCode(written)).toEqual(topology);
      expect(parseContextCode(`ContSup[${written}]`)).toEqual(topology);
      expect(parseContextCode(`contsup [${written}] `)).toEqual(topology);
    }
  });

  test("what is no code", () => {
    const others = ["", " ", "R", "RE", "ER1", "R-1", "R1.5", "R01", "R1EE", "1", "X", "R1E]", "[R1E]", "ContSup[]"];
    for (const other of [...others, "ContSup", "ContSup[R1E", "ContSup R1E", "R1 E", "R1000", "R0E"]) {
      expect(parseContextCode(other), other).toBeUndefined();
    }
  });

  test.each(codes)("%s is written back", (code, topology) => {
    expect(contextCode(topology)).toBe(topology ? code : "R0");
  });

  test("a topology without any source is none", () => {
    expect(contextCode(from(false, 0))).toBe("R0");
  });
});

describe("slot rule", () => {
  const named = (topology: ContextTopology) =>
    [0, 1, 2, 3].map((node) => pathsOf(topology, node).map(pathName).join(" + "));

  // By hand from the released code: the image is in slot 0 of node 0 unless an encoder sees it, then everything shifts.
  test.each<[string, string[]]>([
    ["E", ["input", "input", "input", "input"]],
    ["R1", ["image", "module 1", "module 2", "module 3"]],
    ["R2", ["image", "module 1 + image", "module 2 + module 1", "module 3 + module 2"]],
    ["R3", ["image", "module 1 + image", "module 2 + module 1 + image", "module 3 + module 2 + module 1"]],
    ["R16", ["image", "module 1 + image", "module 2 + module 1 + image", "module 3 + module 2 + module 1 + image"]],
    ["R1E", ["input", "input + module 1", "input + module 2", "input + module 3"]],
    ["R2E", ["input", "input + module 1", "input + module 2 + module 1", "input + module 3 + module 2"]],
    ["R16E", ["input", "input + module 1", "input + module 2 + module 1", "input + module 3 + module 2 + module 1"]],
  ])("%s", (code, expected) => {
    expect(named(parseContextCode(code)!)).toEqual(expected);
  });

  test("is that of a list which is shifted by one after every node", () => {
    for (const fromInput of [false, true]) {
      for (let slots = 0; slots <= 17; slots++) {
        let list: string[] = Array<string>(slots).fill("");
        if (slots > 0 && !fromInput) list[0] = "image";
        for (let node = 0; node < 20; node++) {
          const expected = [...(fromInput ? ["input"] : []), ...list.filter((slot) => slot !== "")];
          expect(pathsOf(from(fromInput, slots), node).map(pathName)).toEqual(expected);
          list = [`module ${node + 1}`, ...list].slice(0, slots);
        }
      }
    }
  });
});
