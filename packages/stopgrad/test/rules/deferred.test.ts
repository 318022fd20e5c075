// The way that a step takes on a GPU, taken on the CPU: losses are read once, after the optimizer's step, and passes may be
// recorded and replayed. Only what tells a GPU from the CPU is replaced, and what records; numbers must not change at all.
import "../support/one-thread.js";
import { keep, noGrad, scope, type Tensor } from "@stopgrad/torch";
import { beforeEach, describe, expect, test, vi } from "vitest";
import type { Batch, LearningRule } from "../../src/rules/index.js";
import { differing, snapshot } from "../support/compare.js";
import { makeBatch, makeRule, type RuleSetup } from "../support/networks.js";

const pretend = vi.hoisted(() => ({ gpu: false, replays: 0, parameters: [] as Tensor[] }));

vi.mock("../../src/models/precision.js", async (original) => ({
  ...(await original<typeof import("../../src/models/precision.js")>()),
  kindOf: () => (pretend.gpu ? "cuda" : "cpu"),
}));

// Like a graph, a replay computes again from the inputs of the recording into the memory of its gradients and results, and
// the recording itself changes nothing. Tensors that the passes change (running statistics) are put back after it.
vi.mock("../../src/rules/replayed.js", async (original) => ({
  ...(await original<typeof import("../../src/rules/replayed.js")>()),
  recordOnGpu:
    () =>
    <R>(body: () => R) => {
      const { parameters } = pretend;
      const state = noGrad(() => buffers.map((buffer) => keep(buffer.clone())));
      const result = body();
      const kept = tensorsOf(result).map(keep);
      const gradients = parameters.map(({ grad }) => keep(grad!));
      noGrad(() => {
        for (const [at, buffer] of buffers.entries()) buffer.copy_(state[at]!);
      });
      return {
        result,
        replay() {
          pretend.replays += 1;
          scope(() => {
            const fresh = tensorsOf(body());
            noGrad(() => {
              for (const [at, tensor] of kept.entries()) tensor.copy_(fresh[at]!);
              for (const [at, gradient] of gradients.entries()) gradient.copy_(parameters[at]!.grad!);
            });
            for (const [at, gradient] of gradients.entries()) parameters[at]!.grad = gradient;
          });
        },
        dispose() {},
      };
    },
}));

let buffers: Tensor[] = [];

function tensorsOf(readings: unknown): Tensor[] {
  const { losses, correct } = readings as { losses: Tensor[]; correct: Tensor };
  return [...losses, correct];
}

beforeEach(() => {
  Object.assign(pretend, { gpu: false, replays: 0 });
});

/** Seven steps, the fifth of another size: what each said, and the state at the end. */
function trained(setup: RuleSetup, meanwhile?: () => void) {
  return scope(() => {
    const rule: LearningRule = makeRule(setup);
    pretend.parameters = [...rule.backbone.parameters(), ...(rule.auxiliary?.parameters() ?? [])];
    buffers = rule.backbone.buffers();
    const results = Array.from({ length: 7 }, (_, step) => {
      const batch: Batch = makeBatch(step, step === 4 ? 5 : 8);
      return rule.step(batch, meanwhile);
    });
    const state = snapshot(rule.stateDict());
    rule.dispose();
    return { results, state };
  });
}

describe.each([
  ["end to end", { model: "resnet18", partition: 1 }],
  ["in blocks", { model: "resnet18", partition: 3 }],
  ["layer by layer, the classifier apart", { model: "resnet18", partition: "stage", classifier: "detached" }],
  ["layer by layer, the last stage predicts", { model: "lenet5", partition: "stage" }],
] as const)("%s", (_, setup) => {
  const small: RuleSetup = { ...setup, ...(setup.model === "resnet18" ? { options: { width: 4 } } : {}) };

  test("losses that are read late are the same, and the processor has time meanwhile", () => {
    const calls: string[] = [];
    const expected = trained(small, () => calls.push("cpu"));
    expect(calls).toEqual([]);
    pretend.gpu = true;
    const late = trained(small, () => calls.push("gpu"));
    expect(late.results).toEqual(expected.results);
    expect(differing(late.state, expected.state)).toEqual([]);
    expect(calls).toEqual(Array(7).fill("gpu"));
  });

  test("passes that are replayed are the same, a batch of another size among them", () => {
    const expected = trained(small);
    pretend.gpu = true;
    const replayed = trained({ ...small, ruleOptions: { graph: true } });
    expect(replayed.results).toEqual(expected.results);
    expect(differing(replayed.state, expected.state)).toEqual([]);
    expect(pretend.replays).toBe(3); // after three computed steps, without the one of another size
  });
});
