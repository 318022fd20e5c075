// Multi-head attention (Vaswani et al., arXiv 1706.03762) and the encoder layer made of it, with the names, initial
// values and mask conventions of `torch.nn`. Not here: keys and values of other widths, added biases for them.

import { noGrad } from "../autograd.js";
import { TorchError } from "../errors.js";
import { operator } from "../operator.js";
import { add } from "../ops/arithmetic.js";
import { zeros, zerosLike } from "../ops/creation.js";
import { attentionWithWeights } from "../ops/functional/attention.js";
import { gelu, linear, relu } from "../ops/functional.js";
import { narrow } from "../ops/indexing.js";
import { mean } from "../ops/reduction.js";
import { permute, reshape, squeeze, transpose, unsqueeze } from "../ops/shape.js";
import type { Generator } from "../random.js";
import { scope } from "../scope.js";
import { Parameter, type Tensor } from "../tensor.js";
import { Dropout } from "./dropout.js";
import { xavierUniform_ } from "./init.js";
import { Linear } from "./linear.js";
import { Module } from "./module.js";
import { LayerNorm } from "./normalisation.js";

const fillWhere = operator<[Tensor, Tensor, number], Tensor>("aten::masked_fill.Scalar", "self mask value");

/** Settings of `MultiheadAttention`. */
export interface MultiheadAttentionOptions {
  /** Of the attention weights, in training; default 0. */
  dropout?: number;
  /** Default true. */
  bias?: boolean;
  /** Inputs are `[N, L, E]` instead of `[L, N, E]`; default false. */
  batchFirst?: boolean;
  /** Source of the initial values; default: the process-wide generator. */
  generator?: Generator;
  /** Source of dropout's masks; default: the process-wide generator. */
  dropoutGenerator?: Generator;
}

/** Masks of attention, and the form of its weights. */
export interface AttendOptions {
  /** `[N, S]`: bool with true for keys to ignore, or numbers to add to their scores. */
  keyPaddingMask?: Tensor | null;
  /** `[L, S]` or `[N·heads, L, S]`: bool with true where not to look, or numbers to add to the scores. */
  attentionMask?: Tensor | null;
  /** Weights as the mean over heads `[N, L, S]`, or of each head `[N, heads, L, S]`; default true. */
  averageWeights?: boolean;
}

/** Attention of `heads` heads over vectors of `embedDimension`, as `torch.nn.MultiheadAttention`. */
export class MultiheadAttention extends Module {
  readonly inProjWeight: Parameter;
  readonly inProjBias: Parameter | null;
  readonly outProj: Linear;
  readonly #options: MultiheadAttentionOptions;

  /** @throws TorchError when `heads` does not divide `embedDimension` */
  constructor(
    readonly embedDimension: number,
    readonly heads: number,
    options: MultiheadAttentionOptions = {},
  ) {
    super();
    if (!(Number.isInteger(heads) && heads >= 1 && embedDimension % heads === 0)) {
      throw new TorchError(
        `MultiheadAttention: expected heads that divide embedDimension, got ${heads} and ${embedDimension}`,
      );
    }
    const { bias = true, generator } = options;
    this.#options = options;
    this.inProjWeight = scope(() => new Parameter(zeros([3 * embedDimension, embedDimension])));
    this.inProjBias = bias ? scope(() => new Parameter(zeros([3 * embedDimension]))) : null;
    this.outProj = new Linear(embedDimension, embedDimension, { bias, ...(generator ? { generator } : {}) });
    xavierUniform_(this.inProjWeight, 1, generator);
    const outBias = this.outProj.bias;
    if (outBias) noGrad(() => outBias.zero_());
  }

  /** The output of `attend` alone; key and value default to the query: self-attention. */
  override forward(query: Tensor, key: Tensor = query, value: Tensor = key, options: AttendOptions = {}): Tensor {
    return scope(() => this.attend(query, key, value, options).output);
  }

