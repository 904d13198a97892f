"""Implements the residual encoder and decoder that the authors use on RLBench, where plain convolutions did not do.

Batch normalisation uses a batch's own statistics in updates of the world model, and running means of them wherever the
model acts, imagines or is studied. So a model is in evaluation mode except within ``learning``.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from hdream_core.nets.mlp import init_weights
from hdream_core.spec import side_of
from hdream_core.support.errors import ConfigError

NORM_EPS, MOMENTUM = 1e-5, 0.1  # of BatchNorm; the share of a batch in the running means
SMALLEST_MAPS = range(4, 8)  # sides of the encoder's last map; 4 at 64 x 64 pixels


def stages(size: int) -> int:
    """Returns how many residual stages lead from frames of ``size`` pixels per side to the last map: 3 at 64.

    The first convolution halves the frame, and so does each stage.

    Raises:
        ConfigError: if halving does not lead to a map of 4 to 7 pixels per side.
    """
    count, side = -1, size
    while side > SMALLEST_MAPS[-1] and side % 2 == 0:
        count, side = count + 1, side // 2
    if side not in SMALLEST_MAPS or count < 1:
        raise ConfigError(
            f"agent.model.encoder is resnet, which halves frames to 4 to 7 pixels, and {size} do not halve so; take "
            "32, 48, 64, 96"
        )
    return count


class BatchNorm(nn.Module):
    """Normalises channels over batch and pixels, then scales and shifts them.

    In training mode it uses the batch's mean and variance, and moves the running ones towards them by ``MOMENTUM``; in
    evaluation mode it uses the running ones.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("variance", torch.ones(channels))

    def forward(self, x: Float[Tensor, "N C h w"]) -> Float[Tensor, "N C h w"]:
        """Maps ``(N, C, h, w)`` to the same shape."""
        return F.batch_norm(x, self.mean, self.variance, self.weight, self.bias, self.training, MOMENTUM, NORM_EPS)


class Residual(nn.Module):
    """Adds two normalised 3 x 3 convolutions to their input, or to its projection if the number of channels changes."""

    def __init__(self, c_in: int, c_out: int):
        super().__init__()
        self.conv1 = nn.Conv2d(c_in, c_out, 3, padding=1, bias=False)
        self.norm1 = BatchNorm(c_out)
        self.conv2 = nn.Conv2d(c_out, c_out, 3, padding=1, bias=False)
        self.norm2 = BatchNorm(c_out)
        self.project = nn.Conv2d(c_in, c_out, 1, bias=False) if c_in != c_out else None
        self.project_norm = BatchNorm(c_out) if c_in != c_out else None

    def forward(self, x: Float[Tensor, "N c_in h w"]) -> Float[Tensor, "N c_out h w"]:
        """Maps ``(N, c_in, h, w)`` to ``(N, c_out, h, w)``."""
        shortcut = x if self.project is None else self.project_norm(self.project(x))
        return F.relu(shortcut + self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x))))))


class ResNetEncoder(nn.Module):
    """Encodes frames by a convolution of stride 2, then stages of two residual layers and a mean over 2 x 2 pixels.

    Channels are ``depth * (1, 2, 4)`` at 64 x 64 pixels.

    Attributes:
        embed_dim: length of the embedding, ``64 * depth`` at 64 x 64 pixels.
    """

    def __init__(self, image: tuple[int, int, int], depth: int):
        super().__init__()
        count = stages(side_of(image))
        channels = [depth, *(depth * 2**i for i in range(count))]
        self.first = nn.Conv2d(image[2], depth, 3, stride=2, padding=1)
        self.stages = nn.ModuleList(
            nn.Sequential(Residual(c_in, c_out), Residual(c_out, c_out)) for c_in, c_out in itertools.pairwise(channels)
        )
        self.embed_dim = channels[-1] * (image[0] // 2 ** (count + 1)) ** 2
        self.apply(init_weights)

    def forward(self, image: Float[Tensor, "N C size size"]) -> Float[Tensor, "N E"]:
        """Maps ``(N, C, size, size)`` in [-0.5, 0.5] to ``(N, embed_dim)``."""
        x = F.elu(self.first(image))
        for stage in self.stages:
            x = F.avg_pool2d(stage(x), 2)
        return x.flatten(1)


class ResNetDecoder(nn.Module):
    """Decodes features to the image's mean: a linear layer to the encoder's last map, then its stages backwards.

    A stage doubles the map's sides and has two residual layers, the second of which halves the channels. A transposed
    convolution of stride 2 ends it.
    """

    def __init__(self, image: tuple[int, int, int], depth: int, feat_dim: int):
        super().__init__()
        count = stages(side_of(image))
        side, top = image[0] // 2 ** (count + 1), depth * 2 ** (count - 1)
        self.map = top, side, side
        channels = [top // 2**i for i in range(count + 1)]
        self.linear = nn.Linear(feat_dim, top * side**2)
        self.stages = nn.ModuleList(
            nn.Sequential(Residual(c_in, c_in), Residual(c_in, c_out)) for c_in, c_out in itertools.pairwise(channels)
        )
        self.last = nn.ConvTranspose2d(channels[-1], image[2], 3, stride=2, padding=1, output_padding=1)
        self.apply(init_weights)

    def forward(self, feat: Float[Tensor, "N F"]) -> Float[Tensor, "N C size size"]:
        """Maps ``(N, F)`` to ``(N, C, size, size)``, without an activation at the end; pixels are in [-0.5, 0.5]."""
        x = self.linear(feat).unflatten(1, self.map)
        for stage in self.stages:
            x = stage(F.interpolate(x, scale_factor=2, mode="nearest"))
        return self.last(x)


@contextlib.contextmanager
def learning(model: nn.Module) -> Iterator[None]:
    """Puts a model into training mode, and back into evaluation mode afterwards."""
    model.train()
    try:
        yield
    finally:
        model.eval()


def statistics(model: nn.Module) -> list[Tensor]:
    """Returns copies of a model's running means and variances; none without BatchNorm."""
    return [buffer.clone() for buffer in model.buffers()]


@torch.no_grad()
def restore(model: nn.Module, before: list[Tensor], skipped: Float[Tensor, ""]) -> None:
    """Restores ``before``, of ``statistics``, if ``skipped`` is 1: a skipped update must change nothing."""
    for buffer, old in zip(model.buffers(), before, strict=True):
        buffer.copy_(torch.where(skipped > 0, old, buffer))
