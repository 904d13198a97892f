"""Implements the decoder of DreamerV2, in the sizes of the authors' code and Table 1."""

from __future__ import annotations

from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from hdream_core.nets.decoder import decoder_kernels
from hdream_core.nets.mlp import init_weights
from hdream_core.spec import side_of

ConvTranspose = Callable[[Tensor, Tensor, Tensor], Tensor]


def conv_transpose(
    x: Float[Tensor, "N c_in h w"], weight: Float[Tensor, "c_in c_out k k"], bias: Float[Tensor, " c_out"]
) -> Float[Tensor, "N c_out h_out w_out"]:
    """Applies a transposed convolution of stride 2 without padding: ``h_out = 2 (h - 1) + k``."""
    return F.conv_transpose2d(x, weight, bias, stride=2)


class Decoder(nn.Module):
    """Decodes features to the image's mean: a linear layer to a 1x1 map, then stride-2 transposed convolutions."""

    def __init__(
        self,
        image: tuple[int, int, int],
        depth: int,
        feat_dim: int,
        conv_transpose: ConvTranspose = conv_transpose,
    ):
        super().__init__()
        self.conv_transpose = conv_transpose
        kernels = decoder_kernels(side_of(image))
        hidden = [depth * 2**i for i in reversed(range(len(kernels) - 1))]  # 4d, 2d, d at 64 x 64
        linear_dim = 4 * depth * 2 ** (len(kernels) - 1)  # the encoder's embed_dim at 64 and 32 pixels
        channels = [linear_dim, *hidden, image[2]]
        self.linear = nn.Linear(feat_dim, linear_dim)
        self.convs = nn.ModuleList(
            nn.ConvTranspose2d(c_in, c_out, kernel, stride=2)
            for c_in, c_out, kernel in zip(channels[:-1], channels[1:], kernels, strict=True)
        )
        self.apply(init_weights)

    def forward(self, feat: Float[Tensor, "N F"]) -> Float[Tensor, "N C size size"]:
        """Maps ``(N, F)`` to ``(N, C, size, size)``, without an activation at the end; pixels are in [-0.5, 0.5]."""
        x = self.linear(feat)[:, :, None, None]  # (N, linear_dim, 1, 1), without an activation
        for i, conv in enumerate(self.convs):
            x = self.conv_transpose(F.elu(x) if i else x, conv.weight, conv.bias)
        return x
