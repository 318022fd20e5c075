// Random arguments, right and wrong, from a seed: tensors of every kind there is, numbers at every edge, lists that
// change while they are read, objects that are something else.

/**
 * mulberry32: uniform in [0, 1).
 * @param {number} seed
 */
export function source(seed) {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const smallShapes = [[], [0], [1], [3], [4], [2, 2], [3, 3], [0, 3], [2, 3, 2], [1, 2, 4, 4], [2, 0, 4, 4], [2, 4, 3, 3], [1, 2, 3, 4, 4], [1, 1, 1, 1, 1, 1]]; // biome-ignore format: a list
const edgeNumbers = [
  0, -0, 1, 2, 3, 7, 64, -1, -2, -3, -100, 0.5, -0.5, 1e-300, 1e300, 1e38, 255, 256, 32768, 65536,
  2 ** 31 - 1, 2 ** 31, -(2 ** 31), 2 ** 32, 2 ** 33, 2 ** 40, 2 ** 47, 2 ** 50, 2 ** 53 - 1, -(2 ** 53) + 1, 2 ** 63, -(2 ** 63),
  Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 4503599627370496, 4503599627370497, 5629499534213120,
]; // biome-ignore format: a list
const dtypes = ["float32", "float32", "float32", "float64", "float16", "bfloat16", "int64", "int64", "int32", "int16", "int8", "uint8", "bool"]; // biome-ignore format: a list
const strings = [
  "", "none", "mean", "sum", "batchmean", "tanh", "same", "valid", "constant", "reflect", "replicate", "circular", "nearest",
  "linear", "bilinear", "bicubic", "float32", "bfloat16", "int64", "bool", "cpu", "cuda:0", "cuda:-1", "meta", "cpu:99999999999999",
  "row-major", "channels-last", "channels-last-3d", "preserve", "strided", "fro", "nuc", "L", "U", "full", "reduced", "r", "left",
  "ij,jk->ik", "i,i", "...i->...", "floor", "trunc", "amax", "prod", "relu", "toString", "__proto__", "\u0000", "x".repeat(1000), "\ud800",
]; // biome-ignore format: a list

/** Tensors of kinds that no function of the package makes, by libtorch's own operators. */
const exotic = {
  complex: (g, t) => g.operator("aten::complex")(t.to("float32"), g.plainTensor({ shape: t.shape, dtype: "float32" })),
  conjugated: (g, t) => g.operator("aten::_conj")(exotic.complex(g, t)),
  negated: (g, t) => g.operator("aten::imag")(exotic.conjugated(g, t)),
  sparse: (g, t) => g.operator("aten::to_sparse")(t),
  compressed: (g) => g.operator("aten::to_sparse_csr")(g.plainTensor({ shape: [3, 3], dtype: "float32" })),
  mkldnn: (g, t) => g.operator("aten::to_mkldnn")(t.to("float32")),
  zero: (g, t) => g.operator("aten::_efficientzerotensor")(t.shape, "float32"),
  empty: (g, t) =>
    g.operator("aten::empty_strided")(
      t.shape,
      t.shape.map(() => 0),
    ),
  nested: (g, t) => g.operator("aten::_nested_tensor_from_tensor_list")([t.to("float32"), t.to("float32")]),
};

export class Garbage {
  #random;
  #operators;

  /**
   * @param {typeof import("../../../src/index.js")} torch
   * @param {number} seed
   * @param {Map<string, Function>} operators - found ones, shared between calls
   */
  constructor(torch, seed, operators) {
    this.torch = torch;
    this.#random = source(seed);
    this.#operators = operators;
    /** Every tensor that was made, to be looked at afterwards. */
    this.made = [];
    this.theme = {
      shape: this.pick(smallShapes),
      dtype: this.pick(dtypes),
      shared: this.chance(0.5),
      plain: this.chance(0.6),
    };
  }

  /** An integer in [0, limit). */
  below(limit) {
    return Math.floor(this.#random() * limit);
  }

  pick(items) {
    return items[this.below(items.length)];
  }

  chance(probability) {
    return this.#random() < probability;
  }

  /** @param {string} name */
  operator(name) {
    const found = this.#operators.get(name) ?? this.torch.operator(name, "", { unchecked: true });
    this.#operators.set(name, found);
    return found;
  }

  number() {
    return this.chance(0.55) ? this.below(7) - 1 : this.pick(edgeNumbers);
  }

  /** What an index, a size or a dimension may well be. */
  integer() {
    return this.chance(0.85) ? this.below(6) - 1 : Math.trunc(this.pick(edgeNumbers));
  }

  text() {
    return this.pick(strings);
  }

  dtype() {
    return this.pick(dtypes);
  }

  shape() {
    return this.theme.shared && this.chance(0.8) ? this.theme.shape : this.pick(smallShapes);
  }

  /** A dense tensor on the CPU with small whole numbers, or now and then NaN, infinity and huge ones. */
  plainTensor({
    shape = this.shape(),
    dtype = this.theme.shared && this.chance(0.8) ? this.theme.dtype : this.dtype(),
  } = {}) {
    const { torch } = this;
    const values = new Float64Array(shape.reduce((product, size) => product * size, 1));
    const wild = this.chance(0.1);
    for (let i = 0; i < values.length; i++)
      values[i] = wild ? this.pick(edgeNumbers) : this.below(5) - (this.chance(0.2) ? 2 : 0);
    const made = torch.tensor(values, { shape }).to(dtype);
    this.made.push(made);
    return made;
  }

  tensor() {
    const { torch } = this;
    let made = this.plainTensor();
    if (this.theme.plain) {
      if (made.dtype.includes("float") && this.chance(0.3)) made.requiresGrad_();
      return made;
    }
    if (made.dtype.includes("float") && this.chance(0.25)) made.requiresGrad_();
    const { shape } = made;
    const kind = this.#random();
    if (kind < 0.1 && shape.length >= 2) made = made.transpose(0, shape.length - 1);
    else if (kind < 0.15 && shape.length > 0) made = made.narrow(0, 0, 0);
    else if (kind < 0.2 && shape.length > 0) made = made.slice(shape.length - 1, 1, null, 2);
    else if (kind < 0.25) made = made.unsqueeze(0).expand([this.pick([2, 3, 0]), ...shape]);
    else if (kind < 0.28 && made.numel > 3) made = torch.asStrided(made, [2, 2], [1, 1]);
    else if (kind < 0.31 && shape.length === 4) made = made.contiguous("channels-last");
    else if (kind < 0.34) made = made.mul(2);
    else if (kind < 0.37) made = made.toDevice("meta");
    else if (kind < 0.4) made.dispose();
    else if (kind < 0.42)
      made = made
        .reshape([-1])
        .slice(0, 0, 1)
        .expand([2 ** 20]);
    else if (kind < 0.5) {
      made = this.pick(Object.values(exotic))(this, made.detach());
    }
    this.made.push(made);
    return made;
  }

  tensors() {
    return Array.from({ length: this.pick([0, 1, 1, 2, 2, 3]) }, () => this.tensor());
  }

  integers(length = this.pick([0, 1, 1, 2, 2, 3, 4])) {
    return Array.from({ length }, () => this.integer());
  }

  /** A list whose reading does something: it disposes, throws, grows or shrinks. */
  trap(items) {
    const list = [...items, 0];
    const victims = this.made;
    const bait = this.tensorOrNull();
    const act = this.pick([
      () => {
        for (const victim of victims) victim.dispose();
      },
      () => {
        throw new RangeError("thrown by a getter");
      },
      () => {
        list.length = 0;
      },
      () => list.push(bait),
      () => this.torch.emptyCache(),
      () => this.torch.scope(() => this.torch.zeros([4])),
    ]);
    let left = 20;
    Object.defineProperty(list, list.length - 1, {
      configurable: true,
      enumerable: true,
      get() {
        if (left-- > 0) act();
        return bait;
      },
    });
    return list;
  }

  tensorOrNull() {
    return this.chance(0.7) ? this.tensor() : null;
  }

  /** Anything at all. */
  value(depth = 0) {
    const kind = this.#random();
    if (kind < 0.35) return this.tensor();
    if (kind < 0.55) return this.number();
    if (kind < 0.6) return this.text();
    if (kind < 0.63) return this.integers();
    if (kind < 0.75 && depth < 3) {
      return Array.from({ length: this.pick([0, 1, 2, 2, 3, 4, 7]) }, () => this.value(depth + 1));
    }
    if (kind < 0.83 && depth < 2) return this.options(depth);
    if (kind < 0.86) return this.trap(this.chance(0.5) ? this.made.slice(-2) : [1, 2]);
    return this.#foreign();
  }

  #foreign() {
    const cycle = [];
    cycle.push(cycle);
    const loop = { self: null };
    loop.self = loop;
    const detached = new Float32Array(4);
    structuredClone(detached, { transfer: [detached.buffer] });
    const { torch } = this;
    return this.pick([
      () => undefined,
      () => null,
      () => this.chance(0.5),
      () => ({}),
      () => [],
      () => [1, 1],
      () => [2, 2],
      () => new Array(3),
      () => cycle,
      () => loop,
      () => 10n,
      () => 2n ** 70n,
      () => Symbol("s"),
      () => () => this.tensor(),
      () => async () => 1,
      () => Promise.resolve(1),
      () => class {},
      () => new Date(0),
      () => /x/,
      () => new Map([["weight", this.tensorOrNull()]]),
      () => new Set([1]),
      () => new Float32Array(4),
      () => new Float64Array(2),
      () => new BigInt64Array(2),
      () => new Uint16Array(2),
      () => new Uint8ClampedArray(3),
      () => new DataView(new ArrayBuffer(8)),
      () => new ArrayBuffer(8),
      () => new SharedArrayBuffer(16),
      () => new Float32Array(new SharedArrayBuffer(16)),
      () => detached,
      () => new torch.Generator(this.below(9)),
      () => {
        const generator = new torch.Generator(1);
        generator.dispose();
        return generator;
      },
      () => torch.defaultGenerator(),
      () => Object.create(null),
      () => Object.create(torch.Tensor.prototype),
      () => Object.assign(Object.create(torch.Tensor.prototype), { handle: this.pick(edgeNumbers) }),
      () => ({ handle: 4503599627370496, shape: [2], dtype: "float32", requiresGrad: true }),
      () => new Proxy([1, 2, 3], {}),
      () => new Proxy({}, { get: () => this.pick(edgeNumbers) }),
      () => ({ valueOf: () => 3, toString: () => "3" }),
      () => new Proxy(this.tensor(), {}),
      () => new torch.nn.Linear(2, 2),
      () => new torch.Parameter(this.plainTensor({ dtype: "float32" })),
      () => new torch.Buffer(this.plainTensor()),
    ])();
  }

  /** Options under the names that functions know. */
  options(depth = 0) {
    const keys = ["dtype", "device", "requiresGrad", "generator", "step", "shape", "stride", "padding", "dilation", "groups",
      "bias", "keepDim", "unbiased", "reduction", "runningMean", "runningVar", "weight", "training", "momentum", "eps", "residual",
      "alpha", "beta", "countIncludePad", "outputPadding", "size", "scaleFactor", "mode", "alignCorners", "ceilMode", "mask", "isCausal",
      "dropout", "p", "value", "dimension", "replacement", "weights", "length", "descending", "stable", "largest", "accumulate", "exact",
      "recompute", "rectify", "labelSmoothing", "ignoreIndex", "paddingIndex", "memoryFormat", "copy", "nonBlocking", "gradient",
      "retainGraph", "inputs", "gradOutputs", "allowUnused", "learningRate", "nesterov", "weightDecay", "betas", "amsgrad", "maximize",
      "centered", "steps", "period", "milestones", "gamma", "every", "mapped", "names", "verify"]; // biome-ignore format: a list
    return Object.fromEntries(
      Array.from({ length: this.pick([0, 1, 2, 5]) }, () => [
        this.pick(keys),
        this.chance(0.5) ? this.number() : this.value(depth + 1),
      ]),
    );
  }
}
