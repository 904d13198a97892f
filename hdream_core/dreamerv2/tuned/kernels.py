"""Interchangeable forms of the most expensive operations: plain, and tuned for a CPU or a GPU.

The plain forms read like the equations and are the reference; the tuned ones are held to them by tests, and
``docs/performance.md`` has what each of them gains.
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
    """The forms that an agent runs with.

    Attributes:
        rssm: class of the RSSM.
        conv_transpose, half_squared_error: of the decoder and its pixels.
        fused_imagination: behaviour's rollouts as in ``imagination``; needs a ``scan.FusedRSSM``.
        fused_adam: Adam as one kernel.
        captured: updates and actions as CUDA graphs (``support.cuda_graph``).
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


def pick(form: Literal["tuned", "plain"], device: torch.device) -> Kernels:
    """Returns the forms for a config's ``train.kernels`` on a device."""
    if form == "plain":
        return PLAIN
    return TUNED_GPU if device.type == "cuda" else TUNED_CPU


def without_each(device: torch.device) -> dict[str, Kernels]:
    """Returns the tuned forms with one file's left out, by what is left out: what each is worth alone."""
    tuned = pick("tuned", device)
    plain_pixels = {name: getattr(PLAIN, name) for name in ("conv_transpose", "half_squared_error")}
    found = {
        "scan": replace(tuned, rssm=PLAIN.rssm, fused_imagination=False),  # imagination is written in terms of scan
        "imagination": replace(tuned, fused_imagination=False),
        "pixels": replace(tuned, **plain_pixels),
        "fused_adam": replace(tuned, fused_adam=False, captured=False),  # only the fused kernel can be captured
    }
    if tuned.captured:
        found["compiled"] = replace(TUNED_CPU, captured=True)
        found["captured"] = replace(tuned, captured=False)
    return found
