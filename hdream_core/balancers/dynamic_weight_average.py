"""Weighs losses by how fast they fall: DWA, one of the balancers that the paper compares with (Fig. 9b, D.2).

The paper prints no formula for it. This file follows DWA's own paper, then the NashMTL authors' public code, which also
has DWA (github.com/AvivNavon/nash-mtl, methods/weight_methods.py). It names every departure from either.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from hdream_core.balancers.harmony import Balancer, BalancerError


class DynamicWeightAverage(Balancer):
    """Gives a loss that falls slowly more weight (DWA; Liu et al., 2019).

    ``lambda_i = K softmax_i(r_i / T)`` with ``r_i = L_i(t - 1) / L_i(t - 2)``. K is the number of balanced losses, so
    the weights add up to K.

    DWA's own paper counts t in epochs. Here t counts windows of updates, as in the NashMTL authors' code. ``r_i`` is
    the mean loss of the last ``window`` updates, this one included, over that of the ``window`` before. All weights are
    1 until both windows are full. The authors' code begins after one window and puts ones in place of the missing
    losses. It also takes the mean of the weighted losses. DWA's own paper and this class take the sum.

    Args:
        names: all losses.
        temperature: T; a larger value makes the weights more alike.
        window: updates per window.
        fixed: constant weights of losses that are not balanced.

    Raises:
        BalancerError: if ``temperature`` is not above 0 or ``window`` is under 1; if ``names`` or ``fixed`` cannot be
            used (see ``Balancer``).
    """

    def __init__(
        self,
        names: Iterable[str],
        temperature: float = 2.0,
        window: int = 25,
        fixed: Mapping[str, float] | None = None,
    ):
        super().__init__(names, fixed)
        if not temperature > 0 or window < 1:
            raise BalancerError(f"DWA needs a temperature above 0 and a window of 1 or more: {temperature}, {window}")
        self.temperature, self.window = temperature, window
        self.register_buffer("history", torch.zeros(2 * window, len(self.balanced)))  # losses, the latest last
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))  # updates so far

    def combine(self, losses: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        current = torch.stack([losses[name].float() for name in self.balanced])
        # Everything stays on the device, also the choice between ones and learned weights: an update never waits.
        with torch.no_grad():
            finite = current.isfinite().all()  # the trainer skips other updates; their losses would spoil both windows
            self.history.copy_(torch.where(finite, torch.cat([self.history[1:], current[None]]), self.history))
            self.seen += finite
            previous_mean, latest_mean = self.history.unflatten(0, (2, self.window)).mean(1)
            rate = torch.where(previous_mean > 0, latest_mean / previous_mean, 1.0)  # a loss of 0 counts as constant
            learned = len(self.balanced) * torch.softmax(rate / self.temperature, 0)
            weights = torch.where(self.seen < 2 * self.window, 1.0, learned)
        return (weights * current).sum(), dict(zip(self.balanced, weights.unbind(), strict=True))

    def analytic_weights(self, mean_losses: Mapping[str, float]) -> dict[str, float]:
        """Returns 1 for every balanced loss: constant losses all fall at the same rate."""
        return self.fixed | dict.fromkeys(self.balanced, 1.0)
