"""Implements DreamerV3's networks: SiLU, LayerNorm before each activation, no bias where a norm follows.

Convolutions are normalised over channels alone. Maps are flattened in the order height, width, channels.
"""

from __future__ import annotations

import itertools
import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from hdream_core.spec import side_of
from hdream_core.support.errors import ConfigError

NORM_EPS = 1e-3  # of every LayerNorm
SMALLEST_MAPS = range(4, 8)  # sides of the encoder's last map; 4 at 64 x 64 pixels
TRUNCATED = 0.87962566103423978  # standard deviation of a unit normal that is truncated to [-2, 2]


def init_hidden(layer: nn.Module) -> None:
    """Sets a hidden layer's weights: normals truncated at two deviations, variance 1 / mean of fan-in and fan-out."""
    std = math.sqrt(1 / _mean_fan(layer.weight)) / TRUNCATED
    nn.init.trunc_normal_(layer.weight, std=std, a=-2 * std, b=2 * std)


def init_output(layer: nn.Module, scale: float = 1.0) -> None:
    """Sets an output layer's weights: uniform with variance ``scale`` / mean of fan-in and fan-out; no bias."""
    limit = math.sqrt(3 * scale / _mean_fan(layer.weight))
    nn.init.uniform_(layer.weight, -limit, limit)
    nn.init.zeros_(layer.bias)


def _mean_fan(weight: Tensor) -> float:
    """Returns the mean of fan-in and fan-out; both count the pixels of a kernel."""
    return (weight.shape[0] + weight.shape[1]) / 2 * math.prod(weight.shape[2:])


def hidden_layer(inputs: int, units: int) -> nn.Linear:
    """Makes a hidden layer, whose bias is that of the norm after it."""
    layer = nn.Linear(inputs, units, bias=False)
    init_hidden(layer)
    return layer


def output_layer(inputs: int, outputs: int, scale: float = 1.0) -> nn.Linear:
    """Makes an output layer."""
    layer = nn.Linear(inputs, outputs)
    init_output(layer, scale)
    return layer


def layer_norm(units: int) -> nn.LayerNorm:
    """Makes the norm before an activation."""
    return nn.LayerNorm(units, eps=NORM_EPS)


class MLP(nn.Module):
    """Applies ``layers`` hidden layers of ``units``, then a linear output layer in float32.

    Args:
        inputs, outputs: lengths of vectors.
        units, layers: of the hidden layers.
        scale: of the output layer's initial weights; 0 makes them zero.
    """

    def __init__(self, inputs: int, outputs: int, units: int, layers: int, scale: float = 1.0):
        super().__init__()
        sizes = [inputs] + [units] * layers
        self.hidden = nn.ModuleList(hidden_layer(a, b) for a, b in itertools.pairwise(sizes))
        self.norms = nn.ModuleList(layer_norm(units) for _ in range(layers))
        self.output = output_layer(sizes[-1], outputs, scale)

    def trunk(self, x: Float[Tensor, "*n inputs"]) -> Float[Tensor, "*n units"]:
        """Applies the hidden layers."""
        for layer, norm in zip(self.hidden, self.norms, strict=True):
            x = F.silu(norm(layer(x)))
        return x

    def forward(self, x: Float[Tensor, "*n inputs"]) -> Float[Tensor, "*n outputs"]:
        """Maps ``(..., inputs)`` to ``(..., outputs)``, float32."""
        x = self.trunk(x)
        with torch.autocast(x.device.type, enabled=False):
            return self.output(x.float())


def stages(size: int) -> int:
    """Returns how often the encoder halves frames of ``size`` pixels per side: 4 times at 64, to maps of 4 x 4.

    Raises:
        ConfigError: if halving does not lead to a map of 4 to 7 pixels per side.
    """
    count, side = 0, size
    while side > SMALLEST_MAPS[-1] and side % 2 == 0:
        count, side = count + 1, side // 2
    if side not in SMALLEST_MAPS:
        raise ConfigError(f"dreamerv3 halves frames to 4 to 7 pixels, and {size} do not halve so; take 32, 48, 64, 96")
    return count


class Encoder(nn.Module):
    """Encodes frames by convolutions of kernel 4 and stride 2, with channels ``depth * (1, 2, 4, 8)``.

    Attributes:
        embed_dim: length of the embedding, ``128 * depth`` at 64 x 64 pixels.
    """

    def __init__(self, image: tuple[int, int, int], depth: int):
        super().__init__()
        count = stages(side_of(image))
        channels = [image[2]] + [depth * 2**i for i in range(count)]
        self.convs = nn.ModuleList(
            nn.Conv2d(c_in, c_out, 4, 2, 1, bias=False) for c_in, c_out in itertools.pairwise(channels)
        )
        self.norms = nn.ModuleList(layer_norm(c_out) for c_out in channels[1:])
        self.map = channels[-1], image[0] // 2**count, image[1] // 2**count
        self.embed_dim = math.prod(self.map)
        for conv in self.convs:
            init_hidden(conv)

    def forward(self, image: Float[Tensor, "N C size size"]) -> Float[Tensor, "N E"]:
        """Maps frames ``(N, C, size, size)`` in [-0.5, 0.5] to ``(N, embed_dim)``."""
        x = image
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = _norm_channels(conv(x), norm)
        return x.movedim(1, -1).flatten(1)


class Decoder(nn.Module):
    """Decodes features to frames: a linear layer to the encoder's last map, then transposed convolutions of stride 2.

    Args:
        image: height, width and channels of a frame.
        depth: channels of the last hidden map.
        feat_dim: length of the features.
    """

    def __init__(self, image: tuple[int, int, int], depth: int, feat_dim: int):
        super().__init__()
        count = stages(side_of(image))
        channels = [depth * 2**i for i in reversed(range(count))] + [image[2]]
        self.map = channels[0], image[0] // 2**count, image[1] // 2**count
        self.linear = output_layer(feat_dim, math.prod(self.map))
        self.convs = nn.ModuleList(
            nn.ConvTranspose2d(c_in, c_out, 4, 2, 1, bias=c_out == image[2] and i == count - 1)
            for i, (c_in, c_out) in enumerate(itertools.pairwise(channels))
        )
        self.norms = nn.ModuleList(layer_norm(c_out) for c_out in channels[1:-1])
        for conv in self.convs[:-1]:
            init_hidden(conv)
        init_output(self.convs[-1])

    def forward(self, feat: Float[Tensor, "N F"]) -> Float[Tensor, "N C size size"]:
        """Maps features ``(N, F)`` to frames ``(N, C, size, size)``, in [-0.5, 0.5] where they are right."""
        channels, height, width = self.map
        x = self.linear(feat).unflatten(-1, (height, width, channels)).movedim(-1, 1)
        for conv, norm in zip(self.convs, self.norms, strict=False):
            x = _norm_channels(conv(x), norm)
        return self.convs[-1](x)


def _norm_channels(x: Float[Tensor, "N C h w"], norm: nn.LayerNorm) -> Float[Tensor, "N C h w"]:
    return F.silu(norm(x.movedim(1, -1)).movedim(-1, 1))
