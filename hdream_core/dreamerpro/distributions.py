"""Turns the outputs of DreamerPro's networks into Gaussian latents and the policy."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from hdream_core.nets.gaussian import TanhNormal

MIN_STD = 0.1  # of latents, and of actions before the tanh
LARGEST_MEAN = 5.0  # of actions before the tanh


def gaussian_stats(raw: Float[Tensor, "*n twice"]) -> Float[Tensor, "*n 2 stoch"]:
    """Turns a layer's output ``(..., 2 Z)`` into means and standard deviations of latents, ``(..., 2, Z)``, float32."""
    mean, std = raw.float().chunk(2, -1)
    return torch.stack([mean, 2 * torch.sigmoid(std / 2) + MIN_STD], -2)


def tanh_normal(raw: Float[Tensor, "*n twice"]) -> TanhNormal:
    """Turns the actor's output ``(..., 2 A)``, of means and then of standard deviations, into the policy."""
    mean, std = raw.float().chunk(2, -1)
    return TanhNormal(LARGEST_MEAN * torch.tanh(mean / LARGEST_MEAN), F.softplus(std) + MIN_STD)
