"""Draws batches ahead: while the device learns from one, a thread reads the next."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hdream_core.data.replay import Batch, Replay
from hdream_core.support.randomness import rng_state, set_rng_state


def as_tensors(batch: Batch, pin: bool) -> dict[str, Tensor]:
    """Turns a batch into tensors on the CPU. If pinned, copying them to a GPU overlaps other work."""
    fields = {name: torch.from_numpy(x) for name, x in batch.items()}
    return {name: x.pin_memory() for name, x in fields.items()} if pin else fields


class Prefetcher:
    """Iterates endlessly over batches of a replay.

    The windows of the next batch are drawn when this one is requested; only reading them overlaps. So the content of a
    batch does not depend on timing, and an episode is first sampled one batch after its end. A replay that is not
    ``ahead`` draws each batch when it is requested, after ``learned`` of the one before.

    Args:
        replay: replay to sample from.
        rng: generator of the windows; nothing else draws from it.
        batch, length: number of windows, and rows of each.
        pin: put batches into pinned memory.
    """

    def __init__(self, replay: Replay, rng: np.random.Generator, batch: int, length: int, pin: bool = False):
        self.replay, self.rng, self.batch, self.length, self.pin = replay, rng, batch, length, pin
        self._thread = ThreadPoolExecutor(1, "batches")
        self._next: Future[dict[str, Tensor]] | None = None
        self._starts: np.ndarray | None = None  # first rows of the next batch's windows
        self._latest: np.ndarray | None = None  # and of the latest batch's

    def __iter__(self) -> Prefetcher:
        return self

    def __next__(self) -> dict[str, Tensor]:
        """Returns the next batch, with fields as in ``replay.Batch``."""
        if self._next is None:
            self._draw()
        batch, self._latest = self._next.result(), self._starts
        self._starts = self._next = None
        if self.replay.ahead:
            self._draw()
        return batch

    def learned(self, priority: Tensor | None) -> None:
        """Tells the replay what the update on the latest batch said about each window, ``(B,)``, or None."""
        if priority is not None and self._latest is not None:
            self.replay.reprioritise(self._latest, priority.cpu().numpy())

    def _draw(self) -> None:
        self._fetch(self.replay.starts(self.rng, self.batch, self.length))

    def _fetch(self, starts: np.ndarray) -> None:
        self._starts, self._next = starts, self._thread.submit(self._read, starts)

    def _read(self, starts: np.ndarray) -> dict[str, Tensor]:
        return as_tensors(self.replay.windows(starts, self.length), self.pin)

    def state_dict(self) -> dict[str, Any]:
        """Returns what a checkpoint saves: the next batch's windows, and what decides all later ones."""
        starts = None if self._starts is None else torch.from_numpy(self._starts)
        state = {"starts": starts, "rng": rng_state(self.rng)}
        priorities = self.replay.priorities
        return state if priorities is None else state | {"priorities": torch.from_numpy(priorities.copy())}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores a saved state; the replay must hold the same episodes as then.

        Raises:
            ValueError: if the replay does not hold the saved windows.
        """
        set_rng_state(self.rng, state["rng"])
        if self.replay.priorities is not None:
            self.replay.restore(state["priorities"].cpu().numpy())
        self._starts = self._next = None
        if state["starts"] is None:
            return
        starts = state["starts"].cpu().numpy()
        if starts.shape != (self.batch,) or starts.dtype != np.int64:
            raise ValueError(f"the next batch's windows are {starts.dtype} {starts.shape}, not int64 ({self.batch},)")
        self.replay.rows(starts, self.length)
        self._fetch(starts)
