"""Implements the networks of TD-MPC: a convolutional encoder, and perceptrons for everything else."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from hdream_core.spec import side_of

KERNELS = (7, 5, 3, 3)


def orthogonal(module: nn.Module) -> None:
    """Sets orthogonal weights, those of convolutions larger by sqrt 2, and zero biases."""
    if isinstance(module, nn.Linear | nn.Conv2d):
        nn.init.orthogonal_(module.weight, math.sqrt(2) if isinstance(module, nn.Conv2d) else 1.0)
        nn.init.zeros_(module.bias)


class Encoder(nn.Module):
    """Encodes stacks of frames: convolutions of stride 2 with ReLU, then a linear layer.

    Of the authors' four convolutions, small frames have as many as fit: those of 32 pixels three.

    Args:
        image: height, width and channels of a frame.
        frames: frames of a stack.
        channels: of each convolution.
        latent: length of the latent state.
    """

    def __init__(self, image: tuple[int, int, int], frames: int, channels: int, latent: int):
        super().__init__()
        side, inputs = side_of(image), frames * image[2]
        self.convs = nn.ModuleList()
        for kernel in KERNELS:
            if side < kernel:
                break
            self.convs.append(nn.Conv2d(inputs, channels, kernel, stride=2))
            side, inputs = (side - kernel) // 2 + 1, channels
        self.linear = nn.Linear(channels * side**2, latent)
        self.apply(orthogonal)

    def forward(self, image: Float[Tensor, "N D H W"]) -> Float[Tensor, "N L"]:
        """Maps stacks ``(N, frames * C, H, W)`` in [0, 1] to latent states ``(N, latent)``, float32."""
        x = image
        for conv in self.convs:
            x = F.relu(conv(x))
        return self.linear(x.flatten(1)).float()


class Perceptron(nn.Module):
    """Applies two hidden layers with ELU, and a linear output layer in float32.

    Args:
        inputs, outputs, hidden: numbers of units.
        normalised: give the first layer a LayerNorm and tanh in place of ELU.
        zero: begin with outputs of zero.
    """

    def __init__(self, inputs: int, outputs: int, hidden: int, normalised: bool = False, zero: bool = False):
        super().__init__()
        sizes = (inputs, hidden), (hidden, hidden), (hidden, outputs)
        self.layers = nn.ModuleList(nn.Linear(*size) for size in sizes)
        self.norm = nn.LayerNorm(hidden) if normalised else None
        self.apply(orthogonal)
        if zero:
            nn.init.zeros_(self.layers[-1].weight)

    def forward(self, *inputs: Float[Tensor, "*n _"]) -> Float[Tensor, "*n outputs"]:
        """Maps inputs, which are put side by side, to ``(..., outputs)``."""
        first, second, last = self.layers
        x = first(torch.cat(inputs, -1))
        x = F.elu(x) if self.norm is None else torch.tanh(self.norm(x))
        x = F.elu(second(x))
        with torch.autocast(x.device.type, enabled=False):
            return last(x.float())
