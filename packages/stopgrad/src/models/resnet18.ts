// ResNet-18 for small images (He et al. 2015, in the CIFAR form of arXiv 2402.09050): a 3x3 stem without pooling and
// eight basic blocks in four groups. Stem and blocks are the nine stages; state-dict names are torchvision's.
import { adaptiveAvgPool2d, type Generator, nn, type Tensor } from "@stopgrad/torch";
import { z } from "zod";
import { Backbone, type Model, Stage } from "./backbone.js";

const options = z.strictObject({
  width: z.int().positive().default(64),
  dropout: z.number().min(0).lt(1).default(0),
});

const GROUPS = 4;
const BLOCKS_PER_GROUP = 2;

export const resnet18: Model = {
  summary: "ResNet-18 for small images: stem and 8 basic blocks; width is the first channel count (64)",
  source: "He et al., arXiv 1512.03385; CIFAR form of arXiv 2402.09050, whose layer-wise stem has dropout 0.2",
  options,
  hasClassifier: true,

  stageCount: () => 1 + GROUPS * BLOCKS_PER_GROUP,

  create(given, { inputShape: [channels], classes, generator, dropoutGenerator }) {
    const { width, dropout } = options.parse(given);
    const conv1 = new nn.Conv2d(channels, width, 3, { padding: 1, bias: false, generator });
    const bn1 = new nn.BatchNorm2d(width);
    const drop = new nn.Dropout(dropout, { generator: dropoutGenerator, recompute: true });
    const stages = [
      new Stage("stem", { conv1, bn1, drop }, (input) =>
        drop.forward(bn1.normalise(conv1.forward(input), { rectify: true })),
      ),
    ];
    let inputs = width;
    for (let group = 0; group < GROUPS; group++) {
      const outputs = width * 2 ** group;
      for (let at = 0; at < BLOCKS_PER_GROUP; at++) {
        const name = `layer${group + 1}.${at}`;
        const block = new BasicBlock(inputs, outputs, group > 0 && at === 0 ? 2 : 1, generator);
        stages.push(new Stage(name, { [name]: block }, (input) => block.forward(input)));
        inputs = outputs;
      }
    }
    const fc = new nn.Linear(inputs, classes, { generator });
    const classifier = new Stage("classifier", { fc }, (input) => fc.forward(adaptiveAvgPool2d(input, 1).flatten(1)));
    return new Backbone(stages, classifier);
  },
};

/** Two 3x3 convolutions with batch norm beside a shortcut: `[N, C, H, W]` → `[N, C', H / stride, W / stride]`. */
export class BasicBlock extends nn.Module {
  readonly conv1: nn.Conv2d;
  readonly bn1: nn.BatchNorm2d;
  readonly conv2: nn.Conv2d;
  readonly bn2: nn.BatchNorm2d;
  /** 1x1 convolution and batch norm where the shape changes, else null. */
  readonly downsample: nn.Sequential | null;

  constructor(inputs: number, outputs: number, stride: number, generator: Generator) {
    super();
    this.conv1 = new nn.Conv2d(inputs, outputs, 3, { stride, padding: 1, bias: false, generator });
    this.bn1 = new nn.BatchNorm2d(outputs);
    this.conv2 = new nn.Conv2d(outputs, outputs, 3, { padding: 1, bias: false, generator });
    this.bn2 = new nn.BatchNorm2d(outputs);
    this.downsample =
      stride === 1 && inputs === outputs
        ? null
        : new nn.Sequential(
            new nn.Conv2d(inputs, outputs, 1, { stride, bias: false, generator }),
            new nn.BatchNorm2d(outputs),
          );
  }

  override forward(input: Tensor): Tensor {
    const inner = this.bn1.normalise(this.conv1.forward(input), { rectify: true });
    const residual = this.downsample ? this.downsample.forward(input) : input;
    return this.bn2.normalise(this.conv2.forward(inner), { residual, rectify: true });
  }
}
