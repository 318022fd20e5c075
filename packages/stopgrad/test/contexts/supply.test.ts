// The supply as a whole: what it refuses, its state, what it keeps alive, and paths out of use.
import "../support/one-thread.js";
import { Generator, memory, noGrad, scope, type Tensor, zeros } from "@stopgrad/torch";
import { describe, expect, test } from "vitest";
import { ContextSupply, type FusionTerms, type History } from "../../src/contexts/index.js";
import { bytesOf, differing, expectClose, snapshot } from "../support/compare.js";
import { imagesOf, setState } from "../support/formula.js";
import { CUTS, FUSIONS, IMAGE, Modules, makeSupply, pass, settingsOf, TOPOLOGIES } from "./made.js";

const BATCH = 4;
const images = () => imagesOf("images", [BATCH, ...IMAGE]);
const feature = (at: number) => imagesOf(`features/${at}`, [BATCH, ...CUTS[at]!]);
/** A history with the combined features of all nodes before `node`. */
function historyAt(supply: ContextSupply, node: number): History {
  const history = supply.begin(images());
  for (let at = 0; at < node; at++) history.push(feature(at));
  return history;
}

describe("refusals", () => {
  const build = (changes: Partial<ConstructorParameters<typeof ContextSupply>[0]>) => () =>
    new ContextSupply({
      settings: settingsOf("E"),
      shapes: CUTS,
      image: IMAGE,
      generator: new Generator(1),
      ...changes,
    });

  test("one module, no source, vectors and tokens, vectors as input", () => {
    expect(build({ shapes: [] })).toThrow("context: expected at least two modules, got one");
    expect(build({ settings: { ...settingsOf("E"), fromInput: false } })).toThrow(
      "expected fromInput or previousModules",
    );
    expect(build({ shapes: [[6, 18, 14], [120]] })).toThrow(
      "context: expected the output of module 2 to be maps [C, H, W], got [120]; use context: none",
    );
    expect(build({ shapes: [[65, 192]] })).toThrow("module 1 to be maps [C, H, W], got [65, 192]");
    expect(build({ image: [784] })).toThrow("context: expected images to be maps [C, H, W], got [784]");
  });

  test("an option that a fusion does not have", () => {
    expect(() => makeSupply("E", "add", { start: 0.5 })).toThrow();
    expect(() => makeSupply("E", "gated", { start: 1 })).toThrow();
  });

  test("a node that is not there, and another number of modules", () => {
    scope(() => {
      const supply = makeSupply("R1");
      const history = supply.begin(images());
      expect(() => supply.enter(3, feature(0), history)).toThrow("expected a node from 0 to 2, got 3");
      expect(() => supply.forward(images(), [])).toThrow("expected 4 modules, got 0");
    });
  });

  test("a feature with gradients, one that was not pushed, one that was let go, and flags of another number", () => {
    scope(() => {
      const supply = makeSupply("R1");
      const history = supply.begin(images());
      expect(() => supply.enter(1, feature(1), history)).toThrow(
        "combined feature of node 0 in the history, but it was not",
      );
      expect(() => history.push(feature(0).requiresGrad_())).toThrow("combined feature of node 0 detached");
      history.push(feature(0));
      history.push(feature(1));
      expect(() => supply.nodes[1]!.backward(feature(1), history, feature(1))).toThrow("but it was let go");
      history.dispose();
      expect(() => supply.nodes[0]!.setActive([true, false])).toThrow("a flag for each of the 1 paths (image), got 2");
    });
  });
});

