"""Where and in which arithmetic the networks run. Harmonizers, losses and the MLPs' output layers stay in float32."""

from __future__ import annotations

import contextlib

import torch

from hdream_core.support.errors import ConfigError


def pick_device(wanted: str = "auto") -> torch.device:
    """Returns the device of a config's ``train.device``; ``auto`` is a CUDA GPU where there is one, else the CPU.

    Raises:
        ConfigError: if a GPU is wanted that is not there.
    """
    if wanted == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(wanted)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ConfigError(f"train.device is {wanted}, but PyTorch sees {torch.cuda.device_count()} GPUs here")
    return device


def native_bfloat16(device: torch.device) -> bool:
    """Whether the processor multiplies bfloat16 natively; elsewhere autocast is slower than float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    has_products = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)  # torch has no public name for it
    return torch.backends.mkldnn.is_available() and has_products()


def resolve_precision(precision: str, device: torch.device) -> str:
    """``float32`` or ``bfloat16`` for a config's ``auto``, ``float32`` or ``bfloat16``."""
    if precision == "auto":
        return "bfloat16" if native_bfloat16(device) else "float32"
    return precision


def product_dtype(x: torch.Tensor) -> torch.dtype:
    """In which dtype autocast multiplies ``x`` here; its own without autocast."""
    kind = x.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype


def autocast(precision: str, device: torch.device) -> contextlib.AbstractContextManager:
    """Autocast for the networks of a run, or nothing in float32."""
    enabled = resolve_precision(precision, device) == "bfloat16"
    return torch.autocast(device.type, torch.bfloat16, enabled=enabled)
