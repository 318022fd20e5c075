// What a module's output still tells of the image, as a part of its loss (InfoPro).
export { ReconstructionDecoder, toPixels } from "./decoder.js";
export {
  nothingPublished,
  type PublishedSetting,
  publishedWeights,
  type WeightSource,
} from "./published.js";
export { type LossWeights, type WeightRange, weightsOfModule } from "./weights.js";
