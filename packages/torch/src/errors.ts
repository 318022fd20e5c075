// The error that callers may catch.

/**
 * libtorch or this binding refused an operation. The message names the operator, what was expected, what came, and
 * the types and shapes of the arguments: `aten::matmul: size mismatch, … (called with self float32[2, 2], …)`.
 */
export class TorchError extends Error {
  override readonly name = "TorchError";
}

/** @throws TorchError when a function whose end matters returned a promise, which ends later. Internal. */
export function refusePromise(where: string, result: unknown): void {
  if (result instanceof Promise) {
    throw new TorchError(`${where}: expected a function that returns when it is done, got one that returns a promise`);
  }
}
