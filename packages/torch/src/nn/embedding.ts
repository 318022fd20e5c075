import { noGrad } from "../autograd.js";
import { normal_, zeros } from "../ops/creation.js";
import { embedding } from "../ops/functional.js";
import type { Generator } from "../random.js";
import { scope } from "../scope.js";
import { Parameter, type Tensor } from "../tensor.js";
import { Module } from "./module.js";

/** Settings of `Embedding`. */
export interface EmbeddingOptions {
  /** A row that starts at 0 and gets no gradient; from the end when negative; default none. */
  paddingIndex?: number | null;
  /** Divide a row's gradient by how often it was taken; default false. */
  scaleGradByFrequency?: boolean;
  /** Source of the initial values; default: the process-wide generator. */
  generator?: Generator;
}

/** A table of `count` vectors, normal at the start: int64 or int32 `[…]` → `[…, dimension]`, as `torch.nn.Embedding`. */
export class Embedding extends Module {
  readonly weight: Parameter;
  readonly #options: Omit<EmbeddingOptions, "generator">;

  /** @throws TorchError when `options.paddingIndex` is not a row */
  constructor(
    readonly count: number,
    readonly dimension: number,
    options: EmbeddingOptions = {},
  ) {
    super();
    const { generator, ...rest } = options;
    this.#options = rest;
    this.weight = scope(() => new Parameter(zeros([count, dimension])));
    scope(() =>
      noGrad(() => {
        normal_(this.weight, 0, 1, generator);
        if (typeof rest.paddingIndex === "number") this.weight.select(0, rest.paddingIndex).zero_();
      }),
    );
  }

  override forward(indices: Tensor): Tensor {
    return embedding(indices, this.weight, this.#options);
  }
}
