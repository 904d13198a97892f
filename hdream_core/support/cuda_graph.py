"""Captures GPU work as a CUDA graph and replays it, so that the CPU launches one graph, not a thousand kernels."""

from __future__ import annotations

import gc
from collections import Counter, deque
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import TreeSpec, tree_flatten, tree_unflatten

WARM_UP = 3  # calls before the capture, in which libraries choose their kernels and steps are compiled
Work = Callable[..., Any]


def capture(work: Work, device: torch.device, enabled: bool = True) -> Work:
    """Wraps ``work`` in ``Captured`` on a GPU; returns it unchanged on a CPU or if not ``enabled``."""
    return Captured(work, device) if enabled and device.type == "cuda" else work


class Captured:
    """Captures ``work`` on a GPU, once for each set of input shapes, after ``WARM_UP`` calls, and replays it.

    Args:
        work: a function from (nested dicts and tuples of) tensors to the same. It must never wait for the GPU, and do
            the same whatever the values are. A replay changes weights, moments and so on just as a call does.
        device: the GPU that ``work`` runs on.
    """

    def __init__(self, work: Work, device: torch.device):
        self.work, self.device = work, device
        self._calls: Counter[tuple[torch.Size, ...]] = Counter()
        self._graphs: dict[tuple[torch.Size, ...], _Graph] = {}

    def __call__(self, *inputs: Any) -> Any:
        """Returns ``work(*inputs)``. Inputs may be on the CPU; copies from pinned memory overlap other work."""
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
    """Holds one graph, with its own memory for inputs and outputs."""

    def __init__(self, work: Work, inputs: list[Tensor], tree: TreeSpec):
        self.inputs = [x.clone() for x in inputs]
        self.graph = torch.cuda.CUDAGraph()
        current = torch.cuda.current_stream()
        # A graph that is captured on the caller's own stream gets that stream's priority.
        stream = None if current == torch.cuda.default_stream() else current
        # Collecting a dead agent's graph destroys it on the GPU, which must not happen during a capture.
        collects = gc.isenabled()
        gc.collect()
        gc.disable()
        try:
            # Other threads, such as the prefetcher's, may call CUDA during this capture.
            with torch.cuda.graph(self.graph, stream=stream, capture_error_mode="thread_local"):
                outputs, self.tree = tree_flatten(work(*tree_unflatten(self.inputs, tree)))
                # Scalars are stacked: one copy after a replay, not one for each metric.
                self.scalars = bool(outputs) and all(x.ndim == 0 for x in outputs)
                self.outputs = [torch.stack([x.float() for x in outputs])] if self.scalars else outputs
        finally:
            if collects:
                gc.enable()

    def __call__(self, inputs: list[Tensor]) -> Any:
        for static, new in zip(self.inputs, inputs, strict=True):
            static.copy_(new, non_blocking=True)
        self.graph.replay()
        outputs = [x.clone() for x in self.outputs]  # the next replay overwrites them
        return tree_unflatten(list(outputs[0].unbind()) if self.scalars else outputs, self.tree)


class Throttle:
    """Limits how many updates the CPU queues ahead of the GPU: the batch of each occupies pinned memory.

    Args:
        device: device of the updates; on a CPU there is no queue and nothing to limit.
        ahead: updates that may be queued.
    """

    def __init__(self, device: torch.device, ahead: int = 3):
        self.enabled, self.ahead = device.type == "cuda", ahead
        self._queued: deque[torch.cuda.Event] = deque()

    def wait(self) -> None:
        """Waits, after an update was queued, until at most ``ahead`` of them are unfinished."""
        if not self.enabled:
            return
        event = torch.cuda.Event()
        event.record()
        self._queued.append(event)
        if len(self._queued) > self.ahead:
            self._queued.popleft().synchronize()
