"""Computes returns of imagined rollouts."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def discounted(values: Float[Tensor, "H N"], gamma: float) -> Float[Tensor, "H N"]:
    """Returns values ``(H, N)`` times ``gamma`` for each step from the first."""
    return gamma ** torch.arange(len(values), device=values.device)[:, None] * values


def lambda_return(
    reward: Float[Tensor, "H N"], value: Float[Tensor, "H+1 N"], discount: Float[Tensor, "H N"], lam: float
) -> Float[Tensor, "H N"]:
    """Computes Eq. 8: ``V_t = r_t + gamma_t ((1 - lam) v_{t+1} + lam V_{t+1})``, bootstrapped with the last value.

    Args:
        reward, discount: ``(H, N)``, those that ``r_t`` and ``gamma_t`` stand for: of the state itself in DreamerV2, of
            the next one in DreamerV3.
        value: ``(H + 1, N)`` for steps 0 .. H.
        lam: mixing coefficient.

    Returns:
        ``(H, N)`` targets for steps 0 .. H - 1.
    """
    target = value[-1]
    targets = []
    for t in reversed(range(len(reward))):
        target = reward[t] + discount[t] * ((1 - lam) * value[t + 1] + lam * target)
        targets.append(target)
    return torch.stack(targets[::-1])
