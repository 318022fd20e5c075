// Who frees a tensor. JavaScript's collector sees a tensor as a small object and would let gigabytes wait, so that
// hot code runs in scopes: `scope(() => …)` frees every tensor made inside, except what is returned or kept.
// (The idea is TensorFlow.js's `tf.tidy`.) A tensor made outside any scope is freed by `dispose()`, or in time by the
// collector.
import { refusePromise } from "./errors.js";
import { type Handle, native } from "./native.js";
import { Tensor } from "./tensor.js";

const openScopes: Tensor[][] = [];

const collected = new FinalizationRegistry<Handle>((handle) => native().release(handle));

/** Makes the innermost scope, or the collector, the owner of a new tensor. Internal. */
export function own(tensor: Tensor): void {
  const scope = openScopes[openScopes.length - 1];
  if (scope) scope.push(tensor);
  else watch(tensor);
}

/** Lets the collector free a tensor that nobody else owns. */
function watch(tensor: Tensor): void {
  tensor.isWatched = true;
  collected.register(tensor, tensor.handle, tensor);
}

/** The collector need not watch a disposed tensor. Internal. */
export function disown(tensor: Tensor): void {
  if (tensor.isWatched) collected.unregister(tensor);
}

/** Takes a tensor out of every open scope: it lives until it is disposed or collected. Returns it. */
export function keep<T extends Tensor>(tensor: T): T {
  for (const scope of openScopes) {
    const at = scope.lastIndexOf(tensor);
    if (at < 0) continue;
    scope.splice(at, 1);
    watch(tensor);
  }
  return tensor;
}

/**
 * Runs `body` and frees every tensor made inside, except those in its result: a tensor, or arrays and plain objects
 * of them, to any depth. They pass to the enclosing scope. Scopes nest; an exception frees everything made inside.
 *
 * @throws TorchError when `body` returns a promise: a scope ends when its function returns
 */
export function scope<R>(body: () => R): R {
  const mine: Tensor[] = [];
  openScopes.push(mine);
  let returned: Set<unknown> | undefined;
  try {
    const result = body();
    refusePromise("scope", result);
    returned = new Set();
    collect(result, returned);
    return result;
  } finally {
    openScopes.pop();
    const freed: Handle[] = [];
    for (const tensor of mine) {
      if (returned?.has(tensor)) own(tensor);
      else freed.push(tensor.handle);
    }
    if (freed.length > 0) native().release(freed);
  }
}

/** Every tensor in `value`, to any depth of arrays, maps and plain objects. Internal. */
export function tensorsIn(value: unknown): Tensor[] {
  const found = new Set<unknown>();
  collect(value, found);
  return [...found].filter((item) => item instanceof Tensor);
}

/** Adds every tensor in `value` to `found`, which also breaks cycles. */
function collect(value: unknown, found: Set<unknown>): void {
  if (typeof value !== "object" || value === null || found.has(value)) return;
  if (value instanceof Tensor) {
    found.add(value);
  } else if (Array.isArray(value)) {
    found.add(value);
    for (const item of value) collect(item, found);
  } else if (value instanceof Map) {
    found.add(value);
    for (const item of value.values()) collect(item, found);
  } else if (Object.getPrototypeOf(value) === Object.prototype || Object.getPrototypeOf(value) === null) {
    found.add(value);
    for (const item of Object.values(value)) collect(item, found);
  }
}
