"""Work on a GPU recorded once as a CUDA graph and replayed: the processor then starts one thing, not a thousand."""

from __future__ import annotations

import gc
from collections import Counter, deque
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

WARM_UP = 3  # calls before the recording: libraries choose their kernels in them, and steps are compiled
Work = Callable[..., Sequence[Tensor]]


class Recorded:
    """``work`` as it is on a CPU; on a GPU recorded, for each set of shapes that it meets often enough.

    Args:
        work: a function of tensors to tensors that never waits for the GPU and does all the same for all values. What
            it changes besides (weights, moments) is changed by a replay as by a call.
        device: where it works.
        enabled: False leaves it as it is on a GPU, too.
    """

    def __init__(self, work: Work, device: torch.device, enabled: bool = True):
        self.work, self.device = work, device
        self.enabled = enabled and device.type == "cuda"
        self._calls: Counter[tuple[torch.Size, ...]] = Counter()
        self._recordings: dict[tuple[torch.Size, ...], _Recording] = {}

    def __call__(self, *inputs: Tensor) -> Sequence[Tensor]:
        """``work(*inputs)``; inputs may lie on the CPU, pinned memory travels beside other work."""
        shapes = tuple(x.shape for x in inputs)
        if self.enabled and shapes not in self._recordings:
            self._calls[shapes] += 1
            if self._calls[shapes] > WARM_UP:
                self._recordings[shapes] = _Recording(self.work, [x.to(self.device) for x in inputs])
        if shapes in self._recordings:
            return self._recordings[shapes](*inputs)
        return self.work(*(x.to(self.device, non_blocking=True) for x in inputs))


class _Recording:
    """One graph, with memory of its own for inputs and outputs."""

    def __init__(self, work: Work, inputs: Sequence[Tensor]):
        self.inputs = [x.clone() for x in inputs]
        self.graph = torch.cuda.CUDAGraph()
        current = torch.cuda.current_stream()
        # Recorded on a stream of the caller's own, the graph has that stream's priority.
        stream = None if current == torch.cuda.default_stream() else current
        # A dead agent's graph must not be collected, that is, destroyed on the GPU, while this one is recorded.
        collects = gc.isenabled()
        gc.collect()
        gc.disable()
        try:
            # Other threads, such as the one that reads batches, go on with what they do.
            with torch.cuda.graph(self.graph, stream=stream, capture_error_mode="thread_local"):
                self.outputs = work(*self.inputs)
        finally:
            if collects:
                gc.enable()

    def __call__(self, *inputs: Tensor) -> Sequence[Tensor]:
        for mine, new in zip(self.inputs, inputs, strict=True):
            mine.copy_(new, non_blocking=True)
        self.graph.replay()
        return [x.clone() for x in self.outputs]  # the next replay overwrites them


class Pace:
    """Keeps the processor from running ahead of a GPU by more than some updates, whose batches lie in pinned memory.

    Args:
        device: that works; a CPU is never ahead of itself.
        ahead: updates that may wait.
    """

    def __init__(self, device: torch.device, ahead: int = 3):
        self.enabled, self.ahead = device.type == "cuda", ahead
        self._begun: deque[torch.cuda.Event] = deque()

    def keep(self) -> None:
        """Called after each update is started: waits for the one that is too far back."""
        if not self.enabled:
            return
        event = torch.cuda.Event()
        event.record()
        self._begun.append(event)
        if len(self._begun) > self.ahead:
            self._begun.popleft().synchronize()
