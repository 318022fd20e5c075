// Automatic mixed precision against figures of PyTorch's torch.autocast on the CPU.
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { describe, expect, it } from "vitest";
import * as torch from "../src/index.js";
import { autocast, autocastDType, noGrad, scope } from "../src/index.js";
import { builtPackage } from "./support/child.js";
import { allClose } from "./support/close.js";
import { decodeTensor, type Encoded, readFixture, valuesOf } from "./support/fixtures.js";

const { autocast: recorded } = readFixture<{
  autocast: { inputs: Encoded[]; results: Record<string, Encoded>; gradients: Encoded[] };
}>("engine.json");

/** bfloat16 has eight bits: one unit in the last place, where another kernel adds in another order. */
const oneUnit = { relative: 2 ** -7, absolute: 2 ** -9 };

describe("autocast", () => {
  it("gives PyTorch's types and values, and float32 gradients for float32 parameters", () => {
    scope(() => {
      const [x, w, bias, head, labels] = recorded.inputs.map(decodeTensor) as torch.Tensor[] & { length: 5 };
      const leaves = [w!, bias!, head!].map((leaf) => leaf.requiresGrad_());
      const results = autocast("bfloat16", () => {
        const hidden = torch.conv2d(x!, w!, { bias: bias!, padding: 1 }).relu();
        const pooled = hidden.mean([2, 3]);
        const logits = torch.linear(pooled, head!);
        const rows = x!.flatten(1);
        return {
          hidden,
          pooled,
          logits,
          loss: torch.crossEntropy(logits, labels!),
          product: rows.matmul(rows.t()),
          softened: torch.softmax(logits, 1),
          added: logits.add(logits.to("float32")),
          sums: x!.sum(),
        };
      });
      expect(autocastDType()).toBeNull();
      for (const [name, expected] of Object.entries(recorded.results)) {
        const actual = results[name as keyof typeof results];
        expect([name, actual.dtype, ...actual.shape]).toEqual([name, expected.t, ...expected.s]);
        allClose(actual.toNumbers(), valuesOf(expected), oneUnit, name);
      }
      expect([results.hidden.dtype, results.loss.dtype, results.product.dtype]).toEqual(["bfloat16", "float32", "bfloat16"]); // biome-ignore format: a row
      results.loss.backward();
      for (const [i, leaf] of leaves.entries()) {
        expect(leaf.grad!.dtype).toBe("float32");
        allClose(leaf.grad!.toNumbers(), valuesOf(recorded.gradients[i]!), oneUnit, `gradient ${i}`);
      }
    });
  });

  it("nests, can be switched off inside, and comes back, also after exceptions", () => {
    scope(() => {
      const x = torch.ones([2, 2]);
      const product = () => torch.matmul(x, x).dtype;
      const seen = autocast("bfloat16", () => [
        product(),
        autocast("bfloat16", product, { enabled: false }),
        autocast("bfloat16", () => autocastDType(), { enabled: false }),
        autocast("bfloat16", product, { cache: false }),
        product(),
        autocastDType(),
      ]);
      expect(seen).toEqual(["bfloat16", "float32", null, "bfloat16", "bfloat16", "bfloat16"]);
      expect([product(), autocastDType()]).toEqual(["float32", null]);
      const fail = () => {
        throw new Error("thrown inside");
      };
      expect(() => autocast("bfloat16", () => autocast("bfloat16", fail, { enabled: false }))).toThrow("thrown inside");
      expect(() => autocast("bfloat16", () => torch.zeros([-1]))).toThrow(torch.TorchError);
      expect([product(), autocastDType()]).toEqual(["float32", null]);
    });
  });

  it("casts a parameter once until the outermost level ends, and then sees its new values", () => {
    scope(() => {
      const weight = torch.ones([1, 1], { requiresGrad: true });
      const x = torch.ones([1, 1]);
      const output = () => torch.linear(x, weight).item();
      const step = () => noGrad(() => weight.fill_(2));
      const inside = autocast("bfloat16", () => {
        const before = output();
        weight.detach().fill_(3);
        return [before, autocast("bfloat16", output), autocast("bfloat16", output, { cache: false })];
      });
      expect(inside).toEqual([1, 1, 3]); // the nested level keeps the cache of the outer one
      expect(autocast("bfloat16", output)).toBe(3);
      step();
      expect(autocast("bfloat16", output)).toBe(2);
    });
  });

  it("differentiates also what was cast while nothing was recorded", () => {
    scope(() => {
      const weight = torch.ones([1, 1], { requiresGrad: true });
      const x = torch.full([1, 1], 5);
      const output = autocast("bfloat16", () => {
        noGrad(() => torch.linear(x, weight));
        return torch.linear(x, weight);
      });
      expect(output.requiresGrad).toBe(true);
      output.sum().backward();
      expect(weight.grad!.item()).toBe(5);
    });
  });

  it("leaks nothing", () => {
    const before = torch.memory();
    for (let i = 0; i < 3; i++) {
      scope(() => {
        const weight = torch.ones([8, 8], { requiresGrad: true });
        autocast("bfloat16", () => torch.linear(weight.detach(), weight).sum()).backward();
      });
    }
    expect(torch.memory()).toMatchObject({ liveTensors: before.liveTensors, liveBytes: before.liveBytes });
  });

  it("refuses other types, promises and what is no function", () => {
    expect(() => autocast("float16", () => 1)).toThrow(
      'autocast: expected dtype to be "bfloat16" on the CPU, got "float16"',
    );
    expect(() => autocast("float32" as "bfloat16", () => 1)).toThrow(/got "float32"/);
    expect(() => autocast("bfloat16", async () => 1)).toThrow(/got one that returns a promise/);
    expect(() => autocast("bfloat16", 3 as never)).toThrow("autocast: expected a function to run, got number");
    expect(() => autocast("bfloat16", () => 1, { device: "tpu" as never })).toThrow(
      'autocast: expected device to be "cpu" or "cuda", got "tpu"',
    );
    expect(autocastDType()).toBeNull();
  });

  it("belongs to the thread", async () => {
    const worker = new Worker(
      `(async () => {
        const { parentPort } = await import("node:worker_threads");
        const torch = await import("${builtPackage}");
        const product = () => torch.matmul(torch.ones([2, 2]), torch.ones([2, 2])).dtype;
        const weight = torch.ones([2, 2], { requiresGrad: true });
        torch.autocast("bfloat16", () => torch.linear(torch.ones([2, 2]), weight).sum()).backward();
        parentPort.postMessage([product(), torch.autocast("bfloat16", product), product(), weight.grad.dtype]);
      })();`,
      { eval: true },
    );
    const [seen] = await once(worker, "message");
    expect(seen).toEqual(["float32", "bfloat16", "float32", "float32"]);
    await once(worker, "exit");
    expect(autocastDType()).toBeNull();
  });
});
