// LeNet-5 in its usual form with ReLU and max pooling (arXiv 2402.09050, section 4; LeCun et al. 1998): two
// convolutions and three linear layers, five taps, the fifth the logits.
import { maxPool2d, nn, relu_, type Tensor } from "@stopgrad/torch";
import { z } from "zod";
import { Backbone, type Model, Stage } from "./backbone.js";

const options = z.strictObject({ width: z.int().positive().default(6) });

/** Smallest side that leaves a pixel after two convolutions and poolings. */
const SMALLEST_SIDE = 16;

export const lenet5: Model = {
  summary: "LeNet-5: two 5x5 convolutions, three linear layers; width is the first channel count (6)",
  source: "LeCun et al. 1998; dimensions as in arXiv 2402.09050",
  options,
  hasClassifier: false,
  mapStages: 2,

  stageCount: (_, [, height = 0, width = 0]) => {
    checkSides(height, width);
    return 5;
  },

  create(given, { inputShape: [channels, height, width], classes, generator }) {
    checkSides(height, width);
    const scale = options.parse(given).width / 6;
    const [first, second, third, fourth] = [6, 16, 120, 84].map((size) => Math.max(1, Math.round(size * scale)));
    // 28x28 images are padded to the 32x32 the network was made for, so that both flatten to 5x5 maps.
    const padding = height === 28 && width === 28 ? 2 : 0;
    const side = (pixels: number) => Math.floor((Math.floor((pixels + 2 * padding - 4) / 2) - 4) / 2);
    const flat = second! * side(height) * side(width);

    const conv1 = new nn.Conv2d(channels, first!, 5, { padding, generator });
    const conv2 = new nn.Conv2d(first!, second!, 5, { generator });
    const fc1 = new nn.Linear(flat, third!, { generator });
    const fc2 = new nn.Linear(third!, fourth!, { generator });
    const fc3 = new nn.Linear(fourth!, classes, { generator });

    // The largest of rectified values is the rectified largest, and there are four times fewer of them.
    const convolve = (layer: nn.Module) => (input: Tensor) => relu_(maxPool2d(layer.forward(input), 2));
    return new Backbone(
      [
        new Stage("conv1", { conv1 }, convolve(conv1)),
        new Stage("conv2", { conv2 }, convolve(conv2)),
        new Stage("fc1", { fc1 }, (input) => relu_(fc1.forward(input.flatten(1)))),
        new Stage("fc2", { fc2 }, (input) => relu_(fc2.forward(input))),
        new Stage("fc3", { fc3 }, (input) => fc3.forward(input)),
      ],
      null,
    );
  },
};

function checkSides(height: number, width: number): void {
  if (height < SMALLEST_SIDE || width < SMALLEST_SIDE) {
    throw new Error(`lenet5 needs images of at least ${SMALLEST_SIDE}x${SMALLEST_SIDE}, got ${height}x${width}`);
  }
}
