"""Stacks successive frames, and shifts the stacks at random."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from hdream_core.tdmpc import noise

PIXELS_PER_SHIFT = 21  # a frame of 84 pixels is shifted by up to 4, one of 64 by up to 3


def stacks(image: UInt8[Tensor, "B T H W C"], is_first: Bool[Tensor, "B T"], count: int) -> UInt8[Tensor, "B T H W D"]:
    """Stacks each frame of windows with those before it in its episode.

    Args:
        image: uint8 ``(B, T, H, W, C)``.
        is_first: bool ``(B, T)``; where there is no earlier frame, the first is repeated.
        count: frames of a stack.

    Returns:
        uint8 ``(B, T, H, W, count * C)``, oldest first.
    """
    step = torch.arange(image.shape[1], device=image.device)
    first = torch.where(is_first, step, 0).cummax(1).values  # (B, T): where the episode of each row begins
    row = torch.arange(len(image), device=image.device)[:, None]
    return torch.cat([image[row, (step - back).maximum(first)] for back in reversed(range(count))], -1)


def shifted(image: UInt8[Tensor, "N H W D"]) -> UInt8[Tensor, "N H W D"]:
    """Shifts each picture by whole pixels that are drawn for it; what enters repeats the edge."""
    reach = image.shape[1] // PIXELS_PER_SHIFT
    return shift(image, noise.shifts(len(image), 2, reach=reach, device=image.device))


def shift(image: UInt8[Tensor, "N H W D"], offset: Int[Tensor, "N 2"]) -> UInt8[Tensor, "N H W D"]:
    """Moves the window onto each picture by ``offset``: pixels to the right and down, ``(N, 2)``."""
    rows, columns = (
        (torch.arange(side, device=image.device) + moved[:, None]).clamp(0, side - 1)
        for side, moved in zip(image.shape[1:3], offset.flip(1).T, strict=True)
    )
    return image[torch.arange(len(image), device=image.device)[:, None, None], rows[:, :, None], columns[:, None, :]]


def in_unit_range(image: UInt8[Tensor, "*n H W D"]) -> Float[Tensor, "*n D H W"]:
    """Maps uint8 pictures ``(..., H, W, D)`` to float32 ``(..., D, H, W)`` in [0, 1]."""
    return image.movedim(-1, -3).float().div(255)
