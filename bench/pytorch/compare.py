"""What `stopgrad compare` does, as scripts: LeNet5 end to end and layer by layer for each seed, one process after the
other, the test accuracy and the nHSIC of every stage before training and after every epoch.

Run as a program it trains one of them; images are in memory, batches gathered and normalised at once, and each Gram
matrix is made once, the leaner forms of both."""

import json
import os
import subprocess
import sys

WAYS = ["end-to-end", "layer-wise"]


class Compare:
    def __init__(self, job):
        self.job = job

    def warm_up(self):
        return {"peakBytes": None}

    def run(self, times):
        for _ in range(times):
            for seed in self.job["settings"]["seeds"]:
                for way in WAYS:
                    job = json.dumps({**self.job, "seed": seed, "form": way})
                    subprocess.run([sys.executable, os.path.abspath(__file__), job], check=True)
        return {"units": times}

    def untimed(self):
        return {}


def main():
    import batches
    import networks
    import torch
    import torch.nn.functional as F
    from torch import nn
    from training import adam, end_to_end, layer_wise_at_once
    from nhsic import distances, gram, label_gram, normalised, trace_of_product

    job = json.loads(sys.argv[1])
    data, settings = job["data"], job["settings"]
    torch.set_num_threads(job["threads"])
    torch.manual_seed(job["seed"])
    images, labels = batches.load(data)
    layers = networks.lenet5(data["shape"][0], data["classes"])
    stages = nn.ModuleList([layers[0:3], layers[3:6], layers[6:9], layers[9:11], layers[11:12]])
    if job["form"] == "end-to-end":
        step = end_to_end(layers, adam(layers))
    else:
        heads = nn.ModuleList([nn.Sequential(nn.Flatten(), nn.Linear(size, 10)) for size in [1176, 400, 120, 84]])
        # The last stage gives the class scores itself.
        heads.append(nn.Identity())
        step = layer_wise_at_once(stages, heads, None, adam(stages, heads))
    scale = 1 / (255 * torch.tensor(data["std"]).reshape(1, -1, 1, 1))
    shift = -torch.tensor(data["mean"]).reshape(1, -1, 1, 1) / torch.tensor(data["std"]).reshape(1, -1, 1, 1)

    def batch_of(start, count):
        return images[start : start + count].float().mul_(scale).add_(shift), labels[start : start + count]

    def measure():
        right = 0
        with torch.no_grad():
            for start in range(0, 10_000, 500):
                x, y = batch_of(start, 500)
                right += (layers(x).argmax(1) == y).sum().item()
            for at in range(settings["batches"]):
                x, y = batch_of(at * 128, 128)
                features = [x]
                for stage in stages:
                    features.append(stage(features[-1]))
                flat = [feature.flatten(1) for feature in features]
                inputs, *hidden = [normalised(gram(distances(rows), rows.shape[1])) for rows in flat]
                target = normalised(label_gram(y))
                for one in hidden:
                    trace_of_product(inputs, one)
                    trace_of_product(target, one)
        return right / 10_000

    measure()
    endless = batches.in_memory(images, labels, data, job["batch"])
    for _ in range(settings["epochs"]):
        for _ in range(-(-len(images) // job["batch"])):
            step(*next(endless))
        measure()


if __name__ == "__main__":
    main()
