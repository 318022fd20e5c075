// The backbones an experiment file can name. Adding one: a file that exports a `Model`, and a line here.
import type { Model } from "./backbone.js";
import { lenet5 } from "./lenet5.js";
import { mlp } from "./mlp.js";
import { resnet18 } from "./resnet18.js";

export {
  Backbone,
  type BackboneContext,
  type FeatureShape,
  forwardThrough,
  type Model,
  Stage,
  stageShapes,
} from "./backbone.js";
export { deviceOf, inPrecision, kindOf, type Precision, precisions } from "./precision.js";

export const models = { lenet5, mlp, resnet18 } satisfies Record<string, Model>;
export type ModelName = keyof typeof models;
