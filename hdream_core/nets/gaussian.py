"""Provides Gaussian latents, and normals squashed by tanh as a policy, which several agents have."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F


def sample_gaussian(stats: Float[Tensor, "*n 2 stoch"]) -> Float[Tensor, "*n stoch"]:
    """Draws latents ``(..., Z)`` from means and standard deviations ``(..., 2, Z)``; gradients flow to both."""
    mean, std = stats.unbind(-2)
    return mean + std * torch.randn_like(mean)


def gaussian_kl(p: Float[Tensor, "*n 2 stoch"], q: Float[Tensor, "*n 2 stoch"]) -> Float[Tensor, "*n"]:
    """Computes ``KL[p || q]`` of independent normals, in nats, summed over Z latents: ``(..., 2, Z)`` to ``(...)``."""
    (p_mean, p_std), (q_mean, q_std) = p.unbind(-2), q.unbind(-2)
    share = (p_std / q_std).square()
    return 0.5 * (share - 1 - share.log() + ((p_mean - q_mean) / q_std).square()).sum(-1)


class TanhNormal:
    """Represents independent normals squashed into (-1, 1) by tanh: the policy over continuous actions.

    Args:
        mean, std: ``(..., A)``, float32, before the tanh.
    """

    def __init__(self, mean: Float[Tensor, "*n actions"], std: Float[Tensor, "*n actions"]):
        self.mean, self.std = mean, std

    def rsample(self) -> Float[Tensor, "*n actions"]:
        """Draws actions ``(..., A)``, differentiable in means and standard deviations."""
        return torch.tanh(self._draw(1)[0])

    def mode(self, samples: int) -> Float[Tensor, "*n actions"]:
        """Returns the most probable of several samples, ``(..., A)``: the density's mode has no closed form."""
        drawn = self._draw(samples)  # (samples, ..., A)
        best = self.log_prob(drawn).argmax(0)  # (...)
        return torch.tanh(drawn.take_along_dim(best[None, ..., None], 0)[0])

    def entropy(self, samples: int) -> Float[Tensor, "*n"]:
        """Estimates the differential entropy ``(...)`` in nats from samples, differentiably."""
        return -self.log_prob(self._draw(samples)).mean(0)

    def log_prob(self, before: Float[Tensor, "*m actions"]) -> Float[Tensor, "*m_less"]:
        """Computes log-densities of actions, summed over the action's numbers: ``(..., A)`` to ``(...)``.

        Args:
            before: the actions before the tanh.
        """
        normal = -0.5 * ((before - self.mean) / self.std).square() - self.std.log() - 0.5 * math.log(2 * math.pi)
        slope = 2 * (math.log(2) - before - F.softplus(-2 * before))  # log of 1 - tanh^2
        return (normal - slope).sum(-1)

    def _draw(self, samples: int) -> Float[Tensor, "samples *n actions"]:
        noise = torch.randn(samples, *self.mean.shape, device=self.mean.device)
        return self.mean + self.std * noise
