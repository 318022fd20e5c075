// What is measured, as data. A case is one piece of work done by stopgrad and by each form of the PyTorch script; they
// take turns, so that a slow moment of the machine meets all of them.
//
// `kind` names the program of both sides (stopgrad/<kind>.mjs, pytorch/<kind>.py); `settings` are an experiment file's.
// `count` is how much one turn does (optimizer steps, or evaluations) and `repeats` how many turns each one gets;
// A form's `target` is how many times as fast as it stopgrad should be, `activations` the most of its activations' bytes
// that stopgrad should need; a case's `limit` is the most seconds it should take.
// `peak` is the most of its peak bytes, weights and all, that stopgrad should need.
// A case with `device` is left out, with a note, where there is no such device.
// `warmUp` goes before the first turn, untimed, on top of what both sides do by themselves to measure memory.

/** Images a batch, everywhere. */
export const BATCH = 128;

const lenet5 = { model: "lenet5", partition: 1 };
const resnet18 = {
  model: { name: "resnet18", width: 64, dropout: 0.2 },
  partition: "stage",
  objective: { head: "linear" },
};

/**
 * Floating-point operations of one training step, in billions an image: a multiplication and an addition for each
 * weight and place, forward, to the weights and, but for the first layer, to the input. Convolutions and the last layer
 * of ResNet18 for 32x32 images; norms and activations are not counted.
 */
function resnet18Gigaflops(width, classes) {
  const places = (side) => side * side;
  const stem = places(32) * width * 3 * 9;
  let rest = 8 * width * classes;
  let inputs = width;
  for (let group = 0; group < 4; group++) {
    const outputs = width * 2 ** group;
    const side = 32 / 2 ** group;
    for (let block = 0; block < 2; block++) {
      rest += places(side) * outputs * 9 * (inputs + outputs);
      if (inputs !== outputs) rest += places(side) * outputs * inputs;
      inputs = outputs;
    }
  }
  return (2 * (2 * stem + 3 * rest)) / 1e9;
}

/** ResNet18 of full width on a GPU: stopgrad with recorded passes beside eager PyTorch in the same precision. */
function onGpu(name, title, settings, plain) {
  return {
    name: `resnet18-cuda${name}`,
    title: `ResNet18 (width 64) on a GPU, ${title}`,
    kind: "training",
    unit: "images/s",
    device: "cuda",
    settings: { ...resnet18, device: "cuda", rule: { name: "partitioned", graph: true }, ...settings },
    forms: [{ ...plain, count: 100, target: 2 }],
    count: 100,
    warmUp: 20,
    repeats: 7,
    quick: { count: 20, repeats: 3 },
  };
}
const plainOnGpu = { name: "plain", title: "eager, all modules forward, then each loss backward" };
const endToEndOnGpu = { name: "end-to-end", title: "eager, end to end" };

const contrastive = { preset: "contrastive", resizedCrop: { resizeTo: 32 } };
const endToEnd = { name: "end-to-end", own: true, kind: "training", count: 1 };
const layerWise = { ...endToEnd, name: "layer-wise" };

/**
 * A way of learning ResNet18 of full width, beside end-to-end cross-entropy of the same network.
 * @param settings - of the experiment file, over layer-wise cross-entropy with linear heads
 * @param overhead - how much of layer-wise cross-entropy's step the loss itself should add at most, beyond the forward
 *   and backward passes of further views
 */
function rule(name, settings, overhead = null) {
  const model = { name: "resnet18", width: 64 };
  const plain = { ...endToEnd, settings: { model, partition: 1 } };
  const local = { ...layerWise, settings: { model, partition: "stage" } };
  return {
    name: `rule: ${name}`,
    rule: name,
    title: name,
    kind: "training",
    unit: "images/s",
    settings: { model, ...settings },
    forms: overhead === null ? [plain] : [plain, local],
    overhead,
    count: 1,
    warmUp: 0,
    repeats: 3,
    quick: { count: 1, repeats: 1 },
  };
}

