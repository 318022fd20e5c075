// What contexts cost at inference: multiply-adds and parameters beside the plain backbone's, ResNets on 32x32 images cut
// by the equal partition.
import "../support/one-thread.js";
import { countMultiplyAdds, Generator, noGrad, scope, zeros } from "@stopgrad/torch";
import { describe, expect, test } from "vitest";
import { ContextSupply } from "../../src/contexts/index.js";
import { moduleSizes } from "../../src/experiment/partition.js";
import { type Backbone, forwardThrough, stageShapes } from "../../src/models/index.js";
import { countParameters, makeBackbone } from "../support/networks.js";
import { settingsOf } from "./made.js";

const IMAGE = [3, 32, 32] as const;

function plain(model: "resnet32" | "resnet110"): { backbone: Backbone; multiplyAdds: number } {
  const backbone = makeBackbone({ model, options: {}, inputShape: IMAGE }).eval();
  const { forward } = countMultiplyAdds(() => noGrad(() => scope(() => void backbone.forward(zeros([1, ...IMAGE])))));
  return { backbone, multiplyAdds: forward };
}

function supplied(backbone: Backbone, code: string, modules: number, fusion?: string) {
  const { stages, classifier } = backbone;
  const shapes = stageShapes(backbone, IMAGE);
  let end = 0;
  const cut = moduleSizes(modules, stages.length).map((size) => {
    const mine = stages.slice(end, end + size);
    end += size;
    return { mine, shape: shapes[end - 1]! };
  });
  const supply = new ContextSupply({
    settings: settingsOf(code, fusion),
    shapes: cut.slice(0, -1).map(({ shape }) => shape),
    image: IMAGE,
    generator: new Generator(1),
  }).eval();
  const bodies = cut.map(({ mine }, at) => {
    const all = at === cut.length - 1 ? [...mine, classifier!] : mine;
    return (input: Parameters<typeof forwardThrough>[1]) => forwardThrough(all, input);
  });
  const { forward } = countMultiplyAdds(() =>
    noGrad(() => scope(() => void supply.forward(zeros([1, ...IMAGE]), bodies))),
  );
  return { supply, multiplyAdds: forward };
}

/** Relative to the plain backbone, in per cent, at K = 2, 4, 8, 16. */
const table = [
  ["resnet32", "E", [5.6, 19.4, 41.8, 89.1]],
  ["resnet32", "R1", [0.1, 1.6, 3.1, 6.1]],
  ["resnet110", "E", [1.5, 5.3, 12.1, 24.3]],
  ["resnet110", "R1", [0.0, 0.4, 0.8, 1.7]],
] as const;

test.each(table)("%s [%s] at K = 2, 4, 8, 16: %j per cent more multiply-adds", (model, code, expected) => {
  const { backbone, multiplyAdds } = plain(model);
  const found = [2, 4, 8, 16].map((modules) => {
    const more = supplied(backbone, code, modules).multiplyAdds - multiplyAdds;
    return Math.round((1000 * more) / multiplyAdds) / 10;
  });
  expect(found).toEqual(expected);
});

describe("ResNet-32 at K = 16", () => {
  const { backbone } = plain("resnet32");

  test.each([
    ["E", 62_232, 13.3],
    ["R1", 21_808, 4.7],
  ] as const)("[%s]: %i parameters more, %f per cent", (code, parameters, percent) => {
    const { supply } = supplied(backbone, code, 16);
    expect(countParameters(supply)).toBe(parameters);
    expect(Math.round((1000 * parameters) / countParameters(backbone)) / 10).toBe(percent);
  });

  test("a path out of use costs nothing", () => {
    const { supply, multiplyAdds } = supplied(backbone, "E", 16);
    const features = zeros([1, 16, 32, 32]);
    const cost = () =>
      countMultiplyAdds(() =>
        noGrad(() => scope(() => void supply.enter(0, features, supply.begin(zeros([1, ...IMAGE]))))),
      ).forward;
    // Two 3x3 convolutions at 32x32: 3 -> 12 -> 16 channels.
    expect(cost()).toBe(9 * (3 * 12 + 12 * 16) * 32 * 32);
    supply.nodes[0]!.setActive([false]);
    expect(cost()).toBe(0);
    expect(multiplyAdds).toBeGreaterThan(0);
  });

  test("concatenation adds a 1x1 convolution of every part", () => {
    const shape = (node: number) => (node < 6 ? [16, 1024] : node < 11 ? [32, 256] : [64, 64]);
    const extra = Array.from({ length: 15 }, (_, node) => shape(node)).reduce(
      (sum, [c, hw]) => sum + 2 * c! * c! * hw!,
      0,
    );
    const [added, projected] = [supplied(backbone, "E", 16), supplied(backbone, "E", 16, "concatenate")];
    expect(projected.multiplyAdds - added.multiplyAdds).toBe(extra);
  });
});
