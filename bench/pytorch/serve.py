"""PyTorch's side: warms up, then does as many units of work as each line of standard input says (lib/contestant.mjs)."""

import json
import os
import platform
import re
import sys
import time

import torch


def answer(value):
    print(json.dumps(value), flush=True)


def libtorch_file():
    """The library this process has loaded."""
    try:
        with open("/proc/self/maps") as maps:
            found = re.search(r"(/\S*/libtorch_cpu\.so\S*)", maps.read())
    except OSError:
        return None
    return os.path.realpath(found.group(1)) if found else None


def create(job):
    if job["kind"] == "training":
        from training import Training

        return Training(job)
    if job["kind"] == "scalars":
        from operators import Scalars

        return Scalars()
    if job["kind"] == "compare":
        from compare import Compare

        return Compare(job)
    if job["kind"] == "collection":
        from collection import Collection

        return Collection(job)
    if job["kind"] == "probe-fits":
        from probes import Probes

        return Probes(job)
    from nhsic import Nhsic

    return Nhsic(job)


def main():
    job = json.loads(sys.argv[1])
    torch.set_num_threads(job["threads"])
    torch.manual_seed(job["seed"])
    work = create(job)
    environment = {
        "torch": torch.__version__,
        "python": platform.python_version(),
        "libtorchFile": libtorch_file(),
    }
    answer({**work.warm_up(), "environment": environment})
    for line in sys.stdin:
        started = time.perf_counter()
        done = work.run(int(line))
        seconds = time.perf_counter() - started
        answer({"seconds": seconds, **done, **work.untimed()})


main()
