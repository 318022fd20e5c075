"""The networks of the bench, with PyTorch's own layers and defaults."""

import torch.nn.functional as F
from torch import nn


def lenet5(channels, classes):
    """Two 5x5 convolutions and three linear layers for 32x32 images."""
    return nn.Sequential(
        nn.Conv2d(channels, 6, 5),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(400, 120),
        nn.ReLU(inplace=True),
        nn.Linear(120, 84),
        nn.ReLU(inplace=True),
        nn.Linear(84, classes),
    )


class BasicBlock(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        y = self.bn2(self.conv2(y))
        y += x if self.downsample is None else self.downsample(x)
        return F.relu(y, inplace=True)


def resnet18_modules(channels, width, dropout):
    """Stem and eight basic blocks: the nine modules of layer-wise training."""
    stem = nn.Sequential(
        nn.Conv2d(channels, width, 3, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
        nn.Dropout(dropout),
    )
    blocks, inputs = [], width
    for group in range(4):
        outputs = width * 2**group
        for at in range(2):
            blocks.append(BasicBlock(inputs, outputs, 2 if group > 0 and at == 0 else 1))
            inputs = outputs
    return nn.ModuleList([stem, *blocks])


def resnet18(channels, width, classes, dropout):
    return nn.Sequential(*resnet18_modules(channels, width, dropout), *classifier(8 * width, classes))


def linear_heads(width, classes):
    """One a module: average pooling to 2048 features by the paper's rule (height halved first), then one linear layer."""
    kernels = {1: (8, 4), 2: (4, 4), 4: (4, 2), 8: (2, 2)}  # at width 64, by channels / width
    sizes = [1, 1, 1, 2, 2, 4, 4, 8, 8]
    if width != 64:
        raise ValueError(f"linear_heads: expected width 64, got {width}")
    return nn.ModuleList(
        nn.Sequential(nn.AvgPool2d(kernels[size]), nn.Flatten(), nn.Linear(2048, classes)) for size in sizes
    )


def classifier(features, classes):
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(features, classes))
