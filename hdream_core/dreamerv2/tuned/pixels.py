"""The decoder's transposed convolutions and the squared error of its pixels, in the forms that a CPU runs fastest.

They are the largest part of a small model's update, and PyTorch runs them several times slower on a CPU than the
processor could. Same sums in another order: the tests hold them to the plain forms.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F
from torch.nn.grad import conv2d_input, conv2d_weight

from hdream_core.support.precision import product_dtype

FEW_CHANNELS = 16  # with so few outputs a product of vectors is hardly filled, and the sub-pixel form is faster
CHUNK = 32  # images of 64 x 64 whose errors, 1.5 MB, stay in a core's cache


def conv_transpose(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """``networks.conv_transpose``, channels last, in whichever of three equal forms is fastest for the shape."""
    dtype = product_dtype(x)
    return _ConvTranspose.apply(channels_last(x.to(dtype)), channels_last(weight.to(dtype)), bias.to(dtype))


def channels_last(x: Tensor) -> Tensor:
    """The layout that a CPU's convolutions read fastest; nothing is copied if ``x`` has it."""
    return x.contiguous(memory_format=torch.channels_last)


class _ConvTranspose(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        if x.shape[2:] == (1, 1):
            return _from_one_pixel(x, weight, bias)
        if weight.shape[1] <= FEW_CHANNELS:
            return _subpixel(x, weight, bias)
        # A transposed convolution is the input's gradient of the ordinary one.
        (n, _, h, w), (c_out, k) = x.shape, weight.shape[1:3]
        h, w = 2 * (h - 1) + k, 2 * (w - 1) + k
        rows = conv2d_input((n, c_out, h, w), weight, x, stride=2).permute(0, 2, 3, 1).reshape(n, -1)
        # A bias for every position, so that the sum runs along whole images; over pixels it takes 15 times as long.
        return rows.add_(bias.repeat(h * w)).view(n, h, w, c_out).permute(0, 3, 1, 2)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        needs_x, needs_weight, needs_bias = ctx.needs_input_grad
        grad = channels_last(grad)
        if x.shape[2:] == (1, 1):
            return _to_one_pixel(grad, x, weight)
        return (
            F.conv2d(grad, weight, stride=2) if needs_x else None,
            conv2d_weight(grad, weight.shape, x, stride=2) if needs_weight else None,
            grad.sum((0, 2, 3)) if needs_bias else None,
        )


def _from_one_pixel(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """From a 1x1 map it is a matrix product."""
    c_in, c_out, k, _ = weight.shape
    rows = weight.permute(0, 2, 3, 1).reshape(c_in, -1)  # (c_in, k * k * c_out)
    out = torch.addmm(bias.repeat(k * k), x.flatten(1), rows)
    return out.view(-1, k, k, c_out).permute(0, 3, 1, 2)


def _to_one_pixel(grad: Tensor, x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of ``_from_one_pixel``."""
    c_in, c_out, k, _ = weight.shape
    rows = weight.permute(0, 2, 3, 1).reshape(c_in, -1)
    flat = grad.permute(0, 2, 3, 1).reshape(len(grad), -1)  # (N, k * k * c_out)
    grad_weight = (x.flatten(1).T @ flat).view(c_in, k, k, c_out).permute(0, 3, 1, 2)
    return (flat @ rows.T)[:, :, None, None], grad_weight, grad.sum((0, 2, 3))


def _subpixel(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Each of the four phases of the output is an ordinary convolution of stride 1, so all four are one.

    Row ``2 j + p`` of the output sums ``x[j - m] * weight[2 m + p]`` over m: a convolution with the kernel's rows
    p, p + 2, p + 4 ... reversed; columns likewise. Odd kernels get a row and a column of zeros.
    """
    (n, _, h, w), (c_in, c_out, k, _) = x.shape, weight.shape
    taps = (k + 1) // 2
    padded = F.pad(weight, (0, 2 * taps - k, 0, 2 * taps - k)).reshape(c_in, c_out, taps, 2, taps, 2).flip(2, 4)
    phases = padded.permute(3, 5, 1, 0, 2, 4).reshape(4 * c_out, c_in, taps, taps)
    out = F.conv2d(x, channels_last(phases), bias.repeat(4), padding=taps - 1)
    h, w = h + taps - 1, w + taps - 1
    # (n, h, w, row phase, column phase and channel) to (n, h, row phase, w, column phase and channel)
    out = out.permute(0, 2, 3, 1).reshape(n, h, w, 2, 2 * c_out).transpose(2, 3).reshape(n, 2 * h, 2 * w, c_out)
    return out.permute(0, 3, 1, 2)[:, :, : 2 * h - 2 * taps + k, : 2 * w - 2 * taps + k]


def half_squared_error(prediction: Tensor, target: Tensor, dims: int = 0) -> Tensor:
    """``distributions.half_squared_error`` in one pass over memory; the target gets no gradient."""
    return _HalfSquaredError.apply(prediction, target, dims)


class _HalfSquaredError(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, prediction: Tensor, target: Tensor, dims: int) -> Tensor:
        error = torch.empty_like(prediction)  # in the prediction's dtype, which its gradient has as well
        total = prediction.new_zeros((), dtype=torch.float32)
        chunks = zip(*(x.split(CHUNK) for x in (prediction, target, error)), strict=True)
        for some, wanted, kept in chunks:
            difference = some.float() - wanted.float()
            kept.copy_(difference)
            # Row by row: one float32 sum over millions of pixels would lose digits.
            total += torch.linalg.vector_norm(difference, dim=tuple(range(1, difference.ndim))).square().sum()
        ctx.save_for_backward(error)
        ctx.terms = prediction.shape[: prediction.ndim - dims].numel()
        return 0.5 * total / ctx.terms

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        (error,) = ctx.saved_tensors
        return error * (grad / ctx.terms), None, None
