// The small convolutional network of the Forward-Forward experiments of arXiv 2402.09050: two 3x3 convolutions without
// padding, a max-pool, two linear layers. Four taps, each before the pooling, the fourth the class scores.
import { maxPool2d, nn, relu_ } from "@stopgrad/torch";
import { z } from "zod";
import { Backbone, type Model, Stage } from "./backbone.js";

const options = z.strictObject({ width: z.int().positive().default(32) });

/** Smallest side that leaves a window to pool after two convolutions. */
const SMALLEST_SIDE = 6;

export const cnn: Model = {
  summary: "Two 3x3 convolutions, a max-pool and two linear layers; width is the first channel count (32)",
  source: "arXiv 2402.09050, appendix: the network of its Forward-Forward experiments",
  options,
  hasClassifier: false,
  mapStages: 2,

  stageCount: (_, [, height = 0, width = 0]) => {
    checkSides(height, width);
    return 4;
  },

  create(given, { inputShape: [channels, height, width], classes, generator }) {
    checkSides(height, width);
    const { width: first } = options.parse(given);
    const [second, hidden] = [2 * first, 4 * first];
    const side = (pixels: number) => Math.floor((pixels - 4) / 2);

    const conv1 = new nn.Conv2d(channels, first, 3, { generator });
    const conv2 = new nn.Conv2d(first, second, 3, { generator });
    const fc1 = new nn.Linear(second * side(height) * side(width), hidden, { generator });
    const fc2 = new nn.Linear(hidden, classes, { generator });
    return new Backbone(
      [
        new Stage("conv1", { conv1 }, (input) => relu_(conv1.forward(input))),
        new Stage("conv2", { conv2 }, (input) => relu_(conv2.forward(input))),
        new Stage("fc1", { fc1 }, (input) => relu_(fc1.forward(maxPool2d(input, 2).flatten(1)))),
        new Stage("fc2", { fc2 }, (input) => fc2.forward(input)),
      ],
      null,
    );
  },
};

function checkSides(height: number, width: number): void {
  if (height < SMALLEST_SIDE || width < SMALLEST_SIDE) {
    throw new Error(`cnn needs images of at least ${SMALLEST_SIDE}x${SMALLEST_SIDE}, got ${height}x${width}`);
  }
}
