"""Linear probes as they are usually written: a linear layer a stage, trained by Adam on cached features, standardised.

    python3 probes.py FOLDER [--threads 2] [--epochs 100] [--batch 256]

FOLDER holds <stage>-train.npy and <stage>-test.npy [N, D] for stages 0, 1, ..., labels-train.npy and labels-test.npy.
Prints JSON: seconds in all, and for each stage seconds, training and test accuracy."""

import argparse
import json
import pathlib
import time

import numpy
import torch


def load(folder, name):
    return torch.from_numpy(numpy.load(folder / f"{name}.npy"))


def standardise(train, test):
    centre, deviation = train.mean(0), train.std(0, unbiased=False).clamp(min=1e-6)
    return (train - centre) / deviation, (test - centre) / deviation


def fit(train, labels, classes, epochs, batch):
    layer = torch.nn.Linear(train.shape[1], classes)
    optimizer = torch.optim.Adam(layer.parameters(), lr=1e-3, weight_decay=1e-4)
    for _ in range(epochs):
        for chosen in torch.randperm(len(train)).split(batch):
            optimizer.zero_grad(set_to_none=True)
            torch.nn.functional.cross_entropy(layer(train[chosen]), labels[chosen]).backward()
            optimizer.step()
    return layer


def accuracy(layer, x, labels):
    with torch.no_grad():
        return (layer(x).argmax(1) == labels).double().mean().item()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--batch", type=int, default=256)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    torch.manual_seed(0)
    train_labels, test_labels = load(given.folder, "labels-train"), load(given.folder, "labels-test")
    classes = int(train_labels.max()) + 1
    stages = []
    while (given.folder / f"{len(stages)}-train.npy").exists():
        at = len(stages)
        features = load(given.folder, f"{at}-train"), load(given.folder, f"{at}-test")
        start = time.perf_counter()
        train, test = standardise(*features)
        layer = fit(train, train_labels, classes, given.epochs, given.batch)
        found = {"train": accuracy(layer, train, train_labels), "test": accuracy(layer, test, test_labels)}
        stages.append({"seconds": time.perf_counter() - start, **found})
    print(json.dumps({"torch": torch.__version__, "seconds": sum(s["seconds"] for s in stages), "stages": stages}))


main()
