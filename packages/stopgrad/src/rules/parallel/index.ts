// Modules of one network that learn in processes of their own. What the processes are is experiment/parallel.ts.

export { boundaryBytes } from "./boundary.js";
export { moduleCosts } from "./costs.js";
export { type ModuleRange, ModuleShare, refusalOf, type SharePass } from "./share.js";
export { mapSlots, type PackedTensor, pack, type SlotRegion, unpack } from "./slots.js";
