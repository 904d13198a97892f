"""Encodes frames by the convolutions of DreamerV2, which DreamerPro and Denoised MDP have as well."""

from __future__ import annotations

import itertools
from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from hdream_core.nets.mlp import init_weights
from hdream_core.spec import side_of

KERNEL = 4


def encoder_sizes(size: int) -> list[int]:
    """Returns the sides of the encoder's maps, from ``size`` pixels down: 64, 31, 14, 6, 2 or 32, 15, 6, 2."""
    sizes = [size]
    while sizes[-1] >= KERNEL:
        sizes.append((sizes[-1] - KERNEL) // 2 + 1)
    return sizes


class Encoder(nn.Module):
    """Encodes images: stride-2 convolutions of kernel 4, channels ``depth * (1, 2, 4, 8)``, no normalisation.

    Args:
        image: height, width and channels of a frame.
        depth: channels of the first convolution.
        activation: after each convolution.

    Attributes:
        embed_dim: length of the embedding, ``32 * depth`` at 64 x 64 pixels.
    """

    def __init__(self, image: tuple[int, int, int], depth: int, activation: Callable[[Tensor], Tensor] = F.elu):
        super().__init__()
        self.activation = activation
        sizes = encoder_sizes(side_of(image))
        channels = [image[2]] + [depth * 2**i for i in range(len(sizes) - 1)]
        self.convs = nn.ModuleList(
            nn.Conv2d(c_in, c_out, KERNEL, stride=2) for c_in, c_out in itertools.pairwise(channels)
        )
        self.embed_dim = channels[-1] * sizes[-1] ** 2
        self.apply(init_weights)

    def forward(self, image: Float[Tensor, "N C size size"]) -> Float[Tensor, "N E"]:
        """Maps ``(N, C, size, size)`` in [-0.5, 0.5] to ``(N, embed_dim)``."""
        x = image
        for conv in self.convs:
            x = self.activation(conv(x))
        return x.flatten(1)
