"""DreamerV2's distributions: categorical latents, unit-variance pixels and rewards, bounded actions."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F


def sample_one_hot(logits: Float[Tensor, "*n stoch classes"]) -> Float[Tensor, "*n stoch classes"]:
    """Draws one-hot samples with straight-through gradients (DreamerV2: ``sample + probs - sg(probs)``).

    Args:
        logits: ``(..., stoch, classes)``, normalised or not.

    Returns:
        ``(..., stoch, classes)``: one-hot up to rounding; the gradient is that of the probabilities.
    """
    probs = torch.softmax(logits.float(), -1)
    return draw_one_hot(probs.detach()) + (probs - probs.detach())


def draw_one_hot(probs: Float[Tensor, "*n stoch classes"]) -> Float[Tensor, "*n stoch classes"]:
    """Draws one-hot samples of probabilities ``(..., stoch, classes)``, without a gradient."""
    # The inverse CDF needs one uniform number per variable, the Gumbel trick one per class.
    below = probs.cumsum(-1) < torch.rand(*probs.shape[:-1], 1, device=probs.device)
    index = below.sum(-1, keepdim=True).clamp_(max=probs.shape[-1] - 1)  # rounding may leave the last sum below 1
    return torch.zeros_like(probs).scatter_(-1, index, 1.0)


def categorical_kl(
    p_logits: Float[Tensor, "*n stoch classes"], q_logits: Float[Tensor, "*n stoch classes"]
) -> Float[Tensor, "*n"]:
    """Computes ``KL[p || q]`` of independent categoricals, in nats.

    Args:
        p_logits, q_logits: ``(..., stoch, classes)``.

    Returns:
        ``(...)``: summed over classes and over the ``stoch`` variables.
    """
    log_p, log_q = F.log_softmax(p_logits.float(), -1), F.log_softmax(q_logits.float(), -1)
    return (log_p.exp() * (log_p - log_q)).sum((-2, -1))


def half_squared_error(
    prediction: Float[Tensor, "*n"], target: Float[Tensor, "*n"], dims: int = 0
) -> Float[Tensor, ""]:
    """Computes ``1/2 (x - x_hat)^2``, SUMMED over the last ``dims`` dimensions, averaged over the others; float32.

    This is the negative log-likelihood of the unit-variance Gaussian without its constant. Sum and mean set the scales
    of the losses, the paper's subject: 12,288 pixel terms against one reward.
    """
    error = 0.5 * (prediction.float() - target.float()).square()
    if dims:
        error = error.flatten(-dims).sum(-1)
    return error.mean()


def normal_density(z: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """Computes the density of the standard normal at ``z``."""
    return torch.exp(-0.5 * z**2) / math.sqrt(2 * math.pi)


class TruncatedNormal:
    """Represents independent normals truncated to [-1, 1]: the policy over continuous actions.

    Args:
        loc, scale: ``(..., action_dim)``, float32; ``loc`` within [-1, 1].
    """

    EDGE = 1e-6  # samples keep this distance to the bounds, where the inverse CDF has infinite slope

    def __init__(self, loc: Float[Tensor, "*n action_dim"], scale: Float[Tensor, "*n action_dim"]):
        self.loc, self.scale = loc, scale
        self.alpha, self.beta = (-1 - loc) / scale, (1 - loc) / scale
        self.cdf_alpha = torch.special.ndtr(self.alpha)
        self.mass = torch.special.ndtr(self.beta) - self.cdf_alpha

    @property
    def mode(self) -> Float[Tensor, "*n action_dim"]:
        """Returns the location, ``(..., action_dim)``, which lies within the bounds."""
        return self.loc

    def rsample(self) -> Float[Tensor, "*n action_dim"]:
        """Draws a sample ``(..., action_dim)`` by the inverse CDF, differentiable in ``loc`` and ``scale``."""
        u = torch.rand_like(self.loc)
        quantile = (self.cdf_alpha + u * self.mass).clamp(self.EDGE, 1 - self.EDGE)
        return (self.loc + self.scale * torch.special.ndtri(quantile)).clamp(-1 + self.EDGE, 1 - self.EDGE)

    def entropy(self) -> Float[Tensor, "*n"]:
        """Computes the differential entropy ``(...)`` in nats, summed over the action dimensions."""
        density_alpha, density_beta = normal_density(self.alpha), normal_density(self.beta)
        log_volume = torch.log(math.sqrt(2 * math.pi * math.e) * self.scale * self.mass)
        slope = (self.alpha * density_alpha - self.beta * density_beta) / (2 * self.mass)
        return (log_volume + slope).sum(-1)