/** `npm run bench -- --rules`: what each way of learning costs. */
export const ruleCases = [
  rule("layer-wise cross-entropy, linear heads", { partition: "stage" }),
  rule("layer-wise cross-entropy, two-layer heads", { partition: "stage", objective: { head: "mlp" } }),
  rule("9 blocks in sequence, linear heads (the first)", { partition: "stage", schedule: "sequential" }),
  rule(
    "layer-wise supervised contrastive, two views, no heads",
    { partition: "stage", objective: { loss: "supervised-contrastive", head: "none" }, augment: contrastive },
    { most: 0.25, views: 2 },
  ),
  rule(
    "layer-wise supervised contrastive, two views, linear heads",
    { partition: "stage", objective: { loss: "supervised-contrastive", head: "linear" }, augment: contrastive },
    { most: 0.25, views: 2 },
  ),
  rule(
    "layer-wise similarity matching, no heads",
    { partition: "stage", objective: { loss: "similarity-matching", head: "none" } },
    { most: 0.25, views: 1 },
  ),
  rule("layer-wise similarity matching, convolution heads", {
    partition: "stage",
    objective: { loss: "similarity-matching", head: "conv" },
  }),
  rule("layer-wise predsim, convolution heads", { partition: "stage", objective: { loss: "predsim", head: "conv" } }),
  rule("layer-wise signal propagation, soft", { partition: "stage", objective: { loss: "signal-propagation" } }),
  rule("layer-wise HSIC bottleneck", { partition: "stage", objective: { loss: "hsic-bottleneck" } }),
  rule("layer-wise cross-entropy with the nHSIC term", { partition: "stage", objective: { nhsic: { weight: 0.1 } } }),
  rule("end-to-end supervised contrastive, two views", {
    partition: 1,
    objective: { loss: "supervised-contrastive", head: "projection" },
    augment: contrastive,
  }),
  rule("end-to-end SimCLR", { partition: 1, objective: { loss: "simclr", head: "projection" }, augment: contrastive }),
  rule("Forward-Forward, all blocks at once", { rule: "forward-forward" }),
  rule("forward gradient, one tangent", { rule: "forward-gradient" }),
];

/** ResNet-110 in sixteen modules of equal memory, as arXiv 2312.07636 trains it. */
const resnet110 = {
  model: "resnet110",
  objective: { head: "1c2f" },
  optimizer: { name: "sgd", momentum: 0.9, nesterov: true, weightDecay: 1e-4, learningRate: 0.1 },
};
const sixteen = { ...resnet110, partition: { modules: 16, balance: "memory" } };

/**
 * A way of training ResNet-110, beside end to end of the same network and what else is named.
 * @param settings - of the experiment file
 * @param others - forms beside end to end
 * @param limits - targets beside end to end
 */
function greedy(name, settings, others = [], limits = {}) {
  const form = { own: true, kind: "training", count: 1 };
  return {
    name: `greedy: ${name}`,
    rule: name,
    title: name,
    kind: "training",
    unit: "images/s",
    settings,
    forms: [
      { ...form, name: "end-to-end", settings: { ...resnet110, partition: 1 }, ...limits },
      ...others.map((other) => ({ ...form, ...other })),
    ],
    count: 1,
    warmUp: 0,
    repeats: 3,
    quick: { count: 1, repeats: 1 },
  };
}

const checkpointed = { ...resnet110, partition: 1, gradientCheckpointing: true };

