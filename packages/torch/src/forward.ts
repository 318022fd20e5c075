// Forward-mode differentiation: a tangent travels with a value through every operator, so that the derivative along one
// direction costs about one more forward pass and keeps no activations. And products with Jacobians and Hessians.
import { enableGrad, grad } from "./autograd.js";
import { refusePromise, TorchError } from "./errors.js";
import { native } from "./native.js";
import { zerosLike } from "./ops/creation.js";
import { Tensor } from "./tensor.js";

/**
 * Runs `body` at a level of tangents, as `torch.autograd.forward_ad.dual_level`: `makeDual` and `unpackDual` work
 * inside, and every operator between them carries tangents on. They are dropped at the end, also by an exception.
 * Levels do not nest. Recording for `backward` is another matter and goes on as usual: use `noGrad` inside to save it.
 *
 * @returns what `body` returns, without tangents
 * @throws TorchError inside another level, or when `body` returns a promise
 */
export function forwardGradient<R>(body: () => R): R {
  if (typeof body !== "function") {
    throw new TorchError(`forwardGradient: expected a function to run, got ${typeof body}`);
  }
  return native().forwardLevel(() => {
    const result = body();
    refusePromise("forwardGradient", result);
    return result;
  });
}

/**
 * `primal` with a tangent: a view of it, for which `unpackDual` gives both back.
 * @param tangent - of the primal's shape, element type and device
 * @throws TorchError outside of `forwardGradient`
 */
export function makeDual(primal: Tensor, tangent: Tensor): Tensor {
  return Tensor.fromHandle(native().makeDual(primal.handle, tangent.handle));
}

/** A tensor's value and its tangent: null when it depends on no dual tensor. @throws TorchError as `makeDual` */
export function unpackDual(tensor: Tensor): [primal: Tensor, tangent: Tensor | null] {
  const [primal, tangent] = native().unpackDual(tensor.handle);
  return [Tensor.fromHandle(primal), tangent === null ? null : Tensor.fromHandle(tangent)];
}

/** A function of tensors with one result, or a list of them. */
export type TensorFunction = (...inputs: Tensor[]) => Tensor | readonly Tensor[];

/**
 * Jacobian times vector by forward mode: `[f(x), J_f(x) v]`, as `torch.func.jvp`.
 *
 * @param f - called once
 * @param primals - x, its arguments @param tangents - v, one for each argument, of its shape; null for zero
 * @returns the outputs and their tangents, in the form that `f` returns: one tensor each, or lists
 */
export function jvp(
  f: (...inputs: Tensor[]) => Tensor,
  primals: readonly Tensor[],
  tangents: readonly (Tensor | null)[],
): [output: Tensor, tangent: Tensor];
export function jvp(
  f: TensorFunction,
  primals: readonly Tensor[],
  tangents: readonly (Tensor | null)[],
): [outputs: Tensor | Tensor[], tangents: Tensor | Tensor[]];
export function jvp(
  f: TensorFunction,
  primals: readonly Tensor[],
  tangents: readonly (Tensor | null)[],
): [Tensor | Tensor[], Tensor | Tensor[]] {
  if (primals.length !== tangents.length) {
    throw new TorchError(`jvp: expected a tangent for each of ${primals.length} primals, got ${tangents.length}`);
  }
  return forwardGradient(() => {
    const duals = primals.map((primal, i) => {
      const tangent = tangents[i];
      return tangent ? makeDual(primal, tangent) : primal;
    });
    const result = f(...duals);
    const pairs = listOf("jvp", result).map(unpackOrZero);
    for (const [i, dual] of duals.entries()) if (dual !== primals[i]) dual.dispose();
    const [outputs, derivatives] = [pairs.map(([output]) => output), pairs.map(([, derivative]) => derivative)];
    return result instanceof Tensor ? [outputs[0]!, derivatives[0]!] : [outputs, derivatives];
  });
}

/**
 * Vector times Jacobian by reverse mode: `[f(x), vᵀ J_f(x)]`, as `torch.func.vjp` with the vector given.
 *
 * @param primals - x; any tensors, recorded anew @param cotangents - v, one for each output, of its shape
 * @returns the output or outputs, and one gradient for each primal (zeros for one that is not used)
 */
export function vjp(
  f: TensorFunction,
  primals: readonly Tensor[],
  cotangents: Tensor | readonly Tensor[],
): [outputs: Tensor | Tensor[], gradients: Tensor[]] {
  return enableGrad(() => {
    const leaves = primals.map((primal) => primal.detach().requiresGrad_());
    const result = f(...leaves);
    const outputs = listOf("vjp", result);
    const vectors = listOf("vjp", cotangents);
    if (vectors.length !== outputs.length) {
      throw new TorchError(`vjp: expected a cotangent for each of ${outputs.length} outputs, got ${vectors.length}`);
    }
    const gradients = gradientsOrZeros(outputs, leaves, { gradOutputs: vectors });
    for (const leaf of leaves) leaf.dispose();
    const detached = outputs.map((output) => output.detach());
    return [result instanceof Tensor ? detached[0]! : detached, gradients];
  });
}

/**
 * Hessian times vector of a scalar function, `[f(x), H_f(x) v]`, by differentiating the gradient along v.
 *
 * @param f - to a tensor of one element @param primals - x @param vectors - v, one for each primal, of its shape
 * @returns the value, and one product for each primal
 */
export function hvp(
  f: (...inputs: Tensor[]) => Tensor,
  primals: readonly Tensor[],
  vectors: readonly Tensor[],
): [value: Tensor, products: Tensor[]] {
  if (primals.length !== vectors.length) {
    throw new TorchError(`hvp: expected a vector for each of ${primals.length} primals, got ${vectors.length}`);
  }
  return enableGrad(() => {
    const leaves = primals.map((primal) => primal.detach().requiresGrad_());
    const value = f(...leaves);
    const gradients = gradientsOrZeros([value], leaves, { createGraph: true });
    const recorded = gradients.flatMap((gradient, i) => (gradient.requiresGrad ? [[gradient, vectors[i]!]] : []));
    const products =
      recorded.length === 0 // a linear function
        ? leaves.map(zerosOf)
        : gradientsOrZeros(
            recorded.map(([gradient]) => gradient!),
            leaves,
            { gradOutputs: recorded.map(([, vector]) => vector!) },
          );
    for (const gradient of gradients) gradient.dispose();
    for (const leaf of leaves) leaf.dispose();
    return [value.detach(), products];
  });
}

function listOf(where: string, value: unknown): readonly Tensor[] {
  const list = Array.isArray(value) ? value : [value];
  if (list.some((item) => !(item instanceof Tensor))) {
    throw new TorchError(`${where}: expected a tensor or a list of tensors, got something else`);
  }
  return list;
}

function unpackOrZero(output: Tensor): [Tensor, Tensor] {
  const [primal, tangent] = unpackDual(output);
  return [primal, tangent ?? zerosOf(primal)];
}

function zerosOf(tensor: Tensor): Tensor {
  return zerosLike(tensor.detach());
}

function gradientsOrZeros(
  outputs: readonly Tensor[],
  inputs: readonly Tensor[],
  options: { gradOutputs?: readonly Tensor[]; createGraph?: boolean },
): Tensor[] {
  return grad(outputs, inputs, { ...options, allowUnused: true }).map((gradient, i) => gradient ?? zerosOf(inputs[i]!));
}
