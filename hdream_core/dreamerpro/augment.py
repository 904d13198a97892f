"""Shifts frames at random, by the same number of pixels through each window."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F


def random_shifts(image: Float[Tensor, "B T C H W"], reach: float) -> Float[Tensor, "B T C H W"]:
    """Moves each window by its own shift, drawn evenly from [-reach, reach] pixels in both directions."""
    return shift(image, reach * (2 * torch.rand(len(image), 2, device=image.device) - 1))


def shift(image: Float[Tensor, "B T C H W"], delta: Float[Tensor, "B 2"]) -> Float[Tensor, "B T C H W"]:
    """Moves the content of windows by ``delta``, interpolating linearly; what enters repeats the edge.

    Args:
        image: ``(B, T, C, H, W)``.
        delta: ``(B, 2)``, pixels to the right and down, the same for all T frames of a window.
    """
    height, width = image.shape[-2:]
    x, y = (torch.arange(size, device=image.device) for size in (width, height))
    # Where each pixel comes from, as grid_sample has it: -1 and 1 are the centres of the first and the last pixel.
    from_x = (2 * (x - delta[:, :1]) / (width - 1) - 1)[:, None, :].expand(-1, height, -1)  # (B, H, W)
    from_y = (2 * (y - delta[:, 1:]) / (height - 1) - 1)[:, :, None].expand(-1, -1, width)
    grid = torch.stack([from_x, from_y], -1)
    moved = F.grid_sample(image.flatten(1, 2), grid, "bilinear", "border", align_corners=True)
    return moved.unflatten(1, image.shape[1:3])
