"""Implements Denoised MDP's networks: encoder, decoder, and what turns outputs into latents and the policy."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from hdream_core.nets import encoder
from hdream_core.nets.decoder import decoder_kernels
from hdream_core.nets.gaussian import TanhNormal
from hdream_core.spec import side_of

MIN_LATENT_STD = 0.1
LARGEST_MEAN, START_STD, MIN_ACTION_STD = 5.0, 5.0, 1e-4  # of actions before the tanh


class Encoder(nn.Module):
    """Encodes frames: convolutions of stride 2 with ReLU, then a linear layer to ``embed_dim`` numbers."""

    def __init__(self, image: tuple[int, int, int], depth: int, embed_dim: int):
        super().__init__()
        self.convs = encoder.Encoder(image, depth, F.relu)
        self.linear = nn.Linear(self.convs.embed_dim, embed_dim)
        self.embed_dim = embed_dim

    def forward(self, image: Float[Tensor, "N C size size"]) -> Float[Tensor, "N E"]:
        """Maps ``(N, C, size, size)`` in [-0.5, 0.5] to ``(N, embed_dim)``."""
        return self.linear(self.convs(image))


class Decoder(nn.Module):
    """Decodes features to the image's mean: a linear layer to a 1x1 map, then stride-2 transposed convolutions."""

    def __init__(self, image: tuple[int, int, int], depth: int, embed_dim: int, feat_dim: int):
        super().__init__()
        kernels = decoder_kernels(side_of(image))
        hidden = [depth * 2**i for i in reversed(range(len(kernels) - 1))]  # 4d, 2d, d at 64 x 64
        channels = [embed_dim, *hidden, image[2]]
        self.linear = nn.Linear(feat_dim, embed_dim)
        self.convs = nn.ModuleList(
            nn.ConvTranspose2d(c_in, c_out, kernel, stride=2)
            for c_in, c_out, kernel in zip(channels[:-1], channels[1:], kernels, strict=True)
        )

    def forward(self, feat: Float[Tensor, "N F"]) -> Float[Tensor, "N C size size"]:
        """Maps ``(N, F)`` to ``(N, C, size, size)``, without an activation at the end; pixels are in [-0.5, 0.5]."""
        x = self.linear(feat)[:, :, None, None]  # (N, embed_dim, 1, 1)
        for conv in self.convs:
            x = conv(F.relu(x))
        return x


def gaussian_stats(raw: Float[Tensor, "*n twice"]) -> Float[Tensor, "*n 2 stoch"]:
    """Turns a layer's output ``(..., 2 Z)`` into means and standard deviations of latents, ``(..., 2, Z)``, float32."""
    mean, std = raw.float().chunk(2, -1)
    return torch.stack([mean, F.softplus(std) + MIN_LATENT_STD], -2)


def tanh_normal(raw: Float[Tensor, "*n twice"]) -> TanhNormal:
    """Turns the actor's output ``(..., 2 A)`` into the policy; outputs of 0 mean a standard deviation of 5."""
    mean, std = raw.float().chunk(2, -1)
    std = F.softplus(std + math.log(math.exp(START_STD) - 1)) + MIN_ACTION_STD
    return TanhNormal(LARGEST_MEAN * torch.tanh(mean / LARGEST_MEAN), std)
