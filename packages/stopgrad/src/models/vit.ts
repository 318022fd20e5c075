// Vision transformer for small images (Dosovitskiy et al., arXiv 2010.11929): pre-norm encoder blocks over the tokens of
// 4x4 patches, a class token among them. Each block is a stage, the patch embedding a part of the first; taps are tokens
// [N, T, D], T patches + 1, the class token first. State-dict names and initial values are torchvision's, but for the
// classifier, which starts as every linear head here does (torchvision: at zero, where nothing but itself would learn
// from the first step).
//
// arXiv 2402.09050 has six blocks and does not publish the rest; the defaults are ours.
import { cat, gelu, nn, noGrad, normal_, Parameter, scope, type Tensor, zeros } from "@stopgrad/torch";
import { z } from "zod";
import { Backbone, type BackboneContext, type Model, Stage } from "./backbone.js";
import { FullLayerNorm } from "./precision.js";

const options = z.strictObject({
  /** D, a multiple of `heads`. */
  width: z.int().positive().default(192),
  /** Side of a patch in pixels, a divisor of the image's sides. */
  patch: z.int().positive().default(4),
  /** Attention heads of a block. */
  heads: z.int().positive().default(3),
  blocks: z.int().positive().default(6),
  /** Of tokens with their positions, and of what attention and both linear layers give; not of attention weights. */
  dropout: z.number().min(0).lt(1).default(0),
});
type Options = z.infer<typeof options>;

/** Hidden width of a block's two linear layers, in units of D. */
const EXPANSION = 4;
/** Torchvision's; PyTorch's own layers have 1e-5. */
const NORM_EPSILON = 1e-6;
const POSITION_DEVIATION = 0.02;
const BIAS_DEVIATION = 1e-6;

export const vit: Model = {
  summary: "Vision transformer: 4x4 patches, class token, 6 pre-norm blocks; width is the tokens' size (192)",
  source: "Dosovitskiy et al., arXiv 2010.11929; six blocks as in arXiv 2402.09050, whose sizes are not published",
  options,
  hasClassifier: true,
  mapStages: 0,

  stageCount: (given, [, height = 0, width = 0]) => {
    const parsed = options.parse(given);
    checkSizes(parsed, height, width);
    return parsed.blocks;
  },

  create(given, context) {
    const parsed = options.parse(given);
    const [, height, width] = context.inputShape;
    checkSizes(parsed, height, width);
    const { classes, generator } = context;
    const tokens = new Tokens(parsed, context);
    const stages = Array.from({ length: parsed.blocks }, (_, at) => {
      const block = new EncoderBlock(parsed, context);
      const path = `encoder.layers.encoder_layer_${at}`;
      return at === 0
        ? new Stage("block1", { "": tokens, [path]: block }, (images) => block.forward(tokens.forward(images)))
        : new Stage(`block${at + 1}`, { [path]: block }, (input) => block.forward(input));
    });
    const norm = new FullLayerNorm(parsed.width, { eps: NORM_EPSILON });
    const head = new nn.Linear(parsed.width, classes, { generator });
    const classifier = new Stage("classifier", { "encoder.ln": norm, "heads.head": head }, (input) =>
      head.forward(norm.forward(input.select(1, 0))),
    );
    return new Backbone(stages, classifier);
  },
};

function checkSizes({ width: tokenSize, patch, heads }: Options, height: number, width: number): void {
  if (height < patch || width < patch || height % patch !== 0 || width % patch !== 0) {
    throw new Error(`vit needs images whose sides are multiples of patch, ${patch}, got ${height}x${width}`);
  }
  if (tokenSize % heads !== 0) {
    throw new Error(`vit needs a width that is a multiple of heads, ${heads}, got ${tokenSize}`);
  }
}

/** Images to tokens: `[N, C, H, W]` → `[N, 1 + H·W / patch², D]`, the class token first, positions added. */
class Tokens extends nn.Module {
  readonly classToken: Parameter;
  readonly convProj: nn.Conv2d;
  readonly encoder: Positions;
  readonly drop: nn.Dropout;

