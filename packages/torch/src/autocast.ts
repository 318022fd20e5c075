// Automatic mixed precision: matrix products and convolutions in 16 bits, what needs range or many sums in 32.
// libtorch's own autocast does the casting, with PyTorch's lists of operators.
import { refusePromise, TorchError } from "./errors.js";
import { native } from "./native.js";

/** Whose operators are cast, and whether casts are kept. */
export interface AutocastOptions {
  /** Whose operators are cast; default `cpu`. */
  device?: "cpu" | "cuda";
  /** False switches casting off inside an outer `autocast`; default true. */
  enabled?: boolean;
  /** Keep the cast of a parameter until the outermost `autocast` ends, instead of casting at each use; default true. */
  cache?: boolean;
}

/**
 * Runs `body` with automatic mixed precision, as `torch.autocast`: convolutions, linear layers and matrix products
 * convert float32 inputs to `dtype` and give results of it; losses and others that lose too much stay in float32.
 * Parameters and their gradients stay float32. Call `backward` and the optimizer outside: a parameter that changes
 * inside keeps its cached cast.
 *
 * @param dtype - `bfloat16`; on `cuda` also `float16`
 * @returns what `body` returns; the state before comes back, also after an exception
 * @throws TorchError for another type, or when `body` returns a promise
 */
export function autocast<R>(dtype: "bfloat16" | "float16", body: () => R, options: AutocastOptions = {}): R {
  if (typeof body !== "function") throw new TorchError(`autocast: expected a function to run, got ${typeof body}`);
  const { device = "cpu", enabled = true, cache = true } = options;
  return native().autocast(device, dtype, enabled, cache, () => {
    const result = body();
    refusePromise("autocast", result);
    return result;
  });
}

/** The type that `autocast` casts to here and now, or null outside of it. */
export function autocastDType(device: "cpu" | "cuda" = "cpu"): "bfloat16" | "float16" | null {
  return native().autocastType(device);
}
