"""DreamerV3's distributions: rewards and values in symlog bins, categoricals with a share of uniform, the policies."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from hdream_core.nets.distributions import draw_one_hot

BINS, LARGEST = 255, 20.0  # bins of rewards and values; the outermost ones, in symlog space


def symlog(x: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """Computes ``sign(x) ln(1 + |x|)``."""
    return torch.sign(x) * torch.log1p(x.abs())


def symexp(x: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """Computes ``sign(x) (exp(|x|) - 1)``, the inverse of ``symlog``."""
    return torch.sign(x) * torch.expm1(x.abs())


class TwoHot:
    """Represents scalars by categoricals over 255 bins, evenly spaced from -20 to 20 in symlog space.

    Args:
        logits: ``(..., 255)``.
    """

    def __init__(self, logits: Float[Tensor, "*n bins"]):
        self.log_probs = F.log_softmax(logits.float(), -1)
        self.bins = torch.linspace(-LARGEST, LARGEST, BINS, device=logits.device)

    @property
    def mean(self) -> Float[Tensor, "*n"]:
        """Returns ``symexp`` of the expected bin: the expectation is taken in symlog space."""
        return symexp((self.log_probs.exp() * self.bins).sum(-1))

    def nll(self, target: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
        """Computes the cross-entropy to targets ``(...)``, whose probability lies on the two nearest bins.

        Targets beyond the outermost bins lie on these.
        """
        place = (symlog(target.float()).clamp(-LARGEST, LARGEST) + LARGEST) * ((BINS - 1) / (2 * LARGEST))
        below = place.floor().clamp(max=BINS - 2)
        above_share = (place - below)[..., None]
        index = below.long()[..., None]
        log_below, log_above = self.log_probs.gather(-1, index), self.log_probs.gather(-1, index + 1)
        return -((1 - above_share) * log_below + above_share * log_above).squeeze(-1)


def unimix(logits: Float[Tensor, "*n classes"], share: float) -> Float[Tensor, "*n classes"]:
    """Mixes a share of the uniform distribution into categoricals; returns the logarithms of the probabilities."""
    probs = torch.softmax(logits.float(), -1)
    return torch.log((1 - share) * probs + share / logits.shape[-1])


class OneHotPolicy:
    """Represents a policy over discrete actions, as one-hot vectors.

    Args:
        log_probs: ``(..., actions)``, normalised.
    """

    def __init__(self, log_probs: Float[Tensor, "*n actions"]):
        self.log_probs = log_probs

    @property
    def mode(self) -> Float[Tensor, "*n actions"]:
        """Returns the most probable action."""
        return F.one_hot(self.log_probs.argmax(-1), self.log_probs.shape[-1]).to(self.log_probs.dtype)

    def sample(self) -> Float[Tensor, "*n actions"]:
        """Draws an action, without a gradient."""
        return draw_one_hot(self.log_probs.detach().exp())

    def log_prob(self, action: Float[Tensor, "*n actions"]) -> Float[Tensor, "*n"]:
        """Returns the logarithm of an action's probability."""
        return (self.log_probs * action).sum(-1)

    def entropy(self) -> Float[Tensor, "*n"]:
        """Computes the entropy in nats."""
        return -(self.log_probs.exp() * self.log_probs).sum(-1)


class NormalPolicy:
    """Represents a policy over continuous actions: independent normals that are not truncated.

    Args:
        mean, std: ``(..., actions)``.
    """

    def __init__(self, mean: Float[Tensor, "*n actions"], std: Float[Tensor, "*n actions"]):
        self.mean, self.std = mean, std

    @property
    def mode(self) -> Float[Tensor, "*n actions"]:
        """Returns the mean."""
        return self.mean

    def sample(self) -> Float[Tensor, "*n actions"]:
        """Draws an action, differentiable in mean and standard deviation."""
        return self.mean + self.std * torch.randn_like(self.mean)

    def log_prob(self, action: Float[Tensor, "*n actions"]) -> Float[Tensor, "*n"]:
        """Returns the logarithm of an action's density, summed over its dimensions."""
        z = (action - self.mean) / self.std
        return (-0.5 * z.square() - self.std.log() - 0.5 * math.log(2 * math.pi)).sum(-1)

    def entropy(self) -> Float[Tensor, "*n"]:
        """Computes the differential entropy in nats, summed over the dimensions."""
        return (self.std.log() + 0.5 * math.log(2 * math.pi * math.e)).sum(-1)
