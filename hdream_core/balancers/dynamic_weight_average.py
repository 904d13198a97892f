"""Weighs losses by how fast they fall: DWA, one of the balancers that the paper compares with (Fig. 9b, D.2).

The paper prints no formula for it. Its own paper decides, then the NashMTL authors' public code, which has DWA too
(github.com/AvivNavon/nash-mtl, methods/weight_methods.py). A departure from either is said.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from hdream_core.balancers.harmony import Balancer, BalancerError


class DynamicWeightAverage(Balancer):
    """Gives more weight to a loss that falls slowly (DWA; Liu et al., 2019).

    ``lambda_i = K softmax_i(r_i / T)`` with ``r_i = L_i(t - 1) / L_i(t - 2)``. K is the number of balanced losses, so
    the weights add up to K.

    Where DWA has epochs, t counts windows of updates here, as in the NashMTL authors' code. ``r_i`` is the mean loss
    of the last ``window`` updates, this one included, over that of the ``window`` before. All weights are 1 until both
    windows are full. That code begins after one window, with ones in place of the losses that it has not seen. It also
    takes the mean of the weighted losses, where DWA's own paper and this class take the sum.

    Args:
        names: all losses.
        temperature: T; the larger, the more alike the weights.
        window: updates per window.
        fixed: constant weights of losses that stay out of the balance.

    Raises:
        BalancerError: if ``temperature`` is not above 0 or ``window`` under 1; if ``names`` or ``fixed`` cannot be (see
            ``Balancer``).
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
        now = torch.stack([losses[name].float() for name in self.balanced])
        # All on the device, the choice between ones and learned weights too: an update waits for nothing.
        with torch.no_grad():
            fit = now.isfinite().all()  # else the update is left out; its losses would spoil both windows
            self.history.copy_(torch.where(fit, torch.cat([self.history[1:], now[None]]), self.history))
            self.seen += fit
            before, lately = self.history.unflatten(0, (2, self.window)).mean(1)
            rate = torch.where(before > 0, lately / before, 1.0)  # a loss that was 0 counts as one that stays
            found = len(self.balanced) * torch.softmax(rate / self.temperature, 0)
            weights = torch.where(self.seen < 2 * self.window, 1.0, found)
        return (weights * now).sum(), dict(zip(self.balanced, weights.unbind(), strict=True))

    def analytic_weights(self, mean_losses: Mapping[str, float]) -> dict[str, float]:
        """Returns 1 for every balanced loss: constant losses all fall at the same rate."""
        return self.fixed | dict.fromkeys(self.balanced, 1.0)
