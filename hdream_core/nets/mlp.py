"""Implements multi-layer perceptrons with ELU, and the initial weights of DreamerV2's layers."""

from __future__ import annotations

import itertools

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


def init_weights(module: nn.Module) -> None:
    """Sets Xavier-uniform weights and zero biases, as the original TensorFlow code does."""
    if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def pytorch_weights(module: nn.Module) -> None:
    """Draws a layer's weights as PyTorch does, for agents whose authors leave that to it."""
    if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
        module.reset_parameters()


class MLP(nn.Module):
    """Applies ``layers`` hidden layers of ``hidden`` units with ELU, then a linear output layer in float32.

    The output layer stays in float32 under autocast: bfloat16 has three digits, too few for a reward near 10, whose
    squared error is studied here.
    """

    def __init__(self, inputs: int, outputs: int, hidden: int = 400, layers: int = 4):
        super().__init__()
        sizes = [inputs] + [hidden] * layers
        self.hidden = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(sizes))
        self.output = nn.Linear(sizes[-1], outputs)
        self.apply(init_weights)

    def forward(self, x: Float[Tensor, "*n inputs"]) -> Float[Tensor, "*n outputs"]:
        """Maps ``(..., inputs)`` to ``(..., outputs)``, float32."""
        for layer in self.hidden:
            x = F.elu(layer(x))
        with torch.autocast(x.device.type, enabled=False):
            return self.output(x.float())