describe("state", () => {
  test("names and shapes", () => {
    const { nodes } = makeSupply("R2E", "gated");
    expect(nodes).toHaveLength(3);
    const shapes = Object.fromEntries(
      Array.from(makeSupply("R2E", "concatenate").stateDict(), ([name, { shape }]) => [name, shape.join("x")]),
    );
    const norm = (path: string, channels: number) => ({
      ...Object.fromEntries(
        ["weight", "bias", "running_mean", "running_var"].map((name) => [`${path}.${name}`, String(channels)]),
      ),
      [`${path}.num_batches_tracked`]: "",
    });
    const encoder = (node: number, channels: number) => ({
      [`nodes.${node}.input.conv1.weight`]: "12x3x3x3",
      [`nodes.${node}.input.conv1.bias`]: "12",
      ...norm(`nodes.${node}.input.bn1`, 12),
      [`nodes.${node}.input.conv2.weight`]: `${channels}x12x3x3`,
      [`nodes.${node}.input.conv2.bias`]: String(channels),
      ...norm(`nodes.${node}.input.bn2`, channels),
    });
    const transfer = (node: number, slot: number, from: number, to: number) => ({
      [`nodes.${node}.previous.${slot}.conv.weight`]: `${to}x${from}x1x1`,
      [`nodes.${node}.previous.${slot}.conv.bias`]: String(to),
      ...norm(`nodes.${node}.previous.${slot}.bn`, to),
    });
    const rest = (node: number, channels: number, paths: number) => ({
      [`nodes.${node}.active`]: String(paths),
      [`nodes.${node}.selected`]: "",
      [`nodes.${node}.fusion.weight`]: `${channels}x${(1 + paths) * channels}x1x1`,
      [`nodes.${node}.fusion.bias`]: String(channels),
    });
    expect(shapes).toEqual({
      ...encoder(0, 6),
      ...rest(0, 6, 1),
      ...encoder(1, 8),
      ...transfer(1, 0, 6, 8),
      ...rest(1, 8, 2),
      ...encoder(2, 8),
      ...transfer(2, 0, 8, 8),
      ...transfer(2, 1, 6, 8),
      ...rest(2, 8, 3),
    });
  });

  test("initial values: convolutions normal by fan-out, batch norm 1 and 0, biases PyTorch's", () => {
    const shapes = [
      [64, 8, 8],
      [64, 8, 8],
    ];
    const settings = settingsOf("R1E");
    const supply = new ContextSupply({ settings, shapes, image: [3, 32, 32], generator: new Generator(1) });
    const layers = new Map(supply.namedParameters());
    let convolutions = 0;
    for (const [name, parameter] of layers) {
      const numbers = parameter.toNumbers();
      if (parameter.dim === 4) {
        convolutions += 1;
        const deviation = Math.sqrt(2 / (parameter.size(0) * parameter.size(2) * parameter.size(3)));
        const found = Math.sqrt(numbers.reduce((sum, value) => sum + value * value, 0) / numbers.length);
        expect(Math.abs(found / deviation - 1), name).toBeLessThan(5 / Math.sqrt(2 * numbers.length));
        expect(Math.max(...numbers.map(Math.abs)), name).toBeGreaterThan(2 * deviation); // not uniform
      } else if (name.includes(".bn")) {
        expect(new Set(numbers), name).toEqual(new Set([name.endsWith("weight") ? 1 : 0]));
      } else {
        const { shape } = layers.get(name.replace(/bias$/, "weight"))!;
        const bound = 1 / Math.sqrt(shape[1]! * shape[2]! * shape[3]!);
        expect(Math.max(...numbers.map(Math.abs)), name).toBeLessThanOrEqual(bound);
        expect(Math.max(...numbers), name).toBeGreaterThan(0.5 * bound);
        expect(Math.min(...numbers), name).toBeLessThan(-0.5 * bound);
      }
    }
    expect(convolutions).toBe(2 * 2 + 1);
  });

  test("the generator decides the values, node by node: a longer chain starts with the same nodes", () => {
    const build = (cuts: number, seed = 1) =>
      snapshot(
        new ContextSupply({
          settings: settingsOf("R2E"),
          shapes: CUTS.slice(0, cuts),
          image: IMAGE,
          generator: new Generator(seed),
        }).stateDict(),
      );
    expect(differing(build(3), build(3))).toEqual([]);
    expect(differing(build(3), build(3, 2)).length).toBeGreaterThan(0);
    expect(differing(build(2), build(3)).every((name) => name.startsWith("nodes.2."))).toBe(true);
  });
});

describe("fusions", () => {
  /** The feature's own term and those of given contexts. */
  const sum = (fusion: FusionTerms, feature: Tensor, contexts: readonly Tensor[]) =>
    contexts.reduce((total, context, path) => total.add(fusion.ofContext(context, path)), fusion.forward(feature));
  const terms = (name: string, options: object = {}) => makeSupply("R2E", name, options).nodes[1]!.fusion;
  const map = (name: string) => imagesOf(name, [2, 8, 5, 3]);

  test("at the start, add and concatenate are the sum of all, gated of the feature and half of each context", () => {
    scope(() => {
      const [h, a, b] = [map("h"), map("a"), map("b")];
      const expected = h.add(a).add(b).toNumbers();
      expect(sum(terms("add"), h, [a, b]).toNumbers()).toEqual(expected);
      expectClose(sum(terms("concatenate"), h, [a, b]).toNumbers(), expected, 1e-6);
      expectClose(sum(terms("gated"), h, [a, b]).toNumbers(), h.add(a.add(b).mul(0.5)).toNumbers(), 1e-6);
      const open = sum(terms("gated", { start: 0.9 }), h, [a, b]);
      expectClose(open.toNumbers(), h.add(a.add(b).mul(0.9)).toNumbers(), 1e-6);
    });
  });
});

