"""The costliest parts of an update, each in forms with one meaning: plain, and tuned for a CPU or a GPU.

The plain forms read like the equations and are the reference; the tuned ones are held to them by tests, and
``docs/performance.md`` has what each of them gains.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from hdream_core.dreamerv2 import networks, rssm
from hdream_core.dreamerv2.tuned import compiled, pixels, scan
from hdream_core.nets import distributions


@dataclass(frozen=True)
class Kernels:
    """The forms that a world model runs with."""

    rssm: type[rssm.RSSM]
    conv_transpose: networks.ConvTranspose
    half_squared_error: Callable[..., Tensor]
    fused: bool  # behaviour's dreams as in ``dream``, and Adam as one kernel
    recorded: bool  # whole updates and actions as in ``recording``


PLAIN = Kernels(rssm.RSSM, networks.conv_transpose, distributions.half_squared_error, fused=False, recorded=False)
TUNED_CPU = Kernels(scan.FusedRSSM, pixels.conv_transpose, pixels.half_squared_error, fused=True, recorded=False)
TUNED_GPU = Kernels(
    compiled.CompiledRSSM, compiled.conv_transpose, compiled.half_squared_error, fused=True, recorded=True
)


def pick(form: Literal["tuned", "plain"], device: torch.device) -> Kernels:
    """The forms for a config's ``train.kernels`` on a device."""
    if form == "plain":
        return PLAIN
    return TUNED_GPU if device.type == "cuda" else TUNED_CPU
