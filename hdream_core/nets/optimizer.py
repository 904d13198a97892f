"""Implements Adam with gradient clipping that skips updates that are not finite."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

EPS, WEIGHT_DECAY = 1e-5, 1e-6  # of DreamerV2


class Optimizer:
    """Updates the given parameters, and no others, by Adam with clipped gradients.

    An update whose loss or gradient is not finite is skipped entirely, moments included, and reported. With ``fused``
    the device decides that, so that the CPU does not wait.

    Args:
        groups: parameters, or groups of them with their own settings.
        clip: largest norm of all gradients together.
        fused: run Adam as one kernel; without it, the CPU decides what is skipped.
        lr: learning rate of groups that do not set one.
        eps: added to the root of the second moment, after the correction of its bias.
        weight_decay: of groups that do not set one; added to the gradient.

    Attributes:
        adam: PyTorch's optimiser.
    """

    def __init__(
        self,
        groups: Iterable[Any],
        clip: float,
        fused: bool,
        lr: float = 1e-3,
        eps: float = EPS,
        weight_decay: float = WEIGHT_DECAY,
    ):
        self.adam = torch.optim.Adam(groups, lr=lr, eps=eps, weight_decay=weight_decay, fused=fused)
        self.parameters: list[nn.Parameter] = [p for group in self.adam.param_groups for p in group["params"]]
        self.clip, self.fused = clip, fused
        self._allow_capture()

    def step(self, loss: Tensor) -> dict[str, Tensor]:
        """Takes one update; returns the gradient's norm and whether the update was skipped (1.0 or 0.0), as scalars.

        Only these parameters get gradients: the actor's loss flows through the world model and does not change it.
        Unused parameters, such as the prior's with w_d = 0, get none.
        """
        gradients = torch.autograd.grad(loss, self.parameters, allow_unused=True)
        for p, gradient in zip(self.parameters, gradients, strict=True):
            p.grad = in_layout_of(p, gradient)
        norm = nn.utils.clip_grad_norm_(self.parameters, self.clip).detach()
        bad = (~torch.isfinite(norm + loss.detach())).float()
        self.apply(bad)
        return {"grad_norm": norm, "skipped": bad}

    def apply(self, bad: Tensor) -> None:
        """Changes parameters and moments by the gradients that ``step`` has left; nothing if ``bad`` is 1."""
        if self.fused:
            self.adam.found_inf = bad  # if 1, the fused kernel changes nothing, as for a loss scaler
            self.adam.step()
        elif not bad:
            self.adam.step()

    def state_dict(self) -> dict[str, Any]:
        """Returns everything that an update changes besides the parameters."""
        return {"adam": self.adam.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores a state of ``state_dict``. Learning rates and other settings stay those of the config.

        Raises:
            ValueError: if a moment does not have its parameter's shape. The fused kernel would not notice.
        """
        saved = state["adam"]["state"]
        moments = {i: _moments(saved[i], p) for i, p in enumerate(self.parameters) if i in saved}
        self.adam.load_state_dict({"state": moments, "param_groups": self.adam.state_dict()["param_groups"]})
        self._allow_capture()

    def _allow_capture(self) -> None:
        """Lets Adam's step be captured in a CUDA graph, and turns off its warning about steps before the capture."""
        for group in self.adam.param_groups:
            group["capturable"] = self.fused and self.parameters[0].is_cuda
        self.adam._warned_capturable_if_run_uncaptured = True


def in_layout_of(parameter: Tensor, gradient: Tensor | None) -> Tensor | None:
    """Returns ``gradient`` in the parameter's memory layout, which PyTorch's fused Adam assumes without checking."""
    if gradient is None or gradient.stride() == parameter.stride():
        return gradient
    return torch.empty_like(parameter).copy_(gradient)


def _moments(saved: dict[str, Tensor], parameter: Tensor) -> dict[str, Tensor]:
    moments = {"step": saved["step"].reshape(())}
    for name in ("exp_avg", "exp_avg_sq"):
        if saved[name].shape != parameter.shape:
            raise ValueError(f"{name} has shape {tuple(saved[name].shape)}, its parameter {tuple(parameter.shape)}")
        moments[name] = torch.empty_like(parameter).copy_(saved[name])
    return moments
