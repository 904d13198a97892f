"""Save, restore and isolate the state of random number generators."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch


@contextlib.contextmanager
def own_randomness(seed: int) -> Iterator[None]:
    """Draws inside come from ``seed`` and leave training's generators where they were."""
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield


def rng_state(rng: np.random.Generator) -> dict[str, Any]:
    """A NumPy generator's state in plain values."""
    return rng.bit_generator.state


def set_rng_state(rng: np.random.Generator, state: dict[str, Any]) -> None:
    """The inverse of ``rng_state``."""
    rng.bit_generator.state = state
