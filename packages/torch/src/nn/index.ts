// Layers, as `torch.nn`.
export {
  CELU,
  ELU,
  GELU,
  GLU,
  Hardsigmoid,
  Hardswish,
  Hardtanh,
  type InPlaceOptions,
  LeakyReLU,
  LogSigmoid,
  LogSoftmax,
  Mish,
  PReLU,
  ReLU,
  ReLU6,
  SELU,
  Sigmoid,
  SiLU,
  Softmax,
  Softplus,
  Tanh,
} from "./activations.js";
export {
  type AttendOptions,
  MultiheadAttention,
  type MultiheadAttentionOptions,
  TransformerEncoderLayer,
  type TransformerEncoderLayerOptions,
} from "./attention.js";
export { BatchNorm1d, BatchNorm2d, BatchNorm3d, type BatchNormLayerOptions } from "./batch-norm.js";
export { ModuleDict, ModuleList, Sequential } from "./containers.js";
export {
  Conv1d,
  type Conv1dLayerOptions,
  Conv2d,
  type Conv2dLayerOptions,
  Conv3d,
  type Conv3dLayerOptions,
  ConvTranspose1d,
  type ConvTranspose1dLayerOptions,
  ConvTranspose2d,
  type ConvTranspose2dLayerOptions,
} from "./convolution.js";
export { Dropout, Dropout2d } from "./dropout.js";
export { Embedding, type EmbeddingOptions } from "./embedding.js";
export {
  biasUniform_,
  constant_,
  fans,
  gain,
  kaimingNormal_,
  kaimingUniform_,
  ones_,
  orthogonal_,
  truncNormal_,
  xavierNormal_,
  xavierUniform_,
  zeros_,
} from "./init.js";
export { Bilinear, Linear, type LinearOptions } from "./linear.js";
export {
  BCELoss,
  BCEWithLogitsLoss,
  CosineEmbeddingLoss,
  CrossEntropyLoss,
  HingeEmbeddingLoss,
  HuberLoss,
  KLDivLoss,
  L1Loss,
  MarginRankingLoss,
  MSELoss,
  NLLLoss,
  SmoothL1Loss,
  TripletMarginLoss,
} from "./losses.js";
export { Module, type ModuleConversion } from "./module.js";
export {
  GroupNorm,
  InstanceNorm1d,
  InstanceNorm2d,
  type InstanceNormOptions,
  LayerNorm,
  type NormOptions,
} from "./normalisation.js";
export {
  AdaptiveAvgPool1d,
  AdaptiveAvgPool2d,
  AdaptiveAvgPool3d,
  AdaptiveMaxPool1d,
  AdaptiveMaxPool2d,
  AvgPool1d,
  AvgPool2d,
  AvgPool3d,
  MaxPool1d,
  MaxPool2d,
  MaxPool3d,
} from "./pooling.js";
export { Flatten, Identity, PixelShuffle, Unflatten, Upsample } from "./shape-layers.js";
