// Files: arrays of NumPy's, named tensors, and PyTorch's checkpoints.
export { type NpyOptions, parseNpy, readNpy, writeNpy } from "./npy.js";
export { type NpzOptions, npzHeader, readNpz, type WriteNpzOptions, writeNpz } from "./npz.js";
export { FileFormatError } from "./open-file.js";
export type { PickleKey } from "./pickle.js";
export {
  type CheckpointMap,
  type CheckpointValue,
  type LoadCheckpointOptions,
  loadCheckpoint,
  tensorsOf,
} from "./pytorch-checkpoint.js";
export {
  type LoadedTensors,
  type LoadOptions,
  loadSafetensors,
  type SafetensorsHeader,
  type SaveOptions,
  safetensorsHeader,
  saveSafetensors,
} from "./safetensors.js";
export { type CheckpointInput, saveCheckpoint } from "./save-checkpoint.js";
