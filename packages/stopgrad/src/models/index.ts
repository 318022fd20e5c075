// The backbones an experiment file can name. Adding one: a file that exports a `Model`, and a line here.
import type { Model } from "./backbone.js";
import { cnn } from "./cnn.js";
import { lenet5 } from "./lenet5.js";
import { mlp } from "./mlp.js";
import { resnet18, resnet20, resnet32, resnet34, resnet44, resnet50, resnet56, resnet110 } from "./resnet.js";
import { vgg6b, vgg8b, vgg11, vgg11b, vgg13, vgg16 } from "./vgg.js";
import { vit } from "./vit.js";

export {
  Backbone,
  type BackboneContext,
  type FeatureShape,
  forwardThrough,
  type Model,
  readThrough,
  Stage,
  stageShapes,
} from "./backbone.js";
export { deviceOf, inPrecision, kindOf, type Precision, precisions } from "./precision.js";

export const models = {
  lenet5,
  mlp,
  cnn,
  resnet18,
  resnet34,
  resnet50,
  resnet20,
  resnet32,
  resnet44,
  resnet56,
  resnet110,
  vgg11,
  vgg13,
  vgg16,
  vgg6b,
  vgg8b,
  vgg11b,
  vit,
} satisfies Record<string, Model>;
export type ModelName = keyof typeof models;
