// Initial values that are not PyTorch's defaults: VGG's, the vision transformer's and ResNet-20 to 110's.
import "../support/one-thread.js";
import type { Parameter } from "@stopgrad/torch";
import { describe, expect, test } from "vitest";
import { makeBackbone } from "../support/networks.js";

/** Mean and deviation of a parameter's entries, and the largest magnitude. */
function statistics(parameter: Parameter) {
  const entries = parameter.toNumbers();
  const mean = entries.reduce((sum, v) => sum + v, 0) / entries.length;
  const deviation = Math.sqrt(entries.reduce((sum, v) => sum + (v - mean) ** 2, 0) / entries.length);
  return {
    count: entries.length,
    mean,
    deviation,
    largest: entries.reduce((most, v) => Math.max(most, Math.abs(v)), 0),
  };
}

/** Both within five standard errors of a normal sample of that size. */
function expectNormal(path: string, parameter: Parameter, deviation: number): void {
  const found = statistics(parameter);
  expect(Math.abs(found.mean), path).toBeLessThan((5 * deviation) / Math.sqrt(found.count));
  expect(Math.abs(found.deviation / deviation - 1), path).toBeLessThan(5 / Math.sqrt(2 * found.count));
}

function expectConstant(path: string, parameter: Parameter, value: number): void {
  expect(new Set(parameter.toNumbers()), path).toEqual(new Set([value]));
}

describe.each(["end-to-end", "layer-wise"] as const)("VGG-11, %s", (form) => {
  test("convolutions normal by fan-out, linear layers with deviation 0.01, no bias", () => {
    const parameters = [...makeBackbone({ model: "vgg11", options: { width: 8, form } }).namedParameters()];
    for (const [path, parameter] of parameters) {
      if (parameter.dim === 4) expectNormal(path, parameter, Math.sqrt(2 / (9 * parameter.size(0))));
      else if (parameter.dim === 2) expectNormal(path, parameter, 0.01);
      else if (path.endsWith("bias")) expectConstant(path, parameter, 0);
      else expectConstant(path, parameter, 1); // batch norm's scale
    }
    expect(parameters.filter(([, { dim }]) => dim === 4)).toHaveLength(8);
    expect(parameters.filter(([, { dim }]) => dim === 2)).toHaveLength(3);
  });
});

test("ResNet-32's convolutions are normal by fan-out", () => {
  for (const [path, parameter] of makeBackbone({ model: "resnet32", options: {} }).namedParameters()) {
    if (parameter.dim === 4) {
      expectNormal(path, parameter, Math.sqrt(2 / (parameter.size(0) * parameter.size(2) * parameter.size(3))));
    }
  }
});

test("the transformer starts as torchvision's, but for a classifier that is not zero", () => {
  const width = 48;
  const backbone = makeBackbone({ model: "vit", options: { width, blocks: 2 }, inputShape: [3, 32, 32] });
  const parameters = new Map(backbone.namedParameters());
  const uniform = (path: string, bound: number) => {
    const { largest, deviation } = statistics(parameters.get(path)!);
    expect(largest, path).toBeLessThanOrEqual(bound * (1 + 1e-6));
    expect(largest, path).toBeGreaterThan(0.97 * bound);
    expect(Math.abs(deviation / (bound / Math.sqrt(3)) - 1), path).toBeLessThan(0.1);
    parameters.delete(path);
  };
  const normal = (path: string, deviation: number) => {
    expectNormal(path, parameters.get(path)!, deviation);
    parameters.delete(path);
  };
  normal("conv_proj.weight", 1 / Math.sqrt(3 * 4 * 4));
  normal("encoder.pos_embedding", 0.02);
  uniform("heads.head.weight", 1 / Math.sqrt(width));
  expect(statistics(parameters.get("heads.head.bias")!).largest).toBeGreaterThan(0);
  parameters.delete("heads.head.bias");
  for (const at of [0, 1]) {
    const block = `encoder.layers.encoder_layer_${at}`;
    uniform(`${block}.self_attention.in_proj_weight`, Math.sqrt(6 / (3 * width + width)));
    uniform(`${block}.self_attention.out_proj.weight`, 1 / Math.sqrt(width));
    uniform(`${block}.mlp.0.weight`, Math.sqrt(6 / (5 * width)));
    uniform(`${block}.mlp.3.weight`, Math.sqrt(6 / (5 * width)));
    normal(`${block}.mlp.0.bias`, 1e-6);
    normal(`${block}.mlp.3.bias`, 1e-6);
  }
  for (const [path, parameter] of parameters) expectConstant(path, parameter, /ln.*weight$/.test(path) ? 1 : 0);
  // Class token and the patches' bias; weight and bias of the norms; attention's biases.
  expect(parameters.size).toBe(2 + 2 * (2 * 2 + 1) + 2 * 2);
});
