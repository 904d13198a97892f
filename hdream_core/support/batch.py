"""Moves batches to a device."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


def to_device(batch: Mapping[str, Any], device: torch.device) -> dict[str, Tensor]:
    """Moves a batch of arrays or tensors to a device, dtypes unchanged: uint8 images are scaled on the device."""
    return {name: torch.as_tensor(values).to(device, non_blocking=True) for name, values in batch.items()}
