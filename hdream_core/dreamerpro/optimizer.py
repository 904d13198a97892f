"""Implements Adam as DreamerPro has it: that of Keras, with a weight decay of its own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from hdream_core.nets import optimizer

EPS, WEIGHT_DECAY = 1e-5, 1e-6
BETA1, BETA2 = 0.9, 0.999


class Optimizer(optimizer.Optimizer):
    """Updates parameters by Adam with clipped gradients; what is not finite is skipped, decided on the device.

    It differs from PyTorch's in two ways. ``eps`` is added to the root of the second moment as it is, before its bias
    is corrected, so that the first steps are smaller. The weights are multiplied by ``1 - weight_decay`` before each
    step, whatever the learning rate.

    Args:
        groups: parameters, or groups of them with their own ``lr`` and ``weight_decay``.
        clip: largest norm of all gradients together.
        lr: learning rate of groups that do not set one.
        weight_decay: of groups that do not set one.
    """

    def __init__(self, groups: Iterable[Any], clip: float, lr: float, weight_decay: float = WEIGHT_DECAY):
        super().__init__(groups, clip, True, lr, EPS, weight_decay)
        for p in self.parameters:
            moments = {name: torch.zeros_like(p) for name in ("exp_avg", "exp_avg_sq")}
            self.adam.state[p] = {"step": torch.zeros((), device=p.device), **moments}

    @torch.no_grad()
    def apply(self, bad: Tensor) -> None:
        """Changes parameters and moments by the gradients that ``step`` has left; nothing if ``bad`` is 1."""
        good = 1 - bad
        for group in self.adam.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                step, mean, square = (self.adam.state[p][name] for name in ("step", "exp_avg", "exp_avg_sq"))
                step += good
                count = step.clamp(min=1)
                rate = good * group["lr"] * (1 - BETA2**count).sqrt() / (1 - BETA1**count)
                gradient = torch.where(bad > 0, 0.0, p.grad)
                mean.lerp_(gradient, good * (1 - BETA1))
                square.lerp_(gradient.square(), good * (1 - BETA2))
                p.mul_(1 - good * group["weight_decay"]).sub_(rate * mean / (square.sqrt() + group["eps"]))
