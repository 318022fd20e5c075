// What heads and the probe see of a transformer's tokens [T, D]: the class token, behind a layer norm and as it is.
import "../support/one-thread.js";
import { Generator, memory, scope } from "@stopgrad/torch";
import { expect, test } from "vitest";
import { heads, pooledFlatten } from "../../src/heads/index.js";
import { probe } from "../../src/measures/probe.js";
import { expectClose } from "../support/compare.js";
import { imagesOf } from "../support/formula.js";
import { countParameters } from "../support/networks.js";

const [tokens, size] = [5, 8];

/** Of each example, its first token: less the mean, over the deviation, by hand. */
function normalised(first: number[][]): number[] {
  return first.flatMap((row) => {
    const mean = row.reduce((sum, v) => sum + v, 0) / row.length;
    const variance = row.reduce((sum, v) => sum + (v - mean) ** 2, 0) / row.length;
    return row.map((v) => (v - mean) / Math.sqrt(variance + 1e-5));
  });
}

const rowsOf = (values: number[]) => [0, 1, 2].map((n) => values.slice(n * tokens * size, n * tokens * size + size));

test("linear and mlp heads read the class token behind a layer norm", () => {
  scope(() => {
    const input = imagesOf("tokens", [3, tokens, size]);
    const { layers, features } = pooledFlatten([tokens, size]);
    expect(features).toBe(size);
    const seen = layers.reduce((value, layer) => layer.forward(value), input);
    expect(seen.shape).toEqual([3, size]);
    expectClose(seen.toNumbers(), normalised(rowsOf(input.toNumbers())), 1e-6);

    const context = { shape: [tokens, size], classes: 7, outputs: "classes", generator: new Generator(1) } as const;
    const [linear, mlp] = [heads.linear.create({}, context)!, heads.mlp.create({}, context)!];
    expect(countParameters(linear)).toBe(2 * size + (size + 1) * 7);
    expect(countParameters(mlp)).toBe(2 * size + (size + 1) * size + (size + 1) * 7);
    for (const head of [linear, mlp]) expect(head.forward(input).shape).toEqual([3, 7]);
    // What other tokens hold does not matter, and every scale of the class token reads alike.
    const other = input.clone();
    other.narrow(1, 1, tokens - 1).fill_(9);
    expect(linear.forward(other).toNumbers()).toEqual(linear.forward(input).toNumbers());
    expectClose(linear.forward(input.mul(3)).toNumbers(), linear.forward(input).toNumbers(), 1e-4);
  });
});

test("the norm takes features in 16 bits", () => {
  scope(() => {
    const input = imagesOf("tokens", [3, tokens, size]).to("bfloat16");
    const { layers } = pooledFlatten([tokens, size]);
    const seen = layers.reduce((value, layer) => layer.forward(value), input);
    expect(seen.dtype).toBe("float32");
    expectClose(seen.toNumbers(), normalised(rowsOf(input.to("float32").toNumbers())), 1e-6);
  });
});

test("the probe sees the class token as it is, and keeps no other alive", () => {
  scope(() => {
    const input = imagesOf("tokens", [3, tokens, size]);
    const rows = rowsOf(input.toNumbers()).flat();
    const before = memory();
    const reduced = scope(() => probe.reduce(input.clone()));
    expect(reduced.shape).toEqual([3, size]);
    expect(reduced.toNumbers()).toEqual(rows);
    expect(memory().liveBytes - before.liveBytes).toBeLessThan(4 * 3 * size * 2);
    expect(memory().liveTensors - before.liveTensors).toBe(1);
  });
});
