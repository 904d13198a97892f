"""The steps of ``scan`` and ``dream`` compiled for a GPU: what stands between two matrix products becomes one kernel.

Uncompiled, a step is some forty small kernels, and a GPU takes longer to start each of them than to run it.
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
def compiled(function: Function) -> Function:
    """A pure function of tensors, compiled for each set of shapes that it meets; it draws what it draws uncompiled."""
    return torch.compile(function, dynamic=False, options={"fallback_random": True})


def conv_transpose(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """``networks.conv_transpose`` in the form that a GPU runs fastest: its library's, but for the ends of a decoder.

    From one pixel it is a matrix product, and into three channels the library takes twice as long as ``pixels``.
    """
    ends = x.shape[2:] == (1, 1) or weight.shape[1] <= pixels.FEW_CHANNELS
    return (pixels if ends else networks).conv_transpose(x, weight, bias)


def half_squared_error(prediction: Tensor, target: Tensor, dims: int = 0) -> Tensor:
    """``distributions.half_squared_error`` in one pass over memory; the target gets no gradient."""
    return _HalfSquaredError.apply(prediction, target, dims)


class _HalfSquaredError(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, prediction: Tensor, target: Tensor, dims: int) -> Tensor:
        total, error = compiled(_squared_error)(prediction, target)
        ctx.save_for_backward(error)
        ctx.terms = prediction.shape[: prediction.ndim - dims].numel()
        return 0.5 * total / ctx.terms

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        (error,) = ctx.saved_tensors
        return compiled(_scaled)(error, grad / ctx.terms), None, None


def _scaled(error: Tensor, scale: Tensor) -> Tensor:
    """In float32, then rounded: a scale in bfloat16 would be off for all pixels alike."""
    return (error.float() * scale).to(error.dtype)


def _squared_error(prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """The sum of squared differences, and the differences in the prediction's dtype, which its gradient has as well."""
    difference = prediction.float() - target.float()
    return difference.square().sum(), difference.to(prediction.dtype)


class CompiledRSSM(FusedRSSM):
    """A ``FusedRSSM`` whose steps are compiled where they are differentiated.

    Evaluation has many shapes and little to do; compiling for each would take longer than it saves.
    """

    def wrap_step(self) -> Wrapper:
        return compiled if torch.is_grad_enabled() else super().wrap_step()
