"""Linear probes as they are usually written: a linear layer a stage on cached features, standardised, trained by Adam for
100 epochs in batches of 256; whether it has converged is not asked."""

import pathlib

import numpy
import torch

EPOCHS = 100
BATCH = 256


def standardise(train, test):
    centre, deviation = train.mean(0), train.std(0, unbiased=False).clamp(min=1e-6)
    return (train - centre) / deviation, (test - centre) / deviation


def fit(train, labels, classes, epochs):
    layer = torch.nn.Linear(train.shape[1], classes)
    optimizer = torch.optim.Adam(layer.parameters(), lr=1e-3, weight_decay=1e-4)
    for _ in range(epochs):
        for chosen in torch.randperm(len(train)).split(BATCH):
            optimizer.zero_grad(set_to_none=True)
            torch.nn.functional.cross_entropy(layer(train[chosen]), labels[chosen]).backward()
            optimizer.step()
    return layer


def accuracy(layer, x, labels):
    with torch.no_grad():
        return (layer(x).argmax(1) == labels).double().mean().item()


class Probes:
    def __init__(self, job):
        folder = pathlib.Path(job["directory"])

        def load(name):
            return torch.from_numpy(numpy.load(folder / f"{name}.npy"))

        self.classes = job["data"]["classes"]
        self.labels = load("labels-train"), load("labels-test")
        self.stages = [(load(f"{at}-train"), load(f"{at}-test")) for at in range(job["stages"])]

    def warm_up(self):
        """An epoch of the last stage."""
        self.probe(self.stages[-1], 1)
        return {"peakBytes": None}

    def run(self, times):
        for _ in range(times):
            for features in self.stages:
                self.probe(features, EPOCHS)
        return {"units": times}

    def probe(self, features, epochs):
        train, test = standardise(*features)
        layer = fit(train, self.labels[0], self.classes, epochs)
        return accuracy(layer, train, self.labels[0]), accuracy(layer, test, self.labels[1])

    def untimed(self):
        return {}
