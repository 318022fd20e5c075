// Initial values of parameters, as `torch.nn.init`: the same generator state gives the same numbers. Each fills its
// tensor in place and returns it.
import { noGrad } from "../autograd.js";
import { TorchError } from "../errors.js";
import { operator } from "../operator.js";
import { mul } from "../ops/arithmetic.js";
import { normal_, uniform_, zeros } from "../ops/creation.js";
import { copy_, fill_ } from "../ops/in-place.js";
import { reshape, transpose } from "../ops/shape.js";
import type { Generator } from "../random.js";
import { scope } from "../scope.js";
import type { Tensor } from "../tensor.js";

/** Inputs and outputs that one unit of a weight `[out, in, …]` is connected to. */
export function fans(weight: Tensor): { fanIn: number; fanOut: number } {
  const [out = 1, inputs = 1, ...kernel] = weight.shape;
  const field = kernel.reduce((product, size) => product * size, 1);
  return { fanIn: inputs * field, fanOut: out * field };
}

/** What a layer's output loses in the activation after it: the factor that makes up for it. */
const gains = {
  linear: () => 1,
  sigmoid: () => 1,
  tanh: () => 5 / 3,
  relu: () => Math.sqrt(2),
  leakyRelu: (slope = 0.01) => Math.sqrt(2 / (1 + slope * slope)),
  selu: () => 3 / 4,
} as const;

/** The factor for weights before an activation. @param slope - of `leakyRelu`, default 0.01 */
export function gain(activation: keyof typeof gains, slope?: number): number {
  if (!Object.hasOwn(gains, activation)) {
    throw new TorchError(`gain: unknown activation ${String(activation)} (known: ${Object.keys(gains).join(", ")})`);
  }
  return gains[activation](slope);
}

/** Every element `value`. */
export function constant_(tensor: Tensor, value: number): Tensor {
  return noGrad(() => fill_(tensor, value));
}

/** Every element 0. */
export function zeros_(tensor: Tensor): Tensor {
  return constant_(tensor, 0);
}

/** Every element 1. */
export function ones_(tensor: Tensor): Tensor {
  return constant_(tensor, 1);
}

/**
 * Uniform in ±gain · √(3 / fan) with gain = √(2 / (1 + slope²)), He et al. 2015. PyTorch's layers use slope √5,
 * which gives ±1/√fanIn.
 */
export function kaimingUniform_(
  weight: Tensor,
  slope = 0,
  generator?: Generator,
  mode: "fanIn" | "fanOut" = "fanIn",
): Tensor {
  const bound = Math.sqrt(3) * (gain("leakyRelu", slope) / Math.sqrt(fans(weight)[mode]));
  return noGrad(() => uniform_(weight, -bound, bound, generator));
}

/** Normal with standard deviation √(2 / (1 + slope²)) / √fan, He et al. 2015, for layers before a (leaky) ReLU. */
export function kaimingNormal_(
  weight: Tensor,
  mode: "fanIn" | "fanOut" = "fanIn",
  generator?: Generator,
  slope = 0,
): Tensor {
  const deviation = gain("leakyRelu", slope) / Math.sqrt(fans(weight)[mode]);
  return noGrad(() => normal_(weight, 0, deviation, generator));
}

/** Uniform in ±gain · √(6 / (fanIn + fanOut)), Glorot & Bengio 2010. */
export function xavierUniform_(weight: Tensor, factor = 1, generator?: Generator): Tensor {
  const { fanIn, fanOut } = matrixFans("xavierUniform_", weight);
  const bound = Math.sqrt(3) * (factor * Math.sqrt(2 / (fanIn + fanOut)));
  return noGrad(() => uniform_(weight, -bound, bound, generator));
}

/** Normal with standard deviation gain · √(2 / (fanIn + fanOut)), Glorot & Bengio 2010. */
export function xavierNormal_(weight: Tensor, factor = 1, generator?: Generator): Tensor {
  const { fanIn, fanOut } = matrixFans("xavierNormal_", weight);
  return noGrad(() => normal_(weight, 0, factor * Math.sqrt(2 / (fanIn + fanOut)), generator));
}

function matrixFans(where: string, weight: Tensor): { fanIn: number; fanOut: number } {
  if (weight.dim < 2) {
    throw new TorchError(`${where}: expected a weight of at least 2 dimensions, got [${weight.shape.join(", ")}]`);
  }
  return fans(weight);
}

const inverseError_ = operator<[Tensor], Tensor>("aten::erfinv_", "self");
const errorFunction = operator<[Tensor], Tensor>("aten::erf", "self");

/**
 * Normal with mean and deviation, cut off at `low` and `high` (absolute, not in deviations): by the inverse of the
 * distribution on a uniform number, so that no draw is repeated.
 */
export function truncNormal_(
  tensor: Tensor,
  options: { mean?: number; deviation?: number; low?: number; high?: number; generator?: Generator } = {},
): Tensor {
  const { mean = 0, deviation = 1, low = -2, high = 2, generator } = options;
  if (!(low < high && deviation > 0)) {
    throw new TorchError(
      `truncNormal_: expected low below high and a deviation above 0, got ${low}, ${high}, ${deviation}`,
    );
  }
  return noGrad(() =>
    scope(() => {
      // 2 Φ(x) − 1 = erf(x / √2): the uniform numbers lie between that of the two limits.
      const limits = zeros([2], { dtype: "float64" });
      limits.select(0, 0).fill_((low - mean) / deviation / Math.SQRT2);
      limits.select(0, 1).fill_((high - mean) / deviation / Math.SQRT2);
      const [from, to] = errorFunction(limits).toNumbers() as [number, number];
      uniform_(tensor, from, to, generator);
      inverseError_(tensor);
      return tensor
        .mul_(deviation * Math.SQRT2)
        .add_(mean)
        .copy_(tensor.clamp(low, high));
    }),
  );
}

const decompose = operator<[Tensor], [Tensor, Tensor]>("aten::linalg_qr", "A");
const signOf = operator<[Tensor], Tensor>("aten::sign", "self");
const diagonalOf = operator<[Tensor], Tensor>("aten::diagonal", "self");

/**
 * Rows (or columns, whichever are fewer) orthogonal to each other and of length `factor`, Saxe et al. 2013; further
 * dimensions count as columns.
 */
export function orthogonal_(weight: Tensor, factor = 1, generator?: Generator): Tensor {
  matrixFans("orthogonal_", weight);
  if (weight.numel === 0) return weight;
  return noGrad(() =>
    scope(() => {
      const rows = weight.size(0);
      const columns = weight.numel / rows;
      const random = normal_(zeros([rows, columns], { dtype: weight.dtype }), 0, 1, generator);
      const [q, r] = decompose(rows < columns ? transpose(random, 0, 1) : random);
      const signed = mul(q, signOf(diagonalOf(r))); // with this the distribution is uniform
      copy_(weight, reshape(rows < columns ? transpose(signed, 0, 1) : signed, weight.shape));
      return weight.mul_(factor);
    }),
  );
}

/** The bias of PyTorch's layers: uniform in ±1/√fanIn of the layer's weight. */
export function biasUniform_(bias: Tensor, weight: Tensor, generator?: Generator): Tensor {
  const bound = 1 / Math.sqrt(fans(weight).fanIn);
  return noGrad(() => uniform_(bias, -bound, bound, generator));
}
