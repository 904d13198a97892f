"""Work on a GPU captured once as a CUDA graph and replayed: the processor then starts one thing, not a thousand."""

from __future__ import annotations

import gc
from collections import Counter, deque
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import TreeSpec, tree_flatten, tree_unflatten

WARM_UP = 3  # calls before the capture: libraries choose their kernels in them, and steps are compiled
Work = Callable[..., Any]


def captured(work: Work, device: torch.device, enabled: bool = True) -> Work:
    """Returns ``work`` as it is on a CPU, or if not enabled; on a GPU, work that is captured (``Captured``)."""
    return Captured(work, device) if enabled and device.type == "cuda" else work


class Captured:
    """Captures work on a GPU, for each set of shapes that it meets often enough, and replays it.

    Args:
        work: a function from (nested dicts and tuples of) tensors to the same, that never waits for the GPU and does
            the same whatever the values are. What it changes besides (weights, moments) is changed by a replay as by a
            call.
        device: a GPU, where it works.
    """

    def __init__(self, work: Work, device: torch.device):
        self.work, self.device = work, device
        self._calls: Counter[tuple[torch.Size, ...]] = Counter()
        self._graphs: dict[tuple[torch.Size, ...], _Graph] = {}

    def __call__(self, *inputs: Any) -> Any:
        """Returns ``work(*inputs)``; inputs may lie on the CPU, pinned memory travels beside other work."""
        tensors, tree = tree_flatten(inputs)
        tensors = [torch.as_tensor(x) for x in tensors]
        shapes = tuple(x.shape for x in tensors)
        if shapes not in self._graphs:
            self._calls[shapes] += 1
            on_device = [x.to(self.device, non_blocking=True) for x in tensors]
            if self._calls[shapes] <= WARM_UP:
                return self.work(*tree_unflatten(on_device, tree))
            self._graphs[shapes] = _Graph(self.work, on_device, tree)
        return self._graphs[shapes](tensors)


class _Graph:
    """One graph, with memory of its own for inputs and outputs."""

    def __init__(self, work: Work, inputs: list[Tensor], tree: TreeSpec):
        self.inputs = [x.clone() for x in inputs]
        self.graph = torch.cuda.CUDAGraph()
        current = torch.cuda.current_stream()
        # Captured on a stream of the caller's own, the graph has that stream's priority.
        stream = None if current == torch.cuda.default_stream() else current
        # A dead agent's graph must not be collected, that is, destroyed on the GPU, while this one is captured.
        collects = gc.isenabled()
        gc.collect()
        gc.disable()
        try:
            # Other threads, such as the one that reads batches, go on with what they do.
            with torch.cuda.graph(self.graph, stream=stream, capture_error_mode="thread_local"):
                outputs, self.tree = tree_flatten(work(*tree_unflatten(self.inputs, tree)))
                # Scalars leave together: one copy after a replay, not one for each metric.
                self.scalars = all(x.ndim == 0 for x in outputs)
                self.outputs = [torch.stack([x.float() for x in outputs])] if self.scalars else outputs
        finally:
            if collects:
                gc.enable()

    def __call__(self, inputs: list[Tensor]) -> Any:
        for mine, new in zip(self.inputs, inputs, strict=True):
            mine.copy_(new, non_blocking=True)
        self.graph.replay()
        outputs = [x.clone() for x in self.outputs]  # the next replay overwrites them
        return tree_unflatten(list(outputs[0].unbind()) if self.scalars else outputs, self.tree)


class Throttle:
    """Keeps the processor from running ahead of a GPU by more than some updates, whose batches lie in pinned memory.

    Args:
        device: that works; a CPU is never ahead of itself.
        ahead: updates that may wait.
    """

    def __init__(self, device: torch.device, ahead: int = 3):
        self.enabled, self.ahead = device.type == "cuda", ahead
        self._begun: deque[torch.cuda.Event] = deque()

    def wait(self) -> None:
        """Waits, after an update was started, for the one that is too far back."""
        if not self.enabled:
            return
        event = torch.cuda.Event()
        event.record()
        self._begun.append(event)
        if len(self._begun) > self.ahead:
            self._begun.popleft().synchronize()
