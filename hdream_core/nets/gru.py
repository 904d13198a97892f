"""Implements the GRU of DreamerV2's recurrent state-space model, which DreamerPro has as well."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

NORM_EPS = 1e-3  # of the GRU's LayerNorm, as in the TensorFlow original


class GRUCell(nn.Module):
    """Updates the state by a GRU with one joint linear layer, LayerNorm and an update gate of bias -1 (keeps)."""

    def __init__(self, input_dim: int, deter_dim: int):
        super().__init__()
        self.linear = nn.Linear(input_dim + deter_dim, 3 * deter_dim)
        self.norm = nn.LayerNorm(3 * deter_dim, eps=NORM_EPS)

    def forward(self, x: Float[Tensor, "N inputs"], deter: Float[Tensor, "N D"]) -> Float[Tensor, "N D"]:
        """Maps the inputs ``(N, inputs)`` and the state ``(N, D)`` to the next state ``(N, D)``."""
        reset, candidate, update = self.norm(self.linear(torch.cat([x, deter], -1))).float().chunk(3, -1)
        candidate = torch.tanh(torch.sigmoid(reset) * candidate)
        update = torch.sigmoid(update - 1)
        return update * candidate + (1 - update) * deter