/** `npm run bench -- --greedy`: memory and speed of sixteen modules. Targets are the forms'. */
export const greedyCases = [
  greedy("end to end, gradient checkpointing", checkpointed),
  greedy("16 modules, 1c2f heads (DGL)", sixteen, [{ name: "checkpointing", settings: checkpointed, activations: 1 }], {
    activations: 0.25,
  }),
  greedy("16 modules, context from the input (ContSup[E])", { ...sixteen, context: "E" }, [
    { name: "DGL", settings: sixteen, target: 0.85, peak: 1.05 },
  ]),
  greedy("the same, contexts' activations stored", { ...sixteen, context: { fromInput: true, recompute: false } }, [
    { name: "DGL", settings: sixteen },
  ]),
  greedy("16 modules, context from the module before (ContSup[R1])", { ...sixteen, context: "R1" }, [
    { name: "DGL", settings: sixteen },
  ]),
  greedy("16 modules, both (ContSup[R1E])", { ...sixteen, context: "R1E" }, [{ name: "DGL", settings: sixteen }]),
  greedy(
    "16 modules, decoders (InfoPro)",
    {
      ...sixteen,
      objective: {
        head: "1c2f",
        reconstruction: {
          weights: { first: { reconstruction: 5, label: 0.5 }, last: { reconstruction: 0.5, label: 1 } },
        },
      },
    },
    [{ name: "DGL", settings: sixteen }],
  ),
];
/** ResNet-32 in two modules: side by side in two processes of one thread, beside one process of two threads, and of one. */
const pair = {
  model: "resnet32",
  partition: 2,
  objective: { head: "1c2f" },
  optimizer: resnet110.optimizer,
};
greedyCases.push({
  ...greedy("ResNet-32 in 2 modules, side by side in 2 processes of one thread", { ...pair, parallel: { workers: 2 } }),
  kind: "pipeline",
  count: 12,
  forms: [
    {
      own: true,
      kind: "training",
      name: "one process of two threads",
      settings: pair,
      threads: 2,
      count: 6,
      target: 1.2,
    },
    { own: true, kind: "training", name: "one process of one thread", settings: pair, count: 6 },
  ],
  quick: { count: 4, repeats: 1 },
});

/** Images of one split that `npm run bench -- --measures` passes through the network; ratios do not depend on it. */
export const IMAGES = 1280;

/**
 * `npm run bench -- --measures`: what measures cost beside the forward pass that they look at, and beside PyTorch.
 * A form's `most` is how many times as long as it stopgrad should take.
 * @param images - of a split
 */
export function measureCases(images = IMAGES) {
  const settings = { model: { name: "resnet18", width: 64 }, partition: "stage" };
  const forward = (pass) => ({ own: true, name: "forward", kind: "forward-pass", settings: { ...settings, pass } });
  const common = { unit: "s", count: 1, warmUp: 0, quick: { repeats: 1 } };
  const observed = (measure, limits = {}) => {
    const pass = { images: BATCH, atOnce: BATCH, measure };
    const title = `forward pass with ${measure} of nine stages with input and label, ${BATCH} images`;
    const plain = { ...forward(pass), title: "forward pass alone", count: 1, ...limits };
    return {
      ...common,
      name: `${measure}-pass`,
      title,
      kind: "observed-pass",
      settings: { ...settings, pass },
      forms: [plain],
      repeats: Math.max(3, Math.floor(images / BATCH)),
      quick: { repeats: 3 },
    };
  };
  const pass = { images, atOnce: 500 };
  return [
    observed("nhsic", { most: 1.5 }),
    observed("hsic"),
    observed("cka"),
    { ...cases.find(({ name }) => name === "nhsic"), name: "nhsic-direct", repeats: 1 },
    {
      ...common,
      name: "probe-collection",
      title: `what linear probes keep of nine stages, ${images} + ${images} images`,
      kind: "collection",
      settings: { ...settings, pass },
      forms: [
        { ...forward(pass), title: `forward pass alone, ${images} images`, count: 1, most: 3 },
        { name: "hooks", title: "PyTorch: forward hooks, the same pooling", count: 1, target: 1 },
      ],
      repeats: 3,
    },
    {
      ...common,
      name: "probe-fits",
      title: `nine linear probes on those features, to convergence`,
      kind: "probe-fits",
      settings: { ...settings, pass },
      forms: [{ name: "adam", title: "PyTorch: Adam, 100 epochs in batches of 256", count: 1 }],
      repeats: 3,
    },
  ];
}

