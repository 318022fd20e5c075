"""Endless shuffled batches of the job's images, epoch after epoch, in the two ways people write it."""

import numpy
import torch
from torch.utils.data import DataLoader, Dataset


def load(data, device="cpu"):
    """Images uint8 [N, C, H, W] and labels int64 [N] from the files that both sides read, on the device that trains."""
    images = torch.from_numpy(numpy.fromfile(data["images"], dtype=numpy.uint8))
    labels = torch.from_numpy(numpy.fromfile(data["labels"], dtype=numpy.uint8)).long()
    return images.reshape(data["count"], *data["shape"]).to(device), labels.to(device)


def in_memory(images, labels, data, batch):
    """Gathers a batch from the bytes in memory and normalises it at once."""
    mean = torch.tensor(data["mean"], device=images.device).reshape(1, -1, 1, 1)
    std = torch.tensor(data["std"], device=images.device).reshape(1, -1, 1, 1)
    scale, shift = 1 / (255 * std), -mean / std
    while True:
        for chosen in torch.randperm(len(images)).to(images.device).split(batch):
            yield images[chosen].float().mul_(scale).add_(shift), labels[chosen]


class Normalised(Dataset):
    """One image at a time, as torchvision's ToTensor and Normalize leave it."""

    def __init__(self, images, labels, data):
        self.images, self.labels = images, labels
        self.mean = torch.tensor(data["mean"]).reshape(-1, 1, 1)
        self.std = torch.tensor(data["std"]).reshape(-1, 1, 1)

    def __len__(self):
        return len(self.images)

    def __getitem__(self, at):
        image = self.images[at].float().div(255)
        return image.sub_(self.mean).div_(self.std), self.labels[at]


def from_loader(images, labels, data, batch):
    loader = DataLoader(Normalised(images, labels, data), batch_size=batch, shuffle=True)
    while True:
        yield from loader
