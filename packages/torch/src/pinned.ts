// Page-locked ("pinned") memory of the CPU: a GPU copies from it by itself, while the processor goes on.
import { TorchError } from "./errors.js";
import { native } from "./native.js";
import { operator } from "./operator.js";
import type { Tensor } from "./tensor.js";

const pin = operator<[Tensor], Tensor>("aten::pin_memory", "self");
const pinned = operator<[Tensor], boolean>("aten::is_pinned", "self");

/** The same values in page-locked memory. @throws TorchError without CUDA */
export function pinMemory(self: Tensor): Tensor {
  if (!hasCuda()) throw new TorchError("pinMemory: expected a CUDA device, whose memory this is for; found none");
  return pin(self);
}

/** Whether a tensor lies in page-locked memory. */
export function isPinned(self: Tensor): boolean {
  return self.device === "cpu" && hasCuda() && pinned(self);
}

function hasCuda(): boolean {
  return (native().cuda?.deviceCount() ?? 0) > 0;
}
