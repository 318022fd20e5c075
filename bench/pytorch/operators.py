"""Single operators: what a call costs."""

import torch


class Scalars:
    """The sum of two scalars, a tensor made and released each time."""

    def __init__(self):
        self.a, self.b = torch.tensor(1.0), torch.tensor(2.0)

    def warm_up(self):
        self.run(100_000)
        return {"peakBytes": None}

    def run(self, count):
        a, b, add = self.a, self.b, torch.add
        for _ in range(count):
            add(a, b)
        return {"units": count}

    def untimed(self):
        return {}
