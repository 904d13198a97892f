"""Multi-task balancers that the paper compares HarmonyDream with (Fig. 9b, D.2): UW and DWA; NashMTL is in ``nash.py``.

The paper prints a formula for UW alone; where DWA leaves a choice, its own paper or the NashMTL authors' public code
(github.com/AvivNavon/nash-mtl, methods/weight_methods.py) decides, and a departure from either is said.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from hdream_core.balancers import Balancer, BalancerError


class UncertaintyWeighting(Balancer):
    """UW (Kendall et al., 2018) as D.2 writes it: ``L_i / sigma_i + dim_i log sigma_i``, learnable ``sigma_i``.

    In D.2 all pixels share one ``sigma_o``, so ``dim_o = H W C``; the reward is one number, ``dim_r = 1``. (``sigma``
    stands where a Gaussian has its variance, whose logarithm counts half in the likelihood; D.2 counts it whole.) At
    the optimum the weighted loss equals ``dim_i``: 12288 for frames of 64 x 64 against the reward's 1, the disparity
    that HarmonyDream removes. D.2 gives no term for the KL loss, and Sec. 3 says that UW "has no theoretical basis" for
    balancing it, so a loss without a dimension, such as ``dynamics``, keeps the weight 1.

    Parametrised as in ``Harmony``: ``sigma = exp(s)``, ``s`` from 0, float32.

    Args:
        names: the losses to weigh.
        dimensions: how many numbers a loss adds up over, for the losses whose uncertainty is learned.

    Raises:
        BalancerError: if a dimension is not above 0, or of a loss that is not in ``names``.
    """

    def __init__(self, names: Iterable[str], dimensions: Mapping[str, float]):
        super().__init__(names)
        self.dimensions = {name: float(dimension) for name, dimension in dimensions.items()}
        for name, dimension in self.dimensions.items():
            if name not in self.names:
                raise BalancerError(f"a dimension of {name} is given, but the losses are {', '.join(self.names)}")
            if not 0 < dimension < float("inf"):
                raise BalancerError(f"the dimension of {name} is {dimension}; it must be finite and above 0")
        self.s = nn.ParameterDict({name: nn.Parameter(torch.zeros(())) for name in self.dimensions})

    def combine(self, losses: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        terms, weights = [], {}
        for name in self.names:
            loss = losses[name].float()
            if name in self.dimensions:
                s = self.s[name].float()
                weight = torch.exp(-s)
                terms.append(weight * loss + self.dimensions[name] * s)
            else:
                weight = torch.ones_like(loss)
                terms.append(loss)
            weights[name] = weight.detach()
        return torch.stack(terms).sum(), weights

    def analytic_weights(self, mean_losses: Mapping[str, float]) -> dict[str, float]:
        """``1 / sigma* = dim / E[L]``, and 1 for losses without a dimension; losses must be above 0."""
        for name in self.dimensions:
            if not mean_losses[name] > 0:
                raise BalancerError(f"the analytic weight needs a positive mean loss, got {mean_losses[name]}")
        return {name: self.dimensions[name] / mean_losses[name] if name in self.s else 1.0 for name in self.names}

    @torch.no_grad()
    def start_at(self, mean_losses: Mapping[str, float]) -> None:
        """Sets every ``sigma`` to its optimum for these losses. Not in the paper: a labelled deviation."""
        weights = self.analytic_weights(mean_losses)
        for name, s in self.s.items():
            s.fill_(-torch.log(torch.tensor(weights[name])))


class DynamicWeightAverage(Balancer):
    """DWA (Liu et al., 2019): a loss that falls slowly weighs more; the weights add up to the number of losses K.

    ``lambda_i = K softmax_i(r_i / T)`` with ``r_i = L_i(t - 1) / L_i(t - 2)``. Where DWA has epochs, t counts windows
    of updates here, as in the NashMTL authors' code: ``r_i`` is the mean loss of the last ``window`` updates, this one
    included, over that of the ``window`` before. All weights are 1 until both windows are full. (That code begins after
    one window, with ones in place of the losses that it has not seen, and takes the mean of the weighted losses where
    DWA's own paper and this class take the sum.)

    Args:
        names: the losses to weigh.
        temperature: T; the larger, the more alike the weights.
        window: updates per window.

    Raises:
        BalancerError: if ``temperature`` is not above 0 or ``window`` under 1.
    """

    def __init__(self, names: Iterable[str], temperature: float = 2.0, window: int = 25):
        super().__init__(names)
        if not temperature > 0 or window < 1:
            raise BalancerError(f"DWA needs a temperature above 0 and a window of 1 or more: {temperature}, {window}")
        self.temperature, self.window = temperature, window
        self.register_buffer("history", torch.zeros(2 * window, len(self.names)))  # losses, the latest last
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))  # updates so far

    def combine(self, losses: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        now = torch.stack([losses[name].float() for name in self.names])
        # All on the device, the choice between ones and learned weights too: an update waits for nothing.
        with torch.no_grad():
            fit = now.isfinite().all()  # else the update is left out, and its losses with it
            self.history.copy_(torch.where(fit, torch.cat([self.history[1:], now[None]]), self.history))
            self.seen += fit
            before, lately = self.history.unflatten(0, (2, self.window)).mean(1)
            rate = torch.where(before > 0, lately / before, 1.0)  # a loss that was 0 counts as one that stays
            found = len(self.names) * torch.softmax(rate / self.temperature, 0)
            weights = torch.where(self.seen < 2 * self.window, 1.0, found)
        return (weights * now).sum(), dict(zip(self.names, weights.unbind(), strict=True))

    def analytic_weights(self, mean_losses: Mapping[str, float]) -> dict[str, float]:
        """1 for every loss: constant losses all fall at the same rate."""
        return dict.fromkeys(self.names, 1.0)
