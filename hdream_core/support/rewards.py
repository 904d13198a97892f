"""Converts rewards to the unit that a model learns. It imports no torch."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np

Rewards = TypeVar("Rewards")


def in_unit(reward: Rewards, unit: str) -> Rewards:
    """Returns rewards, a number, an array or a tensor, in a unit of ``train.reward``: ``identity`` or ``tanh``.

    Raises:
        ValueError: if there is no such unit.
    """
    if unit not in ("identity", "tanh"):
        raise ValueError(f"rewards are in the unit identity or tanh, not {unit!r}")
    if unit == "identity":
        return reward
    values: Any = reward
    return values.tanh() if hasattr(values, "tanh") else np.tanh(values)
