// Encoders, fusions and whole chains of nodes against PyTorch 1.13 (fixtures/record-contexts.py).
import "../support/one-thread.js";
import { readFileSync } from "node:fs";
import { Generator, type nn, scope, type Tensor } from "@stopgrad/torch";
import { describe, expect, test } from "vitest";
import { FeatureTransfer, InputEncoder } from "../../src/contexts/index.js";
import { expectClose } from "../support/compare.js";
import { imagesOf, type Summary, setState, summaryError, summaryOf } from "../support/formula.js";
import { IMAGE, Modules, makeSupply, pass } from "./made.js";

interface Single {
  output: Summary;
  gradients: Record<string, Summary>;
  buffers: Record<string, Summary>;
}
interface Chain {
  losses: number[];
  combined: Summary[];
  gradients: Record<string, Summary>;
  moduleGradients: Record<string, Summary>;
  buffers: Record<string, Summary>;
}
const recorded = JSON.parse(readFileSync(new URL("../fixtures/contexts.json", import.meta.url), "utf8")) as {
  encoder: Record<string, Single>;
  transfer: Record<string, Single>;
  chains: Record<string, { train: Chain; eval: Chain }>;
};

const TOLERANCE = 2e-5;
/** A bias before batch norm has no gradient in training: what is recorded is rounding. Part of the largest gradient. */
const NOTHING = 1e-6;

function expectSummary(what: string, actual: Tensor, expected: Summary | undefined, nothing = 0): void {
  expect(expected, `recorded ${what}`).toBeDefined();
  const found = summaryOf(actual);
  if (expected![0] < nothing) expect(found[0], what).toBeLessThan(nothing);
  else expect(summaryError(found, expected!, actual.numel), what).toBeLessThan(TOLERANCE);
}

function expectGradients(network: nn.Module, expected: Record<string, Summary>): void {
  const parameters = [...network.namedParameters()];
  expect(parameters.map(([name]) => name).sort()).toEqual(Object.keys(expected).sort());
  const nothing = NOTHING * Math.max(...Object.values(expected).map(([norm]) => norm));
  for (const [name, { grad }] of parameters) {
    expect(grad, `gradient of ${name}`).not.toBeNull();
    expectSummary(`gradient of ${name}`, grad!, expected[name], nothing);
  }
}

function expectBuffers(network: nn.Module, expected: Record<string, Summary>): void {
  const buffers = [...network.namedBuffers()].filter(([name]) => !/(active|selected)$/.test(name));
  expect(buffers.map(([name]) => name).sort()).toEqual(Object.keys(expected).sort());
  for (const [name, buffer] of buffers) expectSummary(name, buffer, expected[name]);
}

/** Σ output · formula / entries: a loss whose gradient is a formula. */
const probed = (output: Tensor, name: string) => output.mul(imagesOf(name, output.shape)).mean();

const sizes = { smaller: [4, 4], "not dividing": [5, 3], larger: [24, 20], same: [16, 12] } as const;

describe.each(Object.entries(sizes))("to a map that is %s", (name, size) => {
  test.each([
    ["encoder", 3, () => new InputEncoder(3, 8, new Generator(1))],
    ["transfer", 6, () => new FeatureTransfer(6, 8, new Generator(1))],
  ] as const)("%s", (kind, channels, make) => {
    scope(() => {
      const expected = recorded[kind][name]!;
      const network = make();
      setState(network.stateDict());
      const output = network.forward(imagesOf("source", [4, channels, 16, 12]), size);
      expect(output.shape).toEqual([4, 8, ...size]);
      expectSummary("output", output, expected.output);
      probed(output, "loss").backward();
      expectGradients(network, expected.gradients);
      expectBuffers(network, expected.buffers);
    });
  });
});

const chains = Object.keys(recorded.chains).flatMap((name) =>
  (["train", "eval"] as const).flatMap((mode) => [false, true].map((halves) => ({ name, mode, halves }))),
);

describe.each(chains)("chain $name, $mode, in halves: $halves", ({ name, mode, halves }) => {
  test("combined features, losses, every gradient, running statistics", () => {
    scope(() => {
      const expected = recorded.chains[name]![mode];
      const [code, fusion] = name.split(" ") as [string, string];
      const supply = makeSupply(code, fusion).train(mode === "train");
      const modules = new Modules();
      setState(supply.stateDict());
      setState(new Map(Array.from(modules.stateDict(), ([path, entry]) => [`modules.${path}`, entry])));
      const losses: number[] = [];
      let node = 0;
      const lossOf = (output: Tensor, at: number) => {
        const loss = probed(output, `loss/${at}`);
        losses.push(loss.item());
        return loss;
      };
      const entered = (entry: Tensor) => {
        expectSummary(`combined feature ${node}`, entry, expected.combined[node]);
        node += 1;
      };
      pass(supply, modules, imagesOf("images", [4, ...IMAGE]), lossOf, { halves, entered });
      expect(node).toBe(expected.combined.length);
      expectClose(losses, expected.losses, TOLERANCE);
      expectGradients(supply, expected.gradients);
      expectGradients(modules, expected.moduleGradients);
      expectBuffers(supply, expected.buffers);
      supply.dispose();
      modules.dispose();
    });
  });
});