describe("what a history keeps alive", () => {
  // Features after each push, and what a pass must not free.
  test.each<[string, number[]]>([
    ["E", [0, 0, 0]],
    ["R1", [1, 1, 0]],
    ["R2", [1, 2, 0]],
    ["R1E", [1, 1, 0]],
    ["R2E", [1, 2, 0]],
    ["R16", [1, 2, 0]],
  ])("%s: %s features", (code, sizes) => {
    scope(() => {
      const supply = makeSupply(code);
      const before = memory().liveBytes;
      const history = supply.begin(images());
      const found = sizes.map((_, at) => {
        scope(() => history.push(feature(at)));
        return history.size;
      });
      expect(found).toEqual(sizes);
      expect(history.images.isDisposed).toBe(false);
      history.images.dispose();
      expect(memory().liveBytes).toBe(before);
    });
  });

  test("a path out of use keeps nothing", () => {
    scope(() => {
      const supply = makeSupply("R2");
      supply.nodes[2]!.setActive([true, false]);
      const history = supply.begin(images());
      history.push(feature(0));
      expect(history.size).toBe(1); // node 1 reads it
      history.push(feature(1));
      expect(history.size).toBe(1); // node 2 reads the second only
      supply.enter(2, feature(2), history);
      history.push(feature(2));
      expect(history.size).toBe(0);
    });
  });

  test("features live past the scope they were made in, and end with dispose", () => {
    scope(() => {
      const supply = makeSupply("R2");
      const { liveTensors } = memory();
      const input = images();
      const history = supply.begin(input);
      scope(() => history.push(feature(0)));
      expect(history.feature(0).isDisposed).toBe(false);
      history.dispose();
      input.dispose();
      expect(memory().liveTensors).toBe(liveTensors);
    });
  });

  test.each(TOPOLOGIES.flatMap((code) => [false, true].map((halves) => ({ code, halves }))))(
    "a pass leaves nothing behind: $code, in halves: $halves",
    ({ code, halves }) => {
      const [supply, modules] = [makeSupply(code, "concatenate"), new Modules()];
      const counts = [0, 1, 2].map(() => {
        scope(() => pass(supply, modules, images(), (output) => output.square().mean(), { halves }));
        for (const network of [supply, modules]) network.zeroGrad();
        const { liveTensors, liveBytes } = memory();
        return { liveTensors, liveBytes };
      });
      expect(counts[2]).toEqual(counts[1]);
      supply.dispose();
      modules.dispose();
    },
  );
});

describe("forward", () => {
  test.each(TOPOLOGIES)("%s: modules and nodes one after the other, as by hand", (code) => {
    scope(() => {
      const [supply, modules] = [makeSupply(code).eval(), new Modules()];
      setState(supply.stateDict());
      const bodies = [0, 1, 2, 3].map((at) => (input: Tensor) => modules.forward(input, at));
      const input = images();
      const { liveTensors } = memory();
      const output = noGrad(() => supply.forward(input, bodies));
      expect(memory().liveTensors).toBe(liveTensors + 1);
      const history = supply.begin(input);
      let features = modules.forward(input, 0);
      for (let at = 0; at < 3; at++) {
        const entry = supply.enter(at, features, history);
        features = modules.forward(entry, at + 1);
        history.push(entry.detach());
      }
      expect(Buffer.compare(bytesOf(output), bytesOf(features))).toBe(0);
      expect(input.isDisposed).toBe(false);
    });
  });

  test("modules that give what they get free nothing of the caller's", () => {
    scope(() => {
      const shapes = [IMAGE, IMAGE];
      const supply = new ContextSupply({
        settings: settingsOf("R2"),
        shapes,
        image: IMAGE,
        generator: new Generator(1),
      });
      const input = images();
      const output = supply.eval().forward(input, [(x) => x, (x) => x, (x) => x]);
      expect(output.shape).toEqual([BATCH, ...IMAGE]);
      expect(output.toNumbers().every(Number.isFinite)).toBe(true);
      expect(input.isDisposed).toBe(false);
    });
  });

  test("images of another size than it was made for", () => {
    scope(() => {
      const supply = makeSupply("R2E").eval();
      const modules = new Modules();
      const output = supply.forward(
        zeros([2, 3, 23, 9]),
        [0, 1, 2, 3].map((at) => (input: Tensor) => modules.forward(input, at)),
      );
      expect(output.shape).toEqual([2, 10, 6, 3]);
    });
  });
});

