"""Implements TD-MPC's policy, which bootstraps values and proposes plans."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from hdream_core.tdmpc import noise
from hdream_core.tdmpc.config import TDMPCConfig
from hdream_core.tdmpc.networks import Perceptron

EDGE = 1e-6  # actions keep this distance to the bounds


class Policy(Perceptron):
    """Chooses actions from latent states: a mean between -1 and 1, with some bounded noise.

    Args:
        config: settings of the agent.
        action_dim: length of an action's vector.
    """

    def __init__(self, config: TDMPCConfig, action_dim: int):
        super().__init__(config.model.latent, action_dim, config.model.hidden)
        self.config = config.policy

    def sample(self, z: Float[Tensor, "*n L"]) -> Float[Tensor, "*n A"]:
        """Samples actions ``(..., A)`` in (-1, 1). The bounds let the gradient of the mean through."""
        mean = torch.tanh(self(z))
        drawn = noise.normal(*mean.shape, device=mean.device) * self.config.std
        action = mean + drawn.clamp(-self.config.noise_clip, self.config.noise_clip)
        return action + (action.detach().clamp(EDGE - 1, 1 - EDGE) - action.detach())