  constructor({ width: size, patch, dropout }: Options, context: BackboneContext) {
    super();
    const { inputShape, generator, dropoutGenerator } = context;
    const [channels, height, width] = inputShape;
    this.classToken = scope(() => new Parameter(zeros([1, 1, size])));
    this.convProj = new nn.Conv2d(channels, size, patch, { stride: patch, generator });
    nn.truncNormal_(this.convProj.weight, { deviation: 1 / Math.sqrt(channels * patch * patch), generator });
    nn.zeros_(this.convProj.bias!);
    this.encoder = new Positions(1 + (height / patch) * (width / patch), size, generator);
    this.drop = new nn.Dropout(dropout, { generator: dropoutGenerator, recompute: true });
  }

  override forward(images: Tensor): Tensor {
    const patches = this.convProj.forward(images).flatten(2).transpose(1, 2); // [N, T − 1, D]
    // Tokens have the type of what computed them, so that a network in 16 bits is one throughout.
    const first = this.classToken.to(patches.dtype).expand([patches.size(0), 1, patches.size(2)]);
    return this.drop.forward(this.encoder.forward(cat([first, patches], 1)));
  }
}

/** Adds what says where a token stands: `[N, T, D]` → the same. */
class Positions extends nn.Module {
  readonly posEmbedding: Parameter;

  constructor(tokens: number, size: number, generator: BackboneContext["generator"]) {
    super();
    this.posEmbedding = scope(() => new Parameter(zeros([1, tokens, size])));
    noGrad(() => normal_(this.posEmbedding, 0, POSITION_DEVIATION, generator));
  }

  override forward(tokens: Tensor): Tensor {
    return tokens.add(this.posEmbedding.to(tokens.dtype));
  }
}

/** Self-attention, then two linear layers with GELU, each behind layer norm and beside a shortcut: `[N, T, D]` → same. */
class EncoderBlock extends nn.Module {
  readonly #norm1: nn.LayerNorm;
  readonly #attention: nn.MultiheadAttention;
  readonly #norm2: nn.LayerNorm;
  readonly #linear1: nn.Linear;
  readonly #linear2: nn.Linear;
  readonly #drop: nn.Dropout;

  constructor({ width: size, heads, dropout }: Options, { generator, dropoutGenerator }: BackboneContext) {
    super();
    const linear = (inputs: number, outputs: number) => {
      const layer = new nn.Linear(inputs, outputs, { generator });
      nn.xavierUniform_(layer.weight, 1, generator);
      noGrad(() => normal_(layer.bias!, 0, BIAS_DEVIATION, generator));
      return layer;
    };
    this.#norm1 = new FullLayerNorm(size, { eps: NORM_EPSILON });
    this.#attention = new nn.MultiheadAttention(size, heads, { batchFirst: true, generator });
    this.#norm2 = new FullLayerNorm(size, { eps: NORM_EPSILON });
    this.#linear1 = linear(size, EXPANSION * size);
    this.#linear2 = linear(EXPANSION * size, size);
    this.#drop = new nn.Dropout(dropout, { generator: dropoutGenerator, recompute: true });
  }

  override *namedChildren(): IterableIterator<[string, nn.Module]> {
    yield ["ln_1", this.#norm1];
    yield ["self_attention", this.#attention];
    yield ["dropout", this.#drop];
    yield ["ln_2", this.#norm2];
    yield ["mlp.0", this.#linear1];
    yield ["mlp.3", this.#linear2];
  }

  override forward(input: Tensor): Tensor {
    const normed = this.#norm1.forward(input);
    const seen = this.#attention.forward(normed, normed, normed, { averageWeights: false });
    const attended = input.add(this.#drop.forward(seen));
    const hidden = this.#drop.forward(gelu(this.#linear1.forward(this.#norm2.forward(attended))));
    return attended.add(this.#drop.forward(this.#linear2.forward(hidden)));
  }
}
