"""What linear probes keep of every stage, as it is usually written: forward hooks that pool and append, one `torch.cat` a
stage at the end. Two splits of images in evaluation mode, without gradients."""

import batches
import networks
import torch

AT_ONCE = 500


class Collection:
    def __init__(self, job):
        data, settings = job["data"], job["settings"]
        count, width = settings["pass"]["images"], settings["model"]["width"]
        images, _ = batches.load(data)
        self.splits = [images[:count], images[count : 2 * count]]
        self.mean = torch.tensor(data["mean"]).reshape(1, -1, 1, 1)
        self.std = torch.tensor(data["std"]).reshape(1, -1, 1, 1)
        stages = networks.resnet18_modules(data["shape"][0], width, 0.0)
        pools = [head[:2] for head in networks.linear_heads(width, data["classes"])]
        self.collected = [[] for _ in stages]
        for stage, pool, kept in zip(stages, pools, self.collected):
            stage.register_forward_hook(lambda _, __, output, pool=pool, kept=kept: kept.append(pool(output)))
        self.network = torch.nn.Sequential(*stages).eval()

    def warm_up(self):
        self.collect(self.splits[0][:AT_ONCE])
        return {"peakBytes": None}

    def run(self, times):
        for _ in range(times):
            features = [self.collect(images) for images in self.splits]
            assert all(stage.shape == (len(self.splits[0]), 2048) for split in features for stage in split)
        return {"units": times}

    def collect(self, images):
        for kept in self.collected:
            kept.clear()
        with torch.no_grad():
            for batch in images.split(AT_ONCE):
                self.network(batch.float().div_(255).sub_(self.mean).div_(self.std))
        return [torch.cat(kept) for kept in self.collected]

    def untimed(self):
        return {}
