"""Encoder and decoder of DreamerV2 (sizes: REFERENCE of the authors' code and Table 1)."""

from __future__ import annotations

from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from hdream_core.nets.mlp import init_weights

# Per image size: kernels of the stride-2 convolutions down, and of the transposed ones up from a 1x1 map.
ENCODER_KERNELS = {64: (4, 4, 4, 4), 32: (4, 4, 4)}  # 64 -> 31 -> 14 -> 6 -> 2;  32 -> 15 -> 6 -> 2
DECODER_KERNELS = {64: (5, 5, 6, 6), 32: (5, 6, 6)}  # 1 -> 5 -> 13 -> 30 -> 64;  1 -> 5 -> 14 -> 32


def check_image_size(size: int) -> int:
    """Returns ``size``; raises ValueError, naming the sizes there are, if no network is laid out for it."""
    if size not in ENCODER_KERNELS:
        raise ValueError(f"image size {size} is not supported; the networks are laid out for {sorted(ENCODER_KERNELS)}")
    return size


class Encoder(nn.Module):
    """Images to features: stride-2 convolutions of kernel 4, channels ``depth * (1, 2, 4, 8)``, ELU, no norm.

    Attributes:
        features: the length of the output, ``32 * depth`` at 64 x 64 pixels.
    """

    def __init__(self, image_size: int, depth: int):
        super().__init__()
        kernels = ENCODER_KERNELS[check_image_size(image_size)]
        channels = [3] + [depth * 2**i for i in range(len(kernels))]
        self.convs = nn.ModuleList(
            nn.Conv2d(c_in, c_out, kernel, stride=2)
            for c_in, c_out, kernel in zip(channels[:-1], channels[1:], kernels, strict=True)
        )
        self.features = channels[-1] * 2 * 2
        self.apply(init_weights)

    def forward(self, image: Float[Tensor, "N 3 size size"]) -> Float[Tensor, "N features"]:
        """``(N, 3, size, size)`` in [-0.5, 0.5] to ``(N, features)``."""
        x = image
        for conv in self.convs:
            x = F.elu(conv(x))
        return x.flatten(1)


ConvTranspose = Callable[[Tensor, Tensor, Tensor], Tensor]


def conv_transpose(
    x: Float[Tensor, "N c_in h w"], weight: Float[Tensor, "c_in c_out k k"], bias: Float[Tensor, " c_out"]
) -> Float[Tensor, "N c_out h_out w_out"]:
    """Transposed convolution of stride 2 without padding: ``h_out = 2 (h - 1) + k``."""
    return F.conv_transpose2d(x, weight, bias, stride=2)


class Decoder(nn.Module):
    """Features to the mean of the image: a linear layer to a 1x1 map, then stride-2 transposed convolutions."""

    def __init__(self, image_size: int, depth: int, feat: int, conv_transpose: ConvTranspose = conv_transpose):
        super().__init__()
        self.conv_transpose = conv_transpose
        sizes = DECODER_KERNELS[check_image_size(image_size)]
        inner = [depth * 2**i for i in reversed(range(len(sizes) - 1))]  # 4d, 2d, d at 64 x 64
        start = 4 * depth * 2 ** (len(sizes) - 1)  # as many as the encoder's features
        channels = [start, *inner, 3]
        self.linear = nn.Linear(feat, start)
        self.convs = nn.ModuleList(
            nn.ConvTranspose2d(c_in, c_out, size, stride=2)
            for c_in, c_out, size in zip(channels[:-1], channels[1:], sizes, strict=True)
        )
        self.apply(init_weights)

    def forward(self, feat: Float[Tensor, "N feat"]) -> Float[Tensor, "N 3 size size"]:
        """``(N, feat)`` to ``(N, 3, size, size)``; no activation at the end, pixels are in [-0.5, 0.5]."""
        x = self.linear(feat)[:, :, None, None]  # (N, start, 1, 1): neither this map nor the image has an activation
        for i, conv in enumerate(self.convs):
            x = self.conv_transpose(F.elu(x) if i else x, conv.weight, conv.bias)
        return x
