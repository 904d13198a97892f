"""Saves, restores and isolates the state of random number generators."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch


@contextlib.contextmanager
def own_randomness(seed: int) -> Iterator[None]:
    """Seeds PyTorch's generators for the block, and restores their state, which is training's, after it."""
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield


def rng_state(rng: np.random.Generator) -> dict[str, Any]:
    """Returns a NumPy generator's state as plain values."""
    return rng.bit_generator.state


def set_rng_state(rng: np.random.Generator, state: dict[str, Any]) -> None:
    """Restores a state that ``rng_state`` returned."""
    rng.bit_generator.state = state