describe("paths out of use", () => {
  test.each([
    ["add", 0, 0],
    ["gated", 8, 0],
    ["concatenate", 8 * 8, 8 * 8 + 8],
  ] as const)("%s: they do not count among the parameters in use", (fusion, ofPath, own) => {
    const supply = makeSupply("R2E", fusion);
    const node = supply.nodes[2]!; // 8 channels, from maps of 8 and 6 channels, and from images
    const encoder = 3 * 12 * 9 + 12 + 2 * 12 + (12 * 8 * 9 + 8 + 2 * 8);
    const [near, far] = [8 * 8 + 8 + 2 * 8, 6 * 8 + 8 + 2 * 8];
    expect(node.parametersInUse).toBe(own + encoder + near + far + 3 * ofPath);
    const all = supply.parameters().reduce((sum, { numel }) => sum + numel, 0);
    expect(supply.parametersInUse).toBe(all);
    node.setActive([false, true, false]);
    expect(node.parametersInUse).toBe(own + near + ofPath);
    expect(supply.parametersInUse).toBe(all - encoder - far - 2 * ofPath);
    node.setActive([false, false, false]);
    expect(node.parametersInUse).toBe(own);
  });

  test.each(FUSIONS)("%s: as if the context were zeros; neither trained nor computed", (fusion) => {
    scope(() => {
      const supply = makeSupply("R2E", fusion);
      setState(supply.stateDict());
      const node = supply.nodes[2]!;
      const entered = () => node.forward(feature(2), historyAt(supply, 2));
      node.eval();
      const trial = node.forward(feature(2), historyAt(supply, 2), [true, false, true]);
      expect(node.activePaths).toEqual([true, true, true]);
      node.setActive([true, false, true]);
      expect(Buffer.compare(bytesOf(trial), bytesOf(entered()))).toBe(0);

      // Zeros in the middle context: its network gives max(0, 0) everywhere.
      const { weight, bias } = node.previous[0]!.bn;
      const kept = [weight!, bias!].map((parameter) => parameter.detach().clone());
      node.setActive([true, true, true]);
      noGrad(() => [weight!.zero_(), bias!.zero_()]);
      expectClose(entered().toNumbers(), trial.toNumbers(), 1e-6);
      noGrad(() => [weight!.copy_(kept[0]!), bias!.copy_(kept[1]!)]);

      node.setActive([true, false, true]);
      node.train();
      entered().square().mean().backward();
      const graded = [...node.namedParameters()].filter(([, { grad }]) => grad !== null).map(([name]) => name);
      expect(graded.some((name) => name.startsWith("previous.0"))).toBe(false);
      expect(graded.some((name) => name.startsWith("previous.1"))).toBe(true);
      expect(node.previous[0]!.bn.numBatchesTracked!.item()).toBe(0);
      expect(node.previous[1]!.bn.numBatchesTracked!.item()).toBe(1);
    });
  });

  test("with none in use, add and gated give the feature, concatenate its projection", () => {
    scope(() => {
      for (const fusion of FUSIONS) {
        const supply = makeSupply("R1E", fusion);
        const node = supply.nodes[0]!;
        expect(node.learns).toBe(true);
        node.setActive([false]);
        expect(node.learns).toBe(fusion === "concatenate");
        const own = feature(0);
        const entry = node.forward(own, historyAt(supply, 0));
        expect(entry.toNumbers()).toEqual(own.toNumbers()); // concatenate starts as the identity
        expect(entry.requiresGrad).toBe(fusion === "concatenate");
        expect(entry).not.toBe(own);
      }
    });
  });

  test("are in the state dict, and follow it when it is loaded", () => {
    scope(() => {
      const [one, other] = [makeSupply("R2E"), makeSupply("R2E")];
      one.nodes[1]!.select([false, true]);
      one.nodes[2]!.setActive([true, true, false]);
      expect(other.nodes[1]!.activePaths).toEqual([true, true]);
      other.loadStateDict(one.stateDict());
      expect(other.nodes[1]!.activePaths).toEqual([false, true]);
      expect(other.nodes.map(({ isSelected }) => isSelected)).toEqual([false, true, false]);
      expect(one.stateDict().get("nodes.1.active")!.dtype).toBe("uint8");
    });
  });
});

test("bfloat16: nodes compute and give 16 bits, parameters and their gradients stay float32", () => {
  scope(() => {
    for (const fusion of FUSIONS) {
      const supply = makeSupply("R2E", fusion).usePrecision("bfloat16");
      setState(supply.stateDict());
      const node = supply.nodes[2]!;
      const own = feature(2).to("bfloat16");
      const history = supply.begin(images());
      for (let at = 0; at < 2; at++) history.push(feature(at).to("bfloat16"));
      const entry = node.forward(own, history);
      expect(entry.dtype).toBe("bfloat16");
      node.backward(own, history, entry.detach());
      for (const [name, parameter] of node.namedParameters()) expect(parameter.grad!.dtype, name).toBe("float32");
      const full = makeSupply("R2E", fusion);
      setState(full.stateDict());
      expectClose(entry.toNumbers(), full.enter(2, feature(2), historyAt(full, 2)).toNumbers(), 0.1);
    }
  });
});
