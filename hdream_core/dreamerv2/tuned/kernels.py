"""Selects implementations of the most expensive operations: plain, or tuned for a CPU or a GPU.

The plain ones follow the equations line by line. Tests compare the tuned ones with them. ``docs/performance.md`` lists
the gain of each.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from hdream_core.dreamerv2 import networks, rssm
from hdream_core.dreamerv2.tuned import compiled, pixels, scan
from hdream_core.nets import distributions


@dataclass(frozen=True)
class Kernels:
    """Names the implementations that an agent runs with.

    Attributes:
        rssm: class of the RSSM.
        conv_transpose: the decoder's transposed convolution.
        half_squared_error: error of rewards and pixels.
        fused_imagination: whether behaviour learning imagines as in ``imagination``; needs a ``scan.FusedRSSM``.
        fused_adam: whether Adam is one kernel.
        captured: whether updates and actions are captured as CUDA graphs (``support.cuda_graph``).
    """

    rssm: type[rssm.RSSM]
    conv_transpose: networks.ConvTranspose
    half_squared_error: Callable[..., Tensor]
    fused_imagination: bool
    fused_adam: bool
    captured: bool


PLAIN = Kernels(
    rssm.RSSM,
    networks.conv_transpose,
    distributions.half_squared_error,
    fused_imagination=False,
    fused_adam=False,
    captured=False,
)
TUNED_CPU = Kernels(
    scan.FusedRSSM,
    pixels.conv_transpose,
    pixels.half_squared_error,
    fused_imagination=True,
    fused_adam=True,
    captured=False,
)
TUNED_GPU = Kernels(
    compiled.CompiledRSSM,
    compiled.conv_transpose,
    compiled.half_squared_error,
    fused_imagination=True,
    fused_adam=True,
    captured=True,
)


def pick_kernels(name: Literal["tuned", "plain"], device: torch.device) -> Kernels:
    """Returns the kernels that ``train.kernels`` of a config names, for a device."""
    if name == "plain":
        return PLAIN
    return TUNED_GPU if device.type == "cuda" else TUNED_CPU


def without_each(device: torch.device) -> dict[str, Kernels]:
    """Returns the tuned kernels with one file's replaced by plain ones, by the name of that file.

    The time of an update with each shows the gain of that file alone.
    """
    tuned = pick_kernels("tuned", device)
    plain_pixels = {name: getattr(PLAIN, name) for name in ("conv_transpose", "half_squared_error")}
    variants = {
        "scan": replace(tuned, rssm=PLAIN.rssm, fused_imagination=False),  # fused imagination needs scan
        "imagination": replace(tuned, fused_imagination=False),
        "pixels": replace(tuned, **plain_pixels),
        "fused_adam": replace(tuned, fused_adam=False, captured=False),  # only fused Adam can be captured
    }
    if tuned.captured:
        variants["compiled"] = replace(TUNED_CPU, captured=True)
        variants["captured"] = replace(tuned, captured=False)
    return variants