export const cases = [
  {
    name: "lenet5",
    title: "LeNet5 end to end, CIFAR-10 shape",
    kind: "training",
    unit: "images/s",
    settings: lenet5,
    forms: [
      { name: "memory", title: "tensors in memory, batch gathered and normalised at once", count: 100, target: 1.2 },
      { name: "loader", title: "`DataLoader`, each sample normalised", count: 100, target: 1.5 },
    ],
    count: 200,
    warmUp: 50,
    repeats: 9,
    quick: { count: 40, repeats: 3 },
  },
  {
    name: "compare",
    title: "`compare` of LeNet5, end to end and layer-wise, 2 seeds, 3 epochs, nHSIC every epoch",
    kind: "compare",
    unit: "s",
    settings: { epochs: 3, seeds: [1, 2], batches: 8 },
    forms: [{ name: "scripts", title: "a script for each, one after the other", count: 1, target: 3 }],
    count: 1,
    warmUp: 0,
    repeats: 1,
    quick: { repeats: 1 },
  },
  {
    name: "resnet18",
    title: "ResNet18 (width 64) layer-wise, linear heads",
    kind: "training",
    unit: "images/s",
    settings: resnet18,
    forms: [
      {
        name: "plain",
        title: "all modules forward, then each loss backward",
        count: 2,
        target: 1.25,
        activations: 0.4,
      },
      { name: "at-once", title: "each module's backward right after its forward", count: 2 },
      { name: "end-to-end", title: "end to end", count: 2, activations: 0.5 },
    ],
    count: 2,
    warmUp: 0,
    repeats: 5,
    quick: { count: 1, repeats: 2 },
  },
  {
    name: "resnet18-bfloat16",
    title: "the same with `precision: bfloat16`",
    kind: "training",
    unit: "images/s",
    settings: { ...resnet18, precision: "bfloat16" },
    forms: [
      {
        name: "plain",
        title: "all modules forward, then each loss backward, float32",
        count: 2,
        target: 2.5,
        activations: 0.4,
      },
      { name: "end-to-end", title: "end to end, float32", count: 2, activations: 0.5 },
    ],
    count: 2,
    warmUp: 1,
    repeats: 5,
    quick: { count: 1, repeats: 2 },
  },
  onGpu("", "layer-wise, float32", {}, plainOnGpu),
  onGpu("-bfloat16", "layer-wise, bfloat16", { precision: "bfloat16" }, plainOnGpu),
  onGpu("-e2e", "end to end, float32", { partition: 1 }, endToEndOnGpu),
  onGpu("-e2e-bfloat16", "end to end, bfloat16", { partition: 1, precision: "bfloat16" }, endToEndOnGpu),
  {
    name: "resnet18-share",
    title: "ResNet18 (width 64) end to end, share of the matrix-product rate",
    kind: "training",
    unit: "GFLOP/s",
    settings: { ...resnet18, partition: 1, gigaflopsPerImage: resnet18Gigaflops(64, 10) },
    forms: [{ name: "products", title: "float32 matrix products of 2048 x 2048", own: true, count: 10, target: 0.7 }],
    count: 2,
    warmUp: 1,
    repeats: 5,
    quick: { count: 1, repeats: 2 },
  },
  {
    name: "nhsic",
    title: "nHSIC of nine ResNet18 (width 64) stages with input and label",
    kind: "nhsic",
    unit: "s",
    settings: { model: { name: "resnet18", width: 64 }, partition: "stage" },
    forms: [
      { name: "direct", title: "broadcast differences, explicit inverse", count: 1, needsBytes: 10e9, target: 60 },
    ],
    count: 5,
    warmUp: 0,
    repeats: 3,
    quick: { repeats: 1 },
  },
  {
    name: "scalars",
    title: "add of two scalars, its result released",
    kind: "scalars",
    unit: "s",
    settings: {},
    forms: [{ name: "add", title: "`torch.add`", count: 200_000, target: 1 }],
    count: 200_000,
    warmUp: 0,
    repeats: 9,
    quick: { repeats: 3 },
    limit: 2e-6,
  },
  {
    name: "help",
    title: "`stopgrad --help`",
    kind: "help",
    unit: "s",
    settings: {},
    forms: [],
    count: 1,
    warmUp: 0,
    repeats: 15,
    quick: { repeats: 5 },
    limit: 0.15,
  },
  {
    name: "first-step",
    title: "`stopgrad train` to the end of the first step, LeNet5 on CIFAR-10",
    kind: "first-step",
    unit: "s",
    settings: { model: "lenet5" },
    forms: [],
    count: 1,
    warmUp: 0,
    repeats: 7,
    quick: { repeats: 3 },
    limit: 1.5,
  },
];
