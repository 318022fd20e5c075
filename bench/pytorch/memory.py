"""Bytes of live tensors and their peak, counted as stopgrad counts them: every allocation and release of libtorch's CPU
allocator, by the bytes asked for. The profiler only knows what was made while it watched, so that it must watch from
before the network is built; what is older (the data set) is left out, which is what is wanted. On a GPU the caching
allocator's own statistics, as stopgrad takes them."""

import torch
from torch.autograd import profiler

MARK = "the peak counts from here"


class Watch:
    def __init__(self, device="cpu"):
        self._on_gpu = device != "cpu"

    def __enter__(self):
        if self._on_gpu:
            self._before = torch.cuda.memory_allocated()
            return self
        self._profile = profiler.profile(profile_memory=True)
        self._profile.__enter__()
        return self

    def mark(self):
        """The peak is of what comes after this."""
        if self._on_gpu:
            torch.cuda.reset_peak_memory_stats()
            return
        with profiler.record_function(MARK):
            pass

    def __exit__(self, *exception):
        if self._on_gpu:
            self.peak_bytes = torch.cuda.max_memory_allocated() - self._before
            return
        self._profile.__exit__(*exception)
        live, self.peak_bytes = 0, 0
        for event in self._profile.kineto_results.events():
            if event.name() == MARK:
                self.peak_bytes = live
            elif event.name() == "[memory]" and event.device_type() == torch.profiler.DeviceType.CPU:
                live += event.nbytes()
                self.peak_bytes = max(self.peak_bytes, live)
        self._profile = None
