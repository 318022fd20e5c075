// Context supply: what later modules may look at beside the module before them. `code.ts` and `paths.ts` load no tensors.
export { type ContextTopology, contextCode, parseContextCode } from "./code.js";
export { type Fusion, type FusionContext, FusionTerms } from "./fusion.js";
export { type FusionName, fusions } from "./fusions.js";
export { History } from "./history.js";
export { FeatureTransfer, InputEncoder } from "./networks.js";
export { ContextNode } from "./node.js";
export { pathName, pathsOf, type Source } from "./paths.js";
export { type PathSelection, selectionOptions, selectPaths } from "./selection.js";
export { type ContextSettings, ContextSupply, type SupplyContext } from "./supply.js";
