"""Compiles the steps of ``scan`` and ``imagination`` for a GPU: one kernel between each two matrix products.

Uncompiled, a step is some forty small kernels, and a GPU takes longer to start each than to run it.
"""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from hdream_core.dreamerv2 import networks
from hdream_core.dreamerv2.tuned import pixels
from hdream_core.dreamerv2.tuned.scan import Function, FusedRSSM, Wrapper


@functools.cache
def compile_step(function: Function) -> Function:
    """Compiles a pure function of tensors, once per set of shapes; it draws the same random numbers as uncompiled."""
    return torch.compile(function, dynamic=False, options={"fallback_random": True})


def conv_transpose(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Computes ``networks.conv_transpose`` by the fastest method on a GPU: PyTorch's, except at a decoder's ends.

    From one pixel it is a matrix product. To three channels, PyTorch takes twice as long as ``pixels``.
    """
    at_end = x.shape[2:] == (1, 1) or weight.shape[1] <= pixels.FEW_CHANNELS
    return (pixels if at_end else networks).conv_transpose(x, weight, bias)


def half_squared_error(prediction: Tensor, target: Tensor, dims: int = 0) -> Tensor:
    """Computes ``distributions.half_squared_error`` in one pass over memory; the target gets no gradient."""
    return _HalfSquaredError.apply(prediction, target, dims)


class _HalfSquaredError(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, prediction: Tensor, target: Tensor, dims: int) -> Tensor:
        total, error = compile_step(_squared_error)(prediction, target)
        ctx.save_for_backward(error)
        ctx.count = prediction.shape[: prediction.ndim - dims].numel()  # number of terms that are averaged
        return 0.5 * total / ctx.count

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        (error,) = ctx.saved_tensors
        return compile_step(_scale)(error, grad / ctx.count), None, None


def _scale(error: Tensor, scale: Tensor) -> Tensor:
    """Multiplies in float32, then rounds: rounding the scale to bfloat16 would bias all pixels alike."""
    return (error.float() * scale).to(error.dtype)


def _squared_error(prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the sum of squared differences, and the differences in the dtype of the prediction and its gradient."""
    difference = prediction.float() - target.float()
    return difference.square().sum(), difference.to(prediction.dtype)


class CompiledRSSM(FusedRSSM):
    """Compiles the steps of a ``FusedRSSM`` where gradients are needed.

    Evaluation has many shapes with little work each, so compiling would take longer than it saves.
    """

    def wrap_step(self) -> Wrapper:
        return compile_step if torch.is_grad_enabled() else super().wrap_step()
