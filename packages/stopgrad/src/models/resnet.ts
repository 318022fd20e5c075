// Residual networks for small images (He et al., arXiv 1512.03385): a 3x3 stem without pooling, then groups of residual
// blocks. Stem and blocks are the stages; state-dict names are torchvision's.
//
// Two families: ResNet-18, 34 and 50 in the CIFAR form of arXiv 2402.09050, four groups from 64 channels on; and
// ResNet-20 to 110, made for CIFAR, three groups from 16 channels on, as in arXiv 2312.07636 (with projections, where
// He et al. have shortcuts without parameters).
import { adaptiveAvgPool2d, type Generator, nn, type Tensor } from "@stopgrad/torch";
import { z } from "zod";
import { Backbone, type Model, Stage } from "./backbone.js";

interface Form {
  readonly summary: string;
  readonly source: string;
  readonly block: typeof BasicBlock | typeof Bottleneck;
  /** Blocks of each group. The first group keeps the stem's channels and side, each later one has twice and half. */
  readonly blocks: readonly number[];
  /** Channels of the stem, unless `width` says otherwise. */
  readonly width: number;
  /** Convolutions start normal with deviation √(2 / fanOut) instead of PyTorch's default. */
  readonly normal?: boolean;
}

function resnet({ summary, source, block, blocks, width: usual, normal = false }: Form): Model {
  const options = z.strictObject({
    width: z.int().positive().default(usual),
    /** After the stem. */
    dropout: z.number().min(0).lt(1).default(0),
  });
  return {
    summary: `${summary}; width is the first channel count (${usual})`,
    source,
    options,
    hasClassifier: true,
    anyImageSize: true,

    stageCount: () => 1 + blocks.reduce((sum, count) => sum + count, 0),

    create(given, { inputShape: [channels], classes, generator, dropoutGenerator }) {
      const { width, dropout } = options.parse(given);
      const conv1 = new nn.Conv2d(channels, width, 3, { padding: 1, bias: false, generator });
      const bn1 = new nn.BatchNorm2d(width);
      const drop = new nn.Dropout(dropout, { generator: dropoutGenerator, recompute: true });
      const stages: Stage[] = [];
      const add = (stage: Stage) => {
        stages.push(stage);
        if (!normal) return;
        for (const module of stage.modules()) {
          if (module instanceof nn.Conv2d) nn.kaimingNormal_(module.weight, "fanOut", generator);
        }
      };
      add(
        new Stage("stem", { conv1, bn1, drop }, (input) =>
          drop.forward(bn1.normalise(conv1.forward(input), { rectify: true })),
        ),
      );
      let inputs = width;
      for (const [group, count] of blocks.entries()) {
        for (let at = 0; at < count; at++) {
          const name = `layer${group + 1}.${at}`;
          const made = new block(inputs, width * 2 ** group, group > 0 && at === 0 ? 2 : 1, generator);
          add(new Stage(name, { [name]: made }, (input) => made.forward(input)));
          inputs = made.outputs;
        }
      }
      const fc = new nn.Linear(inputs, classes, { generator });
      const classifier = new Stage("classifier", { fc }, (input) => fc.forward(adaptiveAvgPool2d(input, 1).flatten(1)));
      return new Backbone(stages, classifier);
    },
  };
}

/** 1x1 convolution and batch norm where a block changes the shape, else null: its input itself. */
function shortcut(inputs: number, outputs: number, stride: number, generator: Generator): nn.Sequential | null {
  if (stride === 1 && inputs === outputs) return null;
  return new nn.Sequential(
    new nn.Conv2d(inputs, outputs, 1, { stride, bias: false, generator }),
    new nn.BatchNorm2d(outputs),
  );
}

/** Two 3x3 convolutions with batch norm beside a shortcut: `[N, C, H, W]` → `[N, planes, H / stride, W / stride]`. */
export class BasicBlock extends nn.Module {
  /** Channels that come out: `planes`. */
  readonly outputs: number;
  readonly conv1: nn.Conv2d;
  readonly bn1: nn.BatchNorm2d;
  readonly conv2: nn.Conv2d;
  readonly bn2: nn.BatchNorm2d;
  readonly downsample: nn.Sequential | null;

