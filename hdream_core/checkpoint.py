"""Checkpoints: one file of tensors and plain values, written whole or not at all."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hdream_core.store import write_atomically


class CheckpointError(ValueError):
    """A checkpoint cannot be read; the message is one line for the user."""


def save(path: Path, state: dict[str, Any]) -> None:
    """Writes tensors, numbers, strings and containers of them."""
    data = io.BytesIO()
    torch.save(state, data)
    write_atomically(path, data.getvalue())


def load(path: Path, device: torch.device | str = "cpu") -> dict[str, Any]:
    """Reads a checkpoint without running code from it; raises CheckpointError, naming the file, if it is damaged."""
    try:
        return torch.load(path, map_location=device, weights_only=True)
    except Exception as error:  # torch raises many kinds for a damaged file; all of them mean the same to a user
        raise CheckpointError(f"{path}: damaged checkpoint ({type(error).__name__}); delete it to start over") from None


def rng_state(rng: np.random.Generator) -> dict[str, Any]:
    """A NumPy generator's state in plain values."""
    return rng.bit_generator.state


def set_rng_state(rng: np.random.Generator, state: dict[str, Any]) -> None:
    """The inverse of ``rng_state``."""
    rng.bit_generator.state = state
