// The multilayer perceptron of arXiv 2402.09050: five linear layers of one hidden width with ReLU, the fifth the logits.
import { nn, relu_ } from "@stopgrad/torch";
import { z } from "zod";
import { Backbone, type Model, Stage } from "./backbone.js";

const options = z.strictObject({ width: z.int().positive().default(1000) });

const LAYERS = 5;

export const mlp: Model = {
  summary: "Multilayer perceptron: five linear layers with ReLU; width is the hidden width (1000)",
  source: "arXiv 2402.09050, appendix; the width is not published",
  options,
  hasClassifier: false,
  mapStages: 0,

  stageCount: () => LAYERS,

  create(given, { inputShape, classes, generator }) {
    const { width } = options.parse(given);
    const inputs = inputShape.reduce((product, size) => product * size, 1);
    const stages = Array.from({ length: LAYERS }, (_, i) => {
      const last = i === LAYERS - 1;
      const name = `fc${i + 1}`;
      const layer = new nn.Linear(i === 0 ? inputs : width, last ? classes : width, { generator });
      return new Stage(name, { [name]: layer }, (input) => {
        const output = layer.forward(i === 0 ? input.flatten(1) : input);
        return last ? output : relu_(output);
      });
    });
    return new Backbone(stages, null);
  },
};
