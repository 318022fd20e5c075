// VGG for small images (Simonyan & Zisserman, arXiv 1409.1556), in the two forms of arXiv 2402.09050: as it is trained
// end to end, and as it is trained layer by layer. Each convolution and each hidden linear layer is a stage, the last
// linear layer the classifier; state-dict names are torchvision's. VGG6b, 8b and 11b are the wider starts of arXiv
// 1901.06656 under the same classifier.
//
// A tap is a layer's output before pooling: a max-pool between two layers belongs to neither, and runs at the beginning
// of the next stage. Torchvision pools once more, to 7x7, before its classifier; small images are flattened as they are.
import { maxPool2d, nn, noGrad, normal_, relu_, type Tensor } from "@stopgrad/torch";
import { z } from "zod";
import { Backbone, type BackboneContext, type Model, Stage } from "./backbone.js";

/** Channels of each convolution in order; `M` is a 2x2 max-pool. */
type Plan = readonly (number | "M")[];

const plans = {
  vgg11: [64, "M", 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"],
  vgg13: [64, 64, "M", 128, 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"],
  vgg16: [64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512, "M"],
  vgg6b: [128, "M", 256, "M", 512, "M", 512, "M"],
  vgg8b: [128, 256, "M", 256, 512, "M", 512, "M", 512, "M"],
  vgg11b: [128, 128, 128, 256, "M", 256, 512, "M", 512, 512, "M", 512, "M"],
} as const satisfies Record<string, Plan>;

/** Width of the two hidden linear layers where the first convolution has its usual width. */
const HIDDEN = 512;
const HIDDEN_LAYERS = 2;
/** Of the linear layers' initial weights, whatever their width. */
const LINEAR_DEVIATION = 0.01;

/**
 * `end-to-end`: convolution, batch norm (unless `batchNorm` is false), ReLU; linear, ReLU, dropout 0.5.
 * `layer-wise`: every layer, linear ones too, followed by batch norm, ReLU and dropout 0.2.
 */
const forms = ["end-to-end", "layer-wise"] as const;

/** Where dropout stands is the form's; `dropout` changes its probability. */
const usualDropout = { "end-to-end": 0.5, "layer-wise": 0.2 } as const;

function vgg(name: keyof typeof plans, source: string): Model {
  const plan: Plan = plans[name];
  const usual = plan[0] as number;
  const convolutions = plan.filter((entry) => entry !== "M").length;
  const options = z.strictObject({
    width: z.int().positive().default(usual),
    batchNorm: z.boolean().default(true),
    form: z.enum(forms).default("end-to-end"),
    dropout: z.number().min(0).lt(1).optional(),
  });
  return {
    summary: `${name.replace("vgg", "VGG")}: ${convolutions} 3x3 convolutions, 2 hidden linear layers; width is the first channel count (${usual})`,
    source,
    options,
    hasClassifier: true,
    mapStages: convolutions,
    needsTwoImages(given) {
      const { batchNorm, form } = options.parse(given);
      return batchNorm && form === "layer-wise";
    },
    stageCount: () => convolutions + HIDDEN_LAYERS,
    create(given, context) {
      const { width, batchNorm, form, dropout = usualDropout[form] } = options.parse(given);
      return build(plan, { scale: width / usual, batchNorm, layerWise: form === "layer-wise", dropout }, context);
    },
  };
}

const simonyan = "Simonyan & Zisserman, arXiv 1409.1556; CIFAR form of arXiv 2402.09050";
const nokland = "Nøkland & Eidnes, arXiv 1901.06656, with the classifier of arXiv 2402.09050";

export const vgg11 = vgg("vgg11", simonyan);
export const vgg13 = vgg("vgg13", simonyan);
export const vgg16 = vgg("vgg16", simonyan);
export const vgg6b = vgg("vgg6b", nokland);
export const vgg8b = vgg("vgg8b", nokland);
export const vgg11b = vgg("vgg11b", nokland);

interface Settings {
  /** Of every channel count and of the hidden width. */
  scale: number;
  batchNorm: boolean;
  layerWise: boolean;
  dropout: number;
}

function build(plan: Plan, { scale, batchNorm, layerWise, dropout }: Settings, context: BackboneContext): Backbone {
  const { inputShape, classes, generator, dropoutGenerator } = context;
  const scaled = (size: number) => Math.max(1, Math.round(size * scale));
  const stages: Stage[] = [];
  let [channels, height, width] = inputShape;
  let pool = (input: Tensor) => input;
  /** Number of the next layer in torchvision's `features`, where pools and activations count and dropout does not. */
  let at = 0;
  for (const entry of plan) {
    if (entry === "M") {
      const kernel = [Math.min(2, height), Math.min(2, width)] as const;
      // Nothing is left to pool along a side of one pixel: so images of any size fit.
      if (kernel[0] * kernel[1] > 1) pool = (input) => maxPool2d(input, kernel);
      height = Math.floor(height / kernel[0]);
      width = Math.floor(width / kernel[1]);
      at += 1;
      continue;
    }
    const conv = new nn.Conv2d(channels, scaled(entry), 3, { padding: 1, generator });
    nn.kaimingNormal_(conv.weight, "fanOut", generator);
    nn.zeros_(conv.bias!);
    channels = scaled(entry);
    const norm = batchNorm ? new nn.BatchNorm2d(channels) : null;
    const drop = layerWise ? new nn.Dropout(dropout, { generator: dropoutGenerator, recompute: true }) : null;
    const parts = {
      [`features.${at}`]: conv,
      ...(norm ? { [`features.${at + 1}`]: norm } : {}),
      ...(drop ? { [`features.${at}.dropout`]: drop } : {}),
    };
    const enter = pool;
    pool = (input) => input;
    stages.push(
      new Stage(`conv${stages.length + 1}`, parts, (input) => finish(conv.forward(enter(input)), norm, drop)),
    );
    at += norm ? 3 : 2;
  }

  const linear = (inputs: number, outputs: number) => {
    const layer = new nn.Linear(inputs, outputs, { generator });
    noGrad(() => normal_(layer.weight, 0, LINEAR_DEVIATION, generator));
    nn.zeros_(layer.bias!);
    return layer;
  };
  const hidden = scaled(HIDDEN);
  for (let i = 0; i < HIDDEN_LAYERS; i++) {
    // Torchvision's classifier is linear, ReLU, dropout, three numbers a layer; batch norm takes the ReLU's.
    const layer = linear(i === 0 ? channels * height * width : hidden, hidden);
    const norm = layerWise && batchNorm ? new nn.BatchNorm1d(hidden) : null;
    const drop = new nn.Dropout(dropout, { generator: dropoutGenerator, recompute: true });
    const parts = {
      [`classifier.${3 * i}`]: layer,
      ...(norm ? { [`classifier.${3 * i + 1}`]: norm } : {}),
      [`classifier.${3 * i + 2}`]: drop,
    };
    const enter = pool;
    pool = (input) => input;
    stages.push(new Stage(`fc${i + 1}`, parts, (input) => finish(layer.forward(enter(input).flatten(1)), norm, drop)));
  }
  const last = linear(hidden, classes);
  const classifier = new Stage("classifier", { [`classifier.${3 * HIDDEN_LAYERS}`]: last }, (input) =>
    last.forward(input),
  );
  return new Backbone(stages, classifier);
}

/** Batch norm where there is one, ReLU, dropout where there is one. `output` is overwritten where autograd allows. */
function finish(output: Tensor, norm: nn.BatchNorm1d | nn.BatchNorm2d | null, drop: nn.Dropout | null): Tensor {
  const active = norm ? norm.normalise(output, { rectify: true }) : relu_(output);
  return drop ? drop.forward(active) : active;
}
