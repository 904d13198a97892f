"""Draws every random number of updates and plans, in one place, so that tests can put a fixed tape in its stead."""

from __future__ import annotations

import torch
from torch import Tensor


def normal(*shape: int, device: torch.device) -> Tensor:
    """Draws standard normal numbers."""
    return torch.randn(shape, device=device)


def shifts(*shape: int, reach: int, device: torch.device) -> Tensor:
    """Draws whole numbers from -reach to reach, all equally often; int64."""
    return torch.randint(-reach, reach + 1, shape, device=device)


def choice(weights: Tensor) -> Tensor:
    """Draws a column of each row ``(N, K)`` of weights, as often as its weight says: int64 ``(N,)``."""
    return torch.multinomial(weights, 1)[:, 0]
