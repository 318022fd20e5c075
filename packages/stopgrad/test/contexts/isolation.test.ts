// The promise of every node: it learns from the loss of the module that follows, and from nothing else; and no loss
// reaches another module through a context.
import "../support/one-thread.js";
import { grad, type Parameter, scope } from "@stopgrad/torch";
import { describe, expect, test } from "vitest";
import { bytesOf } from "../support/compare.js";
import { imagesOf } from "../support/formula.js";
import { FUSIONS, IMAGE, Modules, makeSupply, pass, TOPOLOGIES } from "./made.js";

const cases = TOPOLOGIES.flatMap((code) => FUSIONS.map((fusion) => ({ code, fusion })));

describe.each(cases)("$code with $fusion", ({ code, fusion }) => {
  const make = () => {
    const [supply, modules] = [makeSupply(code, fusion), new Modules()];
    const parameters = new Map<string, Parameter>([
      ...Array.from(modules.namedParameters(), ([name, p]) => [`modules.${name}`, p] as const),
      ...supply.namedParameters(),
    ]);
    const images = imagesOf("images", [4, ...IMAGE]);
    return { supply, modules, parameters, images };
  };
  const namesFor = (names: Iterable<string>, at: number) =>
    [...names].filter((name) => name.startsWith(`modules.${at}.`) || name.startsWith(`nodes.${at - 1}.`)).sort();

  test("the loss of a module depends on its own parameters, on all of the node before it, and on nothing else", () => {
    scope(() => {
      const { supply, modules, parameters, images } = make();
      const reached: string[][] = [];
      pass(supply, modules, images, (output) => {
        const loss = output.square().mean();
        const found = grad([loss], [...parameters.values()], { retainGraph: true, allowUnused: true });
        reached.push([...parameters.keys()].filter((_, at) => found[at] !== null).sort());
        return loss;
      });
      expect(reached).toHaveLength(4);
      for (const [at, names] of reached.entries()) expect(names).toEqual(namesFor(parameters.keys(), at));
    });
  });

  test.each([false, true])(
    "in halves: %s; gradients come with a module's pass, and no later one adds to them",
    (halves) => {
      scope(() => {
        const { supply, modules, parameters, images } = make();
        const graded = () =>
          new Map([...parameters].flatMap(([name, { grad }]) => (grad ? [[name, bytesOf(grad)] as const] : [])));
        const before: ReturnType<typeof graded>[] = [];
        const lossOf = (output: Parameters<Parameters<typeof pass>[3]>[0]) => {
          before.push(graded());
          return output.square().mean();
        };
        pass(supply, modules, images, lossOf, { halves });
        before.push(graded());
        expect(before[0]!.size).toBe(0);
        for (let at = 0; at < 4; at++) {
          const [earlier, later] = [before[at]!, before[at + 1]!];
          expect([...later.keys()].filter((name) => !earlier.has(name)).sort()).toEqual(
            namesFor(parameters.keys(), at),
          );
          for (const [name, bytes] of earlier) expect(Buffer.compare(bytes, later.get(name)!), name).toBe(0);
        }
        expect(before[4]!.size).toBe(parameters.size);
      });
    },
  );
});

test.each(cases)(
  "images that ask for gradients, and features with a graph, get none from a node: $code, $fusion",
  (made) => {
    scope(() => {
      const [supply, modules] = [makeSupply(made.code, made.fusion), new Modules()];
      const images = imagesOf("images", [4, ...IMAGE]).requiresGrad_();
      const history = supply.begin(images);
      const entry = supply.enter(0, modules.forward(images), history);
      entry.square().mean().backward();
      expect(supply.nodes[0]!.parameters().every(({ grad }) => grad !== null)).toBe(true);
      expect(images.grad).toBeNull();
      expect(modules.parameters().every(({ grad }) => grad === null)).toBe(true);
      history.dispose();
    });
  },
);