  /**
   * Query `[L, N, E]`, key and value `[S, N, E]` (or batch first, or without a batch) → output of the query's shape,
   * and weights `[N, L, S]` after dropout, the mean over heads.
   * @throws TorchError naming the shapes when they or a mask's do not fit
   */
  attend(
    query: Tensor,
    key: Tensor = query,
    value: Tensor = key,
    options: AttendOptions = {},
  ): { output: Tensor; weights: Tensor } {
    this.#check(query, key, value);
    const batched = query.dim === 3;
    const { batchFirst = false, dropout = 0, dropoutGenerator } = this.#options;
    return scope(() => {
      const first = (given: Tensor) => (!batched ? unsqueeze(given, 0) : batchFirst ? given : transpose(given, 0, 1));
      const sources = [query, key, value].map(first); // [N, L, E]
      const [batch, length] = [sources[0]!.size(0), sources[0]!.size(1)];
      const [q, k, v] = sources.map((source, at) => this.#split(this.#project(source, at))); // [N, heads, L, E / heads]
      const mask = this.#mask(options, batch, length, sources[1]!.size(1), q!, batched);
      const attended = attentionWithWeights(q!, k!, v!, {
        mask,
        dropout: this.training ? dropout : 0,
        ...(dropoutGenerator ? { generator: dropoutGenerator } : {}),
      });
      // Laid out as PyTorch does it, [L, N, E] in memory: a dropout after this then draws the same mask.
      const joined = reshape(permute(attended.output, [2, 0, 1, 3]), [length, batch, this.embedDimension]);
      const projected = this.outProj.forward(joined); // [L, N, E]
      const output = !batched ? squeeze(projected, 1) : batchFirst ? transpose(projected, 0, 1) : projected;
      const { averageWeights = true } = options;
      const weights = averageWeights ? mean(attended.weights, [1]) : attended.weights;
      return { output, weights: batched ? weights : squeeze(weights, 0) };
    });
  }

  /** Part `at` (query, key, value) of the projection in: `[N, L, E]` → `[N, L, E]`. */
  #project(source: Tensor, at: number): Tensor {
    const size = this.embedDimension;
    const weight = narrow(this.inProjWeight, 0, at * size, size);
    return linear(source, weight, this.inProjBias ? narrow(this.inProjBias, 0, at * size, size) : null);
  }

  /** `[N, L, E]` → `[N, heads, L, E / heads]`. */
  #split(projected: Tensor): Tensor {
    const [batch, length] = projected.shape as [number, number];
    return transpose(reshape(projected, [batch, length, this.heads, this.embedDimension / this.heads]), 1, 2);
  }

  /** Both masks as numbers to add to the scores `[N, heads, L, S]`, or null. */
  #mask(options: AttendOptions, batch: number, length: number, keys: number, like: Tensor, batched: boolean) {
    const { keyPaddingMask = null, attentionMask = null } = options;
    const expectShape = (name: string, mask: Tensor, ...shapes: number[][]) => {
      if (shapes.some((shape) => shape.join() === mask.shape.join())) return;
      const wanted = shapes.map((shape) => `[${shape.join(", ")}]`).join(" or ");
      throw new TorchError(`MultiheadAttention: expected ${name} ${wanted}, got [${mask.shape.join(", ")}]`);
    };
    const additive = (mask: Tensor): Tensor => {
      if (mask.dtype !== "bool") return mask;
      const empty = zerosLike(mask).to(like.dtype);
      return fillWhere(empty, mask, Number.NEGATIVE_INFINITY);
    };
    let total: Tensor | null = null;
    if (attentionMask) {
      const each = [batch * this.heads, length, keys];
      expectShape("attentionMask", attentionMask, [length, keys], each);
      const added = additive(attentionMask);
      total = added.dim === 3 ? reshape(added, [batch, this.heads, length, keys]) : added;
    }
    if (keyPaddingMask) {
      expectShape("keyPaddingMask", keyPaddingMask, batched ? [batch, keys] : [keys]);
      const padding = reshape(additive(keyPaddingMask), [batch, 1, 1, keys]);
      total = total ? add(total, padding) : padding;
    }
    return total;
  }

  #check(query: Tensor, key: Tensor, value: Tensor): void {
    const shapes = [query, key, value].map(({ shape }) => `[${shape.join(", ")}]`).join(", ");
    const fits =
      (query.dim === 2 || query.dim === 3) &&
      [key, value].every((other) => other.dim === query.dim) &&
      [query, key, value].every((given) => given.size(-1) === this.embedDimension) &&
      key.shape.join() === value.shape.join() &&
      (query.dim === 2 || query.size(this.#options.batchFirst ? 0 : 1) === key.size(this.#options.batchFirst ? 0 : 1));
    if (fits) return;
    const [q, k] = this.#options.batchFirst ? ["N, L", "N, S"] : ["L, N", "S, N"];
    throw new TorchError(
      `MultiheadAttention: expected query [${q}, ${this.embedDimension}], key and value [${k}, ${this.embedDimension}], got ${shapes}`,
    );
  }
}

