// In which precision a network computes. Parameters, their gradients, the optimizer and losses are float32 always.
import { autocast, nn, type Tensor } from "@stopgrad/torch";

export const precisions = ["float32", "bfloat16"] as const;
/** `bfloat16`: convolutions, linear layers and what lies between them in 16 bits, by libtorch's autocast. */
export type Precision = (typeof precisions)[number];

/** Kinds of device whose precision differs. */
export type DeviceKind = "cpu" | "cuda";

/** `cuda` of `cuda:1`. */
export function kindOf(device: string): DeviceKind {
  return device.startsWith("cuda") ? "cuda" : "cpu";
}

/** Where a module's parameters are; `cpu` where it has none. */
export function deviceOf(module: nn.Module): string {
  return module.parameters()[0]?.device ?? "cpu";
}

/** Runs a forward pass in a precision. Backward passes belong outside: each operator takes the type of its forward. */
export function inPrecision<R>(precision: Precision, forward: () => R, device: DeviceKind = "cpu"): R {
  return precision === "float32" ? forward() : autocast(precision, forward, { device });
}

/** How a module's parameters lie in memory where its precision computes fastest: channels last for 16 bits. */
export function layOutFor(precision: Precision, module: nn.Module): void {
  module.to({ memoryFormat: precision === "float32" ? "row-major" : "channels-last" });
}

/**
 * Layer norm that computes and gives float32 also where features are 16 bits, as autocast does on a GPU; on the CPU some
 * libtorch versions refuse such an input. What follows it takes it in its own precision.
 */
export class FullLayerNorm extends nn.LayerNorm {
  override forward(input: Tensor): Tensor {
    return super.forward(input.dtype === "float32" ? input : input.to("float32"));
  }
}
