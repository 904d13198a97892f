"""Speeds up the decoder's transposed convolutions and the squared error of its pixels on a CPU.

They are the largest part of a small model's update, and PyTorch runs them several times slower than a CPU could.
The sums are the same, in another order. Tests compare them with the plain implementations.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F
from torch.nn.grad import conv2d_input, conv2d_weight

from hdream_core.support.precision import product_dtype

FEW_CHANNELS = 16  # so few output channels use vector instructions badly, so sub-pixel convolution is faster
CHUNK = 32  # images at once: the errors of 32 images of 64 x 64, 1.5 MB, stay in a core's cache


def conv_transpose(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Computes ``networks.conv_transpose``, channels last, by the fastest of three equivalent methods for the shape."""
    dtype = product_dtype(x)
    return _ConvTranspose.apply(channels_last(x.to(dtype)), channels_last(weight.to(dtype)), bias.to(dtype))


def channels_last(x: Tensor) -> Tensor:
    """Returns ``x`` in the memory layout that CPU convolutions read fastest; copies only if the layout differs."""
    return x.contiguous(memory_format=torch.channels_last)


class _ConvTranspose(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        if x.shape[2:] == (1, 1):
            return _from_one_pixel(x, weight, bias)
        if weight.shape[1] <= FEW_CHANNELS:
            return _subpixel(x, weight, bias)
        # A transposed convolution is the gradient of an ordinary one with respect to its input.
        (n, _, h, w), (c_out, k) = x.shape, weight.shape[1:3]
        h, w = 2 * (h - 1) + k, 2 * (w - 1) + k
        rows = conv2d_input((n, c_out, h, w), weight, x, stride=2).permute(0, 2, 3, 1).reshape(n, -1)
        # The bias is repeated and added along whole images: adding it pixel by pixel takes 15 times as long.
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
    """Computes the transposed convolution of a 1x1 map, which is a matrix product."""
    c_in, c_out, k, _ = weight.shape
    rows = weight.permute(0, 2, 3, 1).reshape(c_in, -1)  # (c_in, k * k * c_out)
    out = torch.addmm(bias.repeat(k * k), x.flatten(1), rows)
    return out.view(-1, k, k, c_out).permute(0, 3, 1, 2)


def _to_one_pixel(grad: Tensor, x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Computes the gradients of ``_from_one_pixel``."""
    c_in, c_out, k, _ = weight.shape
    rows = weight.permute(0, 2, 3, 1).reshape(c_in, -1)  # (c_in, k * k * c_out)
    flat = grad.permute(0, 2, 3, 1).reshape(len(grad), -1)  # (N, k * k * c_out)
    grad_weight = (x.flatten(1).T @ flat).view(c_in, k, k, c_out).permute(0, 3, 1, 2)
    return (flat @ rows.T)[:, :, None, None], grad_weight, grad.sum((0, 2, 3))


def _subpixel(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Computes the transposed convolution as one sub-pixel convolution of stride 1.

    The output has four phases, each a convolution of stride 1. One with four times the channels computes them all.
    Row ``2 j + p`` of the output sums ``x[j - m] * weight[2 m + p]`` over m. That is a convolution with the kernel's
    rows p, p + 2, p + 4 ... reversed; columns likewise. Odd kernels get a row and a column of zeros.
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
    """Computes ``distributions.half_squared_error`` in one pass over memory; the target gets no gradient."""
    return _HalfSquaredError.apply(prediction, target, dims)


class _HalfSquaredError(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, prediction: Tensor, target: Tensor, dims: int) -> Tensor:
        error = torch.empty_like(prediction)  # in the dtype of the prediction and its gradient
        total = prediction.new_zeros((), dtype=torch.float32)
        chunks = zip(*(x.split(CHUNK) for x in (prediction, target, error)), strict=True)
        for prediction_chunk, target_chunk, error_chunk in chunks:
            difference = prediction_chunk.float() - target_chunk.float()
            error_chunk.copy_(difference)
            # One sum per image: a single float32 sum over millions of pixels would lose digits.
            total += torch.linalg.vector_norm(difference, dim=tuple(range(1, difference.ndim))).square().sum()
        ctx.save_for_backward(error)
        ctx.count = prediction.shape[: prediction.ndim - dims].numel()  # number of terms that are averaged
        return 0.5 * total / ctx.count

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        (error,) = ctx.saved_tensors
        return error * (grad / ctx.count), None, None