/** Settings of `TransformerEncoderLayer`. */
export interface TransformerEncoderLayerOptions {
  /** Width between the two linear layers; default 2048. */
  feedForward?: number;
  /** Default 0.1. */
  dropout?: number;
  /** Default `relu`. */
  activation?: "relu" | "gelu";
  /** Default 1e-5. */
  layerNormEps?: number;
  /** Inputs are `[N, L, E]` instead of `[L, N, E]`; default false. */
  batchFirst?: boolean;
  /** Normalise before each part instead of after its sum; default false. */
  normFirst?: boolean;
  /** Source of the initial values; default: the process-wide generator. */
  generator?: Generator;
  /** Source of dropout's masks; default: the process-wide generator. */
  dropoutGenerator?: Generator;
}

/** Self-attention and two linear layers, each with a shortcut and layer norm, as `torch.nn.TransformerEncoderLayer`. */
export class TransformerEncoderLayer extends Module {
  readonly selfAttn: MultiheadAttention;
  readonly linear1: Linear;
  readonly dropout: Dropout;
  readonly linear2: Linear;
  readonly norm1: LayerNorm;
  readonly norm2: LayerNorm;
  readonly dropout1: Dropout;
  readonly dropout2: Dropout;
  readonly #activation: (input: Tensor) => Tensor;
  readonly #normFirst: boolean;

  constructor(
    readonly embedDimension: number,
    readonly heads: number,
    options: TransformerEncoderLayerOptions = {},
  ) {
    super();
    const { feedForward = 2048, dropout = 0.1, activation = "relu", layerNormEps = 1e-5 } = options;
    if (activation !== "relu" && activation !== "gelu") {
      throw new TorchError(`TransformerEncoderLayer: expected the activation relu or gelu, got ${String(activation)}`);
    }
    const generator = options.generator ? { generator: options.generator } : {};
    const { dropoutGenerator } = options;
    const dropping = { generator: dropoutGenerator };
    this.selfAttn = new MultiheadAttention(embedDimension, heads, {
      dropout,
      batchFirst: options.batchFirst ?? false,
      ...generator,
      ...(dropoutGenerator ? { dropoutGenerator } : {}),
    });
    this.linear1 = new Linear(embedDimension, feedForward, generator);
    this.dropout = new Dropout(dropout, dropping);
    this.linear2 = new Linear(feedForward, embedDimension, generator);
    this.norm1 = new LayerNorm(embedDimension, { eps: layerNormEps });
    this.norm2 = new LayerNorm(embedDimension, { eps: layerNormEps });
    this.dropout1 = new Dropout(dropout, dropping);
    this.dropout2 = new Dropout(dropout, dropping);
    this.#activation = activation === "relu" ? relu : (input) => gelu(input);
    this.#normFirst = options.normFirst ?? false;
  }

  /** `[L, N, E]` (or batch first) → the same shape. @param options - masks, as `MultiheadAttention.attend` takes them */
  override forward(input: Tensor, options: Omit<AttendOptions, "averageWeights"> = {}): Tensor {
    return scope(() => {
      if (this.#normFirst) {
        const attended = add(input, this.#attend(this.norm1.forward(input), options));
        return add(attended, this.#feed(this.norm2.forward(attended)));
      }
      const attended = this.norm1.forward(add(input, this.#attend(input, options)));
      return this.norm2.forward(add(attended, this.#feed(attended)));
    });
  }

  #attend(input: Tensor, options: AttendOptions): Tensor {
    return this.dropout1.forward(this.selfAttn.forward(input, input, input, options));
  }

  #feed(input: Tensor): Tensor {
    const hidden = this.dropout.forward(this.#activation(this.linear1.forward(input)));
    return this.dropout2.forward(this.linear2.forward(hidden));
  }
}
