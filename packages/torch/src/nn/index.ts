// Layers, as `torch.nn`.
export { BatchNorm2d } from "./batch-norm.js";
export { Conv2d, type Conv2dLayerOptions } from "./convolution.js";
export { biasUniform_, fans, kaimingNormal_, kaimingUniform_ } from "./init.js";
export { AdaptiveAvgPool2d, AvgPool2d, Dropout, Flatten, Identity, MaxPool2d, ReLU } from "./layers.js";
export { Linear, type LinearOptions } from "./linear.js";
export { Module } from "./module.js";
export { Sequential } from "./sequential.js";
