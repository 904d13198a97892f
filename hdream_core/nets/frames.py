"""Provides what every world model that reads frames does with them."""

from __future__ import annotations

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn


class FrameModel(nn.Module):
    """Encodes frames by its ``encoder``, and decodes features by its ``decoder``, which is None without one."""

    encoder: nn.Module
    decoder: nn.Module | None

    @staticmethod
    def preprocess(image: UInt8[Tensor, "*n H W C"]) -> Float[Tensor, "*n C H W"]:
        """Maps uint8 frames ``(..., H, W, C)`` to float32 ``(..., C, H, W)`` in [-0.5, 0.5]."""
        return image.movedim(-1, -3).to(torch.float32, copy=True).div_(255).sub_(0.5)

    def encode(self, image: UInt8[Tensor, "B T H W C"]) -> Float[Tensor, "B T E"]:
        """Maps uint8 frames ``(B, T, H, W, C)`` to embeddings ``(B, T, E)``."""
        return self.encoder(self.preprocess(image).flatten(0, 1)).unflatten(0, image.shape[:2])

    def decode(self, feat: Float[Tensor, "*n F"]) -> Float[Tensor, "*n H W C"]:
        """Decodes features ``(..., F)`` to frames ``(..., H, W, C)`` in [0, 1]; raises ValueError without a decoder."""
        if self.decoder is None:
            raise ValueError("this world model was trained with w_o = 0 and has no decoder")
        image = self.decoder(feat.flatten(0, -2)).unflatten(0, feat.shape[:-1])
        return (image.float() + 0.5).clamp(0, 1).movedim(-3, -1)