  constructor(inputs: number, planes: number, stride: number, generator: Generator) {
    super();
    this.outputs = planes;
    this.conv1 = new nn.Conv2d(inputs, planes, 3, { stride, padding: 1, bias: false, generator });
    this.bn1 = new nn.BatchNorm2d(planes);
    this.conv2 = new nn.Conv2d(planes, planes, 3, { padding: 1, bias: false, generator });
    this.bn2 = new nn.BatchNorm2d(planes);
    this.downsample = shortcut(inputs, planes, stride, generator);
  }

  override forward(input: Tensor): Tensor {
    const inner = this.bn1.normalise(this.conv1.forward(input), { rectify: true });
    const residual = this.downsample ? this.downsample.forward(input) : input;
    return this.bn2.normalise(this.conv2.forward(inner), { residual, rectify: true });
  }
}

/**
 * 1x1, 3x3 (which takes the stride) and 1x1 convolutions with batch norm beside a shortcut: `[N, C, H, W]` →
 * `[N, 4 · planes, H / stride, W / stride]`.
 */
export class Bottleneck extends nn.Module {
  /** Channels that come out: `4 · planes`. */
  readonly outputs: number;
  readonly conv1: nn.Conv2d;
  readonly bn1: nn.BatchNorm2d;
  readonly conv2: nn.Conv2d;
  readonly bn2: nn.BatchNorm2d;
  readonly conv3: nn.Conv2d;
  readonly bn3: nn.BatchNorm2d;
  readonly downsample: nn.Sequential | null;

  constructor(inputs: number, planes: number, stride: number, generator: Generator) {
    super();
    this.outputs = 4 * planes;
    this.conv1 = new nn.Conv2d(inputs, planes, 1, { bias: false, generator });
    this.bn1 = new nn.BatchNorm2d(planes);
    this.conv2 = new nn.Conv2d(planes, planes, 3, { stride, padding: 1, bias: false, generator });
    this.bn2 = new nn.BatchNorm2d(planes);
    this.conv3 = new nn.Conv2d(planes, this.outputs, 1, { bias: false, generator });
    this.bn3 = new nn.BatchNorm2d(this.outputs);
    this.downsample = shortcut(inputs, this.outputs, stride, generator);
  }

  override forward(input: Tensor): Tensor {
    const reduced = this.bn1.normalise(this.conv1.forward(input), { rectify: true });
    const inner = this.bn2.normalise(this.conv2.forward(reduced), { rectify: true });
    const residual = this.downsample ? this.downsample.forward(input) : input;
    return this.bn3.normalise(this.conv3.forward(inner), { residual, rectify: true });
  }
}

// Below the classes: they are values, and not there before.
const wide = {
  source: "He et al., arXiv 1512.03385; CIFAR form of arXiv 2402.09050, whose layer-wise stem has dropout 0.2",
  width: 64,
};
const summaryOf = (depth: number, count: number, block: string) =>
  `ResNet-${depth} for small images: stem and ${count} ${block} blocks`;

export const resnet18 = resnet({
  ...wide,
  summary: summaryOf(18, 8, "basic"),
  block: BasicBlock,
  blocks: [2, 2, 2, 2],
});
export const resnet34 = resnet({
  ...wide,
  summary: summaryOf(34, 16, "basic"),
  block: BasicBlock,
  blocks: [3, 4, 6, 3],
});
export const resnet50 = resnet({
  ...wide,
  summary: summaryOf(50, 16, "bottleneck"),
  block: Bottleneck,
  blocks: [3, 4, 6, 3],
});

/** ResNet-(6n + 2): three groups of n basic blocks. */
const thin = (n: number) =>
  resnet({
    summary: summaryOf(6 * n + 2, 3 * n, "basic"),
    source: "He et al., arXiv 1512.03385, section 4.2; arXiv 2312.07636 and 2101.10832, with projection shortcuts",
    block: BasicBlock,
    blocks: [n, n, n],
    width: 16,
    normal: true,
  });

export const resnet20 = thin(3);
export const resnet32 = thin(5);
export const resnet44 = thin(7);
export const resnet56 = thin(9);
export const resnet110 = thin(18);
