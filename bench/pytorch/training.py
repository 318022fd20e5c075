"""Training steps: LeNet5 end to end, ResNet18 layer-wise, each in the forms of cases.mjs. As in stopgrad's step, every
module's loss and the number of right answers are read each time."""

import itertools
import math

import batches
import networks
import torch
import torch.nn.functional as F
from memory import Watch


def end_to_end(network, optimizer):
    def step(images, labels):
        optimizer.zero_grad(set_to_none=True)
        logits = network(images)
        loss = F.cross_entropy(logits, labels)
        loss.backward()
        optimizer.step()
        return [loss.item()], right(logits, labels)

    return step


def layer_wise_plain(modules, heads, classifier, optimizer):
    """Every module forward with a detach between, the losses kept, then each one's backward."""

    def step(images, labels):
        optimizer.zero_grad(set_to_none=True)
        losses, features = [], images
        for module, head in zip(modules, heads):
            output = module(features)
            losses.append(F.cross_entropy(head(output), labels))
            features = output.detach()
        logits = classifier(features)
        losses.append(F.cross_entropy(logits, labels))
        for loss in losses:
            loss.backward()
        optimizer.step()
        return [loss.item() for loss in losses], right(logits, labels)

    return step


def layer_wise_at_once(modules, heads, classifier, optimizer):
    """A module's backward right after its forward. Without a classifier the last module gives the scores."""

    def step(images, labels):
        optimizer.zero_grad(set_to_none=True)
        losses, features = [], images
        for module, head in zip(modules, heads):
            output = module(features)
            loss = F.cross_entropy(head(output), labels)
            loss.backward()
            losses.append(loss.item())
            features = output.detach()
        if classifier is None:
            optimizer.step()
            return losses, right(features, labels)
        logits = classifier(features)
        loss = F.cross_entropy(logits, labels)
        loss.backward()
        losses.append(loss.item())
        optimizer.step()
        return losses, right(logits, labels)

    return step


def right(logits, labels):
    return (logits.argmax(1) == labels).sum().item()


def adam(*parts):
    return torch.optim.Adam(itertools.chain(*(part.parameters() for part in parts)), lr=5e-4)


def lasting_bytes(optimizer):
    """Of weights and the optimizer's state: what is there between steps whatever is trained."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state = [value for values in optimizer.state.values() for value in values.values() if torch.is_tensor(value)]
    return sum(tensor.numel() * tensor.element_size() for tensor in [*parameters, *state] if tensor.numel() > 1)


class Cast(torch.nn.Module):
    """A network whose forward pass is in bfloat16 on a GPU; its output goes to the loss as float32."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, features):
        with torch.autocast("cuda", torch.bfloat16):
            output = self.network(features)
        return output.float() if output.dim() == 2 else output


def create_step(job):
    data, settings, form = job["data"], job["settings"], job["form"]
    channels, classes = data["shape"][0], data["classes"]
    device, bfloat16 = settings.get("device", "cpu"), settings.get("device") and settings.get("precision") == "bfloat16"

    def placed(network):
        """On the device; for bfloat16 on a GPU as people have it there, with channels last under autocast."""
        network = network.to(device)
        return Cast(network.to(memory_format=torch.channels_last)) if bfloat16 else network
    if settings["model"] == "lenet5":
        network = networks.lenet5(channels, classes)
        optimizer = adam(network)
        return end_to_end(network, optimizer), optimizer
    width = settings["model"]["width"]
    if form == "end-to-end":
        network = placed(networks.resnet18(channels, width, classes, settings["model"]["dropout"]))
        optimizer = adam(network)
        return end_to_end(network, optimizer), optimizer
    modules = networks.resnet18_modules(channels, width, settings["model"]["dropout"])
    modules = torch.nn.ModuleList(placed(module) for module in modules)
    heads = torch.nn.ModuleList(placed(head) for head in networks.linear_heads(width, classes))
    classifier = placed(networks.classifier(8 * width, classes))
    layer_wise = {"plain": layer_wise_plain, "at-once": layer_wise_at_once}[form]
    optimizer = adam(modules, heads, classifier)
    return layer_wise(modules, heads, classifier, optimizer), optimizer


class Training:
    def __init__(self, job):
        self.job = job
        self.device = job["settings"].get("device", "cpu")
        self.images, self.labels = batches.load(job["data"], self.device)

    def warm_up(self):
        """Two steps; the peak is the second's, when the optimizer's state and the gradients are there."""
        job = self.job
        endless = batches.from_loader if job["form"] == "loader" else batches.in_memory
        with Watch(self.device) as watch:
            self.step, self.optimizer = create_step(job)
            self.batches = endless(self.images, self.labels, job["data"], job["batch"])
            self.run(1)
            watch.mark()
            self.run(1)
        return {"peakBytes": watch.peak_bytes, "activationBytes": watch.peak_bytes - lasting_bytes(self.optimizer)}

    def run(self, steps):
        count = 0
        for images, labels in itertools.islice(self.batches, steps):
            losses, _ = self.step(images, labels)
            if not all(map(math.isfinite, losses)):
                raise ArithmeticError("a loss is not finite")
            count += len(labels)
        if self.device != "cpu":
            torch.cuda.synchronize()
        return {"units": count}

    def untimed(self):
        return {}
