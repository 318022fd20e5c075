"""nHSIC by its formula as it is usually written: all differences by broadcasting, one-sided centring, an explicit
inverse, the trace of a product. Each Gram matrix is made once, which functions of a pair (x, z) do not manage.

Beside it, untimed, the same formula with everything after the distances in float64: what the values should be."""

import numpy
import torch
from memory import Watch

SIGMA = 5.0
EPSILON = 1e-5


def distances(x):
    """Squared distances [N, N] of all pairs of rows [N, D]."""
    return ((x[:, None] - x[None, :]) ** 2).sum(-1)


def gram(squared_distances, features):
    """RBF Gram matrix [N, N] of width sigma * sqrt(D)."""
    return torch.exp(-squared_distances / (2 * SIGMA**2 * features))


def label_gram(labels):
    hot = torch.nn.functional.one_hot(labels).float()
    return hot @ hot.t()


def normalised(gram_matrix):
    count = len(gram_matrix)
    identity = torch.eye(count, dtype=gram_matrix.dtype)
    centred = gram_matrix @ (identity - 1 / count)
    return centred @ torch.linalg.inv(centred + EPSILON * count * identity)


def trace_of_product(a, b):
    return torch.trace(a @ b).item()


class Nhsic:
    def __init__(self, job):
        self.features = [torch.from_numpy(numpy.load(path)).flatten(1) for path in job["features"]]
        self.labels = torch.from_numpy(numpy.load(job["labels"]))

    def warm_up(self):
        """The first stage alone: its arrays are the largest, so that the peak is its own."""
        with Watch() as watch:
            self.measure(self.features[:2])
        return {"peakBytes": watch.peak_bytes}

    def run(self, times):
        for _ in range(times):
            values = self.measure(self.features)
        return {"units": times, "values": values}

    def measure(self, features):
        """With the input and with the label, stage by stage."""
        with torch.no_grad():
            self.distances = [distances(x) for x in features]
            grams = [gram(squared, x.shape[1]) for squared, x in zip(self.distances, features)]
            return self.values(grams, label_gram(self.labels))

    def values(self, grams, labels):
        x, *stages = map(normalised, grams)
        y = normalised(labels)
        return [trace_of_product(other, z) for z in stages for other in (x, y)]

    def untimed(self):
        """After a turn: the values in float64 from the same distances."""
        with torch.no_grad():
            grams = [gram(squared.double(), x.shape[1]) for squared, x in zip(self.distances, self.features)]
            return {"reference": self.values(grams, label_gram(self.labels).double())}
