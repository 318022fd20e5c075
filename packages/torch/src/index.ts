// @stopgrad/torch: libtorch for TypeScript. Import as a namespace: `import * as torch from "@stopgrad/torch"`.
export { type AutocastOptions, autocast, autocastDType } from "./autocast.js";
export {
  type BackwardOptions,
  backward,
  detectAnomaly,
  enableGrad,
  type GradOptions,
  grad,
  isGradEnabled,
  noGrad,
} from "./autograd.js";
export * as cuda from "./cuda.js";
export { TorchError } from "./errors.js";
export * from "./files/index.js";
export { forwardGradient, hvp, jvp, makeDual, type TensorFunction, unpackDual, vjp } from "./forward.js";
export { countMultiplyAdds, type MultiplyAdds } from "./multiply-adds.js";
export { buildFolder, type DType } from "./native.js";
export * as nn from "./nn/index.js";
export { operator } from "./operator.js";
export {
  abs,
  acos,
  add,
  addcdiv,
  addcmul,
  addmm,
  asin,
  atan,
  atan2,
  ceil,
  clamp,
  cos,
  cosh,
  div,
  erf,
  exp,
  expm1,
  floor,
  floorDivide,
  lerp,
  log,
  log1p,
  log2,
  log10,
  matmul,
  maximum,
  minimum,
  mul,
  nanToNum,
  neg,
  pow,
  reciprocal,
  remainder,
  round,
  rsqrt,
  sign,
  sin,
  sinh,
  sqrt,
  square,
  sub,
  tan,
  trunc,
} from "./ops/arithmetic.js";
export * from "./ops/comparison.js";
export * from "./ops/creation.js";
export * from "./ops/functional.js";
export * from "./ops/in-place.js";
export * from "./ops/indexing.js";
export * from "./ops/linalg.js";
export * from "./ops/reduction.js";
export {
  type ConversionOptions,
  cat,
  clone,
  contiguous,
  convertTensor,
  detach,
  expand,
  flatten,
  flip,
  type MemoryFormat,
  movedim,
  permute,
  repeat,
  repeatInterleave,
  reshape,
  roll,
  squeeze,
  stack,
  toDevice,
  toDType,
  transpose,
  unsqueeze,
  view,
} from "./ops/shape.js";
export * from "./ops/sorting.js";
export * as optim from "./optim/index.js";
export { defaultGenerator, Generator, manualSeed } from "./random.js";
export {
  blasLibrary,
  configuration,
  cudaDevices,
  devices,
  emptyCache,
  getThreads,
  type MemoryStatistics,
  memory,
  resetPeakBytes,
  setCacheLimit,
  setThreads,
  version,
  withOneBlasThread,
} from "./runtime.js";
export { keep, scope } from "./scope.js";
export { Buffer, elementSize, Parameter, Tensor, type TensorArray } from "./tensor.js";
