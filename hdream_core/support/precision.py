"""Chooses device and arithmetic of the networks. Harmonizers, losses and the MLPs' output layers stay in float32."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from hdream_core.support.errors import ConfigError

if TYPE_CHECKING:  # command lines are parsed before torch is imported
    import torch


def pick_device(name: str = "auto") -> torch.device:
    """Returns the device that a config's ``train.device`` names; ``auto`` is a CUDA GPU if there is one, else the CPU.

    Raises:
        ConfigError: if it names a GPU that this machine does not have.
    """
    import torch

    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ConfigError(f"train.device is {name}, but PyTorch sees {torch.cuda.device_count()} GPUs here")
    return device


def available_device(name: str) -> torch.device:
    """Returns the device of a config's ``train.device``, or that of ``auto`` if this machine does not have it."""
    try:
        return pick_device(name)
    except ConfigError:
        return pick_device()


def native_bfloat16(device: torch.device) -> bool:
    """Tells whether the device multiplies bfloat16 natively; if it does not, autocast is slower than float32."""
    import torch

    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    has_products = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)  # torch has no public name for it
    return torch.backends.mkldnn.is_available() and has_products()


def resolve_precision(precision: str, device: torch.device) -> str:
    """Resolves a config's ``auto``, ``float32`` or ``bfloat16`` to ``float32`` or ``bfloat16``."""
    if precision == "auto":
        return "bfloat16" if native_bfloat16(device) else "float32"
    return precision


def product_dtype(x: torch.Tensor) -> torch.dtype:
    """Returns the dtype in which autocast multiplies ``x`` here; without autocast, that of ``x``."""
    import torch

    device_type = x.device.type
    return torch.get_autocast_dtype(device_type) if torch.is_autocast_enabled(device_type) else x.dtype


def autocast(precision: str, device: torch.device) -> contextlib.AbstractContextManager:
    """Makes the autocast context of a run's networks; in float32 it does nothing."""
    import torch

    enabled = resolve_precision(precision, device) == "bfloat16"
    return torch.autocast(device.type, torch.bfloat16, enabled=enabled)
