"""Saves, restores and isolates the state of random number generators."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np

_lock = threading.RLock()  # all threads share PyTorch's generators


@contextlib.contextmanager
def own_randomness(seed: int) -> Iterator[None]:
    """Seeds PyTorch's generators for the block, and restores their state (training's) after it.

    Only one thread at a time is in such a block; others wait.
    """
    import torch

    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with _lock, torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield


def _renew_lock() -> None:
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):  # a forked process lacks the thread that may have held the lock
    os.register_at_fork(after_in_child=_renew_lock)


def rng_state(rng: np.random.Generator) -> dict[str, Any]:
    """Returns a NumPy generator's state as plain values."""
    return rng.bit_generator.state


def set_rng_state(rng: np.random.Generator, state: dict[str, Any]) -> None:
    """Restores a state that ``rng_state`` returned."""
    rng.bit_generator.state = state
