// How the reference is divided: a page for each family, a part of a page for each source file. A file that is not named
// here stops the script, so that nothing new is left out.

/**
 * @typedef {object} Part
 * @property {string} title
 * @property {string} file - below packages/torch/src
 * @property {string} [intro] - what holds for all of it
 * @property {string[]} [only] - of this file, these names; what is left goes to the file's other part
 *
 * @typedef {object} Page
 * @property {string} name - of the file, without `.md`
 * @property {string} title
 * @property {string} summary - for the index and the page's head
 * @property {Part[]} parts
 */

const RANDOM = [
  "RandomOptions",
  "uniform_",
  "normal_",
  "bernoulli_",
  "rand",
  "randn",
  "randint",
  "randperm",
  "multinomial",
  "bernoulli",
];

/** @type {Page[]} */
export const pages = [
  {
    name: "tensors",
    title: "Tensors",
    summary: "The tensor and its methods, element types; making tensors; shapes, views, parts, conversions.",
    parts: [
      { title: "The tensor", file: "tensor.ts" },
      { title: "Element types", file: "native.ts" },
      { title: "Making tensors", file: "ops/creation.ts", intro: "Random ones are on the page [Random](random.md)." },
      { title: "Shapes, order in memory, conversions", file: "ops/shape.ts" },
      {
        title: "Parts of a tensor",
        file: "ops/indexing.ts",
        intro:
          "Slices and windows are views: writing into them writes into the tensor. Elements chosen by positions or a mask " +
          "are copies. Negative dimensions and positions count from the end.",
      },
    ],
  },
  {
    name: "operators",
    title: "Operators",
    summary: "Arithmetic, comparisons, reductions, sorting, linear algebra, in-place operators; any operator by name.",
    parts: [
      {
        title: "Arithmetic",
        file: "ops/arithmetic.ts",
        intro:
          "Element by element, of any shape. Two arguments are broadcast, and element types are promoted, as in PyTorch; a " +
          "whole number counts as an integer, so `add(ints, 2)` stays an integer and `add(ints, 2.5)` is float32.",
      },
      {
        title: "Comparisons, logic and choice",
        file: "ops/comparison.ts",
        intro: "Element by element; arguments are broadcast.",
      },
      { title: "Reductions", file: "ops/reduction.ts" },
      { title: "Sorting and counting", file: "ops/sorting.ts" },
      {
        title: "Linear algebra",
        file: "ops/linalg.ts",
        intro:
          "Decompositions and solutions are of float32 or float64 matrices, with leading batch dimensions `…`, and are " +
          "differentiable.",
      },
      {
        title: "In place",
        file: "ops/in-place.ts",
        intro:
          "These change their first argument and return it. What they write over must not be needed for a gradient, and a " +
          "leaf that requires gradients is changed inside `noGrad` only; libtorch refuses both. On a view they change the " +
          "tensor that it looks at.",
      },
      { title: "Any operator", file: "operator.ts" },
    ],
  },
  {
    name: "functional",
    title: "Layers as functions",
    summary: "What `torch.nn.functional` has: convolutions, poolings, normalisations, activations, losses, attention.",
    parts: [
      { title: "Linear maps and embedding", file: "ops/functional/linear.ts" },
      { title: "Convolutions", file: "ops/functional/convolution.ts" },
      { title: "Poolings", file: "ops/functional/pooling.ts" },
      {
        title: "Normalisations",
        file: "ops/functional/normalisation.ts",
        intro: "(x − mean) / √(variance + ε), then a scale and a shift. They differ in what is averaged over.",
      },
      {
        title: "Activations",
        file: "ops/functional/activations.ts",
        intro: "Floating point, any shape unless said otherwise.",
      },
      { title: "Dropout", file: "ops/functional/dropout.ts" },
      { title: "Attention", file: "ops/functional/attention.ts" },
      { title: "Padding, resizing, windows", file: "ops/functional/padding.ts" },
      {
        title: "Losses",
        file: "ops/functional/losses.ts",
        intro:
          "Predictions come first, then what is right. The result is a scalar, or each element's loss with reduction `none`. " +
          "Shapes must agree: nothing is broadcast.",
      },
      { title: "Sizes and reductions", file: "ops/functional/sizes.ts" },
    ],
  },
  {
    name: "autograd",
    title: "Differentiation",
    summary: "Gradients, double backward, forward mode, Jacobian and Hessian products, mixed precision.",
    parts: [
      { title: "Reverse mode", file: "autograd.ts" },
      { title: "Forward mode and products", file: "forward.ts" },
      { title: "Mixed precision", file: "autocast.ts" },
    ],
  },
  {
    name: "nn",
    title: "Layers and networks: `torch.nn`",
    summary: "Modules, containers, layers, losses and initial values, with PyTorch's state-dict names.",
    parts: [
      { title: "Modules", file: "nn/module.ts" },
      { title: "Containers", file: "nn/containers.ts" },
      { title: "Linear layers", file: "nn/linear.ts" },
      { title: "Convolutions", file: "nn/convolution.ts" },
      { title: "Poolings", file: "nn/pooling.ts" },
      { title: "Batch normalisation", file: "nn/batch-norm.ts" },
      { title: "Layer, group and instance normalisation", file: "nn/normalisation.ts" },
      { title: "Activations", file: "nn/activations.ts", intro: "Any shape unless said otherwise." },
      { title: "Dropout", file: "nn/dropout.ts" },
      { title: "Embedding", file: "nn/embedding.ts" },
      { title: "Attention", file: "nn/attention.ts" },
      { title: "Shapes", file: "nn/shape-layers.ts" },
      { title: "Losses", file: "nn/losses.ts", intro: "Weights are buffers: they move with the module and are saved." },
      {
        title: "Initial values",
        file: "nn/init.ts",
        intro:
          "As `torch.nn.init`: the same generator state gives the same numbers. Each fills its tensor and returns it.",
      },
    ],
  },
  {
    name: "optim",
    title: "Optimizers: `torch.optim`",
    summary: "SGD, Adam, AdamW, RMSprop, Adagrad; schedules of the learning rate; clipping of gradients.",
    parts: [
      { title: "What optimizers share", file: "optim/optimizer.ts" },
      { title: "SGD", file: "optim/sgd.ts" },
      { title: "Adam and AdamW", file: "optim/adam.ts" },
      { title: "RMSprop", file: "optim/rmsprop.ts" },
      { title: "Adagrad", file: "optim/adagrad.ts" },
      { title: "Schedulers", file: "optim/scheduler.ts" },
      {
        title: "Schedules",
        file: "optim/schedules.ts",
        intro: "The learning rate as a function of the step, from 0; steps or epochs, as the caller counts.",
      },
      { title: "Clipping", file: "optim/clip.ts" },
    ],
  },
  {
    name: "random",
    title: "Random",
    summary: "Generators with savable state; random tensors with PyTorch's numbers.",
    parts: [
      { title: "Generators", file: "random.ts" },
      { title: "Random tensors", file: "ops/creation.ts", only: RANDOM },
    ],
  },
  {
    name: "files",
    title: "Files",
    summary: "NumPy's arrays, safetensors, PyTorch's checkpoints: reading, mapping, writing whole or not at all.",
    parts: [
      { title: "NumPy's .npy", file: "files/npy.ts" },
      { title: "NumPy's .npz", file: "files/npz.ts" },
      { title: "safetensors", file: "files/safetensors.ts" },
      { title: "PyTorch's checkpoints: reading", file: "files/pytorch-checkpoint.ts" },
      { title: "PyTorch's checkpoints: writing", file: "files/save-checkpoint.ts" },
      { title: "Keys of a dict", file: "files/pickle.ts" },
      { title: "Errors", file: "files/open-file.ts" },
    ],
  },
  {
    name: "runtime",
    title: "Memory, threads, devices, errors",
    summary: "Scopes and exact memory counts, multiply-adds, threads, devices, versions, the error class.",
    parts: [
      { title: "Scopes", file: "scope.ts" },
      { title: "libtorch underneath", file: "runtime.ts" },
      { title: "Multiply-adds", file: "multiply-adds.ts" },
      { title: "GPUs, as `torch.cuda`", file: "cuda.ts" },
      { title: "Pinned memory", file: "pinned.ts" },
      { title: "The addon", file: "native.ts", only: ["buildFolder"] },
      { title: "Errors", file: "errors.ts" },
    ],
  },
];
