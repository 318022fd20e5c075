// A node in two halves, `forwardDetached` and `backward`: the same numbers as the ordinary way, with less memory.
import "../support/one-thread.js";
import { Generator, memory, resetPeakBytes, scope, type Tensor } from "@stopgrad/torch";
import { describe, expect, test } from "vitest";
import { ContextSupply } from "../../src/contexts/index.js";
import { bytesOf, differing, snapshot } from "../support/compare.js";
import { imagesOf, setState, summaryOf } from "../support/formula.js";
import { FUSIONS, IMAGE, Modules, makeSupply, pass, settingsOf, TOPOLOGIES } from "./made.js";

const lossOf = (output: Tensor) => output.square().mean();

/** Every gradient, parameter and buffer after a pass. */
function after(code: string, fusion: string, halves: boolean, active?: readonly boolean[]) {
  return scope(() => {
    const [supply, modules] = [makeSupply(code, fusion), new Modules()];
    setState(supply.stateDict());
    if (active) supply.nodes[2]!.setActive(active);
    pass(supply, modules, imagesOf("images", [4, ...IMAGE]), lossOf, { halves });
    const gradients = [...supply.namedParameters(), ...modules.namedParameters()].flatMap(([name, { grad }]) =>
      grad ? [[`gradient of ${name}`, bytesOf(grad)] as const] : [],
    );
    return new Map([...gradients, ...snapshot(supply.stateDict())]);
  });
}

describe.each(FUSIONS)("%s", (fusion) => {
  test.each(TOPOLOGIES)("%s: every gradient and running statistic, bit for bit", (code) => {
    const ordinary = after(code, fusion, false);
    expect([...ordinary.keys()].filter((name) => name.startsWith("gradient of")).length).toBeGreaterThanOrEqual(20);
    expect(differing(ordinary, after(code, fusion, true))).toEqual([]);
  });

  test("with paths out of use", () => {
    for (const active of [
      [false, true, false],
      [false, false, false],
    ]) {
      expect(differing(after("R2E", fusion, false, active), after("R2E", fusion, true, active))).toEqual([]);
    }
  });
});

test("the second half leaves running statistics alone, and switches them on again", () => {
  scope(() => {
    const supply = makeSupply("R1");
    const history = supply.begin(imagesOf("images", [4, ...IMAGE]));
    const node = supply.nodes[0]!;
    const features = imagesOf("features", [4, 6, 18, 14]);
    node.forwardDetached(features, history);
    const moved = snapshot(supply.stateDict());
    node.backward(features, history, features);
    expect(differing(moved, snapshot(supply.stateDict()))).toEqual([]);
    node.forwardDetached(features, history);
    expect(node.previous[0]!.bn.numBatchesTracked!.item()).toBe(2);
  });
});

test.each(FUSIONS)("%s: an encoder of 40 channels, which is differentiated in shares", (fusion) => {
  scope(() => {
    const make = () => {
      const supply = new ContextSupply({
        settings: settingsOf("E", fusion),
        shapes: [[40, 4, 5]],
        image: IMAGE,
        generator: new Generator(1),
      });
      setState(supply.stateDict());
      return supply;
    };
    const [images, features, gradient] = [
      imagesOf("images", [4, ...IMAGE]),
      imagesOf("features", [4, 40, 4, 5]),
      imagesOf("gradient", [4, 40, 4, 5]),
    ];
    for (const training of [true, false]) {
      const [ordinary, halves] = [make().train(training), make().train(training)];
      const whole = ordinary.enter(0, features, ordinary.begin(images));
      whole.backward({ gradient });
      const [node] = halves.nodes;
      const detached = node!.forwardDetached(features, halves.begin(images));
      expect(Buffer.compare(bytesOf(detached), bytesOf(whole))).toBe(0);
      node!.backward(features, halves.begin(images), gradient);
      expect(differing(snapshot(ordinary.stateDict()), snapshot(halves.stateDict()))).toEqual([]);
      const expected = new Map(ordinary.namedParameters());
      const largest = Math.max(...ordinary.parameters().map(({ grad }) => summaryOf(grad!)[0]));
      for (const [name, { grad }] of halves.namedParameters()) {
        const error = summaryOf(grad!.sub(expected.get(name)!.grad!))[0];
        expect(error, name).toBeLessThan(2e-6 * largest);
      }
    }
  });
});

describe("memory of a node with an encoder and two slots, 32 channels at 32x32", () => {
  const BATCH = 16;
  /** Bytes of a map of the node's channels at the images' resolution. */
  const MAP = BATCH * 32 * 32 * 32 * 4;

  /** Most bytes beyond what is there before, of the two parts of a node's work. */
  function bytesOfNode(halves: boolean) {
    return scope(() => {
      const shape = [32, 32, 32];
      const supply = new ContextSupply({
        settings: settingsOf("R2E"),
        shapes: [shape, shape, shape],
        image: [3, 32, 32],
        generator: new Generator(1),
      });
      const node = supply.nodes[2]!;
      const map = (name: string) => imagesOf(name, [BATCH, ...shape]);
      const history = supply.begin(imagesOf("images", [BATCH, 3, 32, 32]));
      for (let at = 0; at < 2; at++) history.push(map(`feature/${at}`));
      const [features, gradient] = [map("features"), map("gradient")];
      let held = 0;
      const run = () =>
        scope(() => {
          const entry = halves ? node.forwardDetached(features, history) : node.forward(features, history);
          held = memory().liveBytes;
          if (halves) node.backward(features, history, gradient);
          else entry.backward({ gradient });
        });
      run(); // makes the gradients
      resetPeakBytes();
      const before = memory().liveBytes;
      run();
      const found = { peak: (memory().peakBytes - before) / MAP, held: (held - before) / MAP };
      history.dispose();
      return found;
    });
  }

  // In units of MAP, by hand. Saved by the encoder: 12/32 twice, its second convolution and what follows: 2.75. By a
  // transfer: the convolution and what follows: 2. The sum itself: 1.
  const encoder = 2 + 24 / 32;
  const transfer = 2;

  test("the ordinary way holds every path until the following module is done", () => {
    const { held, peak } = bytesOfNode(false);
    expect(held).toBeGreaterThan(1 + encoder + 2 * transfer - 0.01);
    expect(held).toBeLessThan(1 + encoder + 2 * transfer + 0.1);
    expect(peak).toBeGreaterThan(held);
  });

  test("in halves it holds the sum, and while it works one path's activations and their gradients", () => {
    const { held, peak } = bytesOfNode(true);
    expect(held).toBeGreaterThan(0.99);
    expect(held).toBeLessThan(1.1);
    // In a transfer's backward pass the sum, its two maps, and two gradients of a map; the encoder takes half of its
    // channels at a time.
    expect(peak).toBeLessThan(1 + transfer + 2.1);
    expect(peak).toBeLessThan(bytesOfNode(false).peak - transfer - encoder / 2);
  });
});
