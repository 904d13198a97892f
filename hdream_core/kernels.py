"""The costliest parts of an update, each in two forms with one meaning: plain, and tuned for a CPU.

The plain forms read like the equations and are the reference; the tuned ones are held to them by tests, and
``docs/performance.md`` has what each of them gains. A GPU's libraries need no help with these parts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from hdream_core import distributions, networks, pixels, rssm, scan


@dataclass(frozen=True)
class Kernels:
    """The forms that a world model runs with."""

    rssm: type[rssm.RSSM]
    conv_transpose: networks.ConvTranspose
    half_squared_error: Callable[..., Tensor]
    fused_dream: bool  # behaviour's dreams as in ``dream``
    fused_adam: bool


PLAIN = Kernels(
    rssm.RSSM, networks.conv_transpose, distributions.half_squared_error, fused_dream=False, fused_adam=False
)
TUNED = Kernels(scan.FusedRSSM, pixels.conv_transpose, pixels.half_squared_error, fused_dream=True, fused_adam=True)


def pick(form: Literal["tuned", "plain"], device: torch.device) -> Kernels:
    """The forms for a config's ``train.kernels`` on a device."""
    return TUNED if form == "tuned" and device.type == "cpu" else PLAIN
