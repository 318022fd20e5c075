// @stopgrad/torch: libtorch for TypeScript. Import as a namespace: `import * as torch from "@stopgrad/torch"`.
export {
  type BackwardOptions,
  backward,
  enableGrad,
  type GradOptions,
  grad,
  isGradEnabled,
  noGrad,
} from "./autograd.js";
export { TorchError } from "./errors.js";
export { FileFormatError } from "./files.js";
export { buildFolder, type DType } from "./native.js";
export * as nn from "./nn/index.js";
export { parseNpy, readNpy, writeNpy } from "./npy.js";
export { operator } from "./operator.js";
export * from "./ops/arithmetic.js";
export * from "./ops/creation.js";
export * from "./ops/functional.js";
export * from "./ops/linalg.js";
export * from "./ops/reduction.js";
export {
  cat,
  clone,
  contiguous,
  detach,
  diagonal,
  expand,
  flatten,
  flip,
  gather,
  index,
  indexSelect,
  narrow,
  oneHot,
  permute,
  reshape,
  select,
  squeeze,
  stack,
  toDevice,
  toDType,
  transpose,
  unsqueeze,
  view,
} from "./ops/shape.js";
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
} from "./runtime.js";
export { type LoadedTensors, loadSafetensors, type SaveOptions, saveSafetensors } from "./safetensors.js";
export { keep, scope } from "./scope.js";
export { Buffer, elementSize, Parameter, Tensor, type TensorArray } from "./tensor.js";
