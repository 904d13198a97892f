"""Chooses the kernels of decoders of frames."""

from __future__ import annotations


def decoder_kernels(size: int) -> list[int]:
    """Returns the kernels of stride-2 transposed convolutions that lead from a 1x1 map to exactly ``size`` pixels.

    For 64 pixels they are the authors' 5, 5, 6, 6. They are chosen from the image backwards: 6 for an even side and 5
    for an odd one, so that the map before has a whole number of pixels. The first kernel spans the remaining pixels.
    """
    kernels: list[int] = []
    while size > 6:
        kernels.append(6 - size % 2)
        size = (size - kernels[-1]) // 2 + 1
    return [size, *reversed(kernels)]
