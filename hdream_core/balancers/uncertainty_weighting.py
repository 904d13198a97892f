"""Weighs losses by learned uncertainties: UW, one of the balancers that the paper compares with (Fig. 9b, D.2)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from hdream_core.balancers.harmony import Balancer, BalancerError


class UncertaintyWeighting(Balancer):
    """Learns an uncertainty for each loss: ``L_i / sigma_i + dim_i log sigma_i`` (D.2; Kendall et al., 2018).

    In D.2 all pixels share one ``sigma_o``, so ``dim_o = H W C``. The reward is one number, so ``dim_r = 1``. (Here
    ``sigma`` is what a Gaussian calls its variance. The likelihood counts half its logarithm, D.2 the whole.) At the
    optimum the weighted loss equals ``dim_i``: 12288 for frames of 64 x 64, 1 for the reward. HarmonyDream removes this
    disparity.

    D.2 gives no term for the KL loss, and Sec. 3 says that UW "has no theoretical basis" for balancing it. So a loss
    without a dimension, such as ``dynamics``, keeps the weight 1.

    The parameters are as in ``Harmony``: ``sigma = exp(s)``, ``s`` starts at 0, float32.

    Args:
        names: all losses.
        dimensions: how many numbers a loss adds up over, for the losses whose uncertainty is learned.
        fixed: constant weights of losses that are not balanced.

    Raises:
        BalancerError: if a dimension is not finite and above 0, or belongs to a fixed loss or to none in ``names``; if
            ``names`` or ``fixed`` cannot be used (see ``Balancer``).
    """

    def __init__(self, names: Iterable[str], dimensions: Mapping[str, float], fixed: Mapping[str, float] | None = None):
        super().__init__(names, fixed)
        self.dimensions = {name: float(dimension) for name, dimension in dimensions.items()}
        for name, dimension in self.dimensions.items():
            if name not in self.names:
                raise BalancerError(f"a dimension of {name} is given, but the losses are {', '.join(self.names)}")
            if name in self.fixed:
                raise BalancerError(f"a dimension of {name} is given, but its weight is fixed")
            if not 0 < dimension < float("inf"):
                raise BalancerError(f"the dimension of {name} is {dimension}; it must be finite and above 0")
        self.s = nn.ParameterDict({name: nn.Parameter(torch.zeros(())) for name in self.dimensions})

    def combine(self, losses: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        terms, weights = [], {}
        for name in self.balanced:
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
        """Returns ``1 / sigma* = dim / E[L]``, and 1 for balanced losses without a dimension.

        Raises:
            BalancerError: if a loss with a dimension is not above 0.
        """
        for name in self.dimensions:
            if not mean_losses[name] > 0:
                raise BalancerError(f"the analytic weight needs a positive mean loss, got {mean_losses[name]}")
        learned = {name: dimension / mean_losses[name] for name, dimension in self.dimensions.items()}
        return self.fixed | {name: learned.get(name, 1.0) for name in self.balanced}

    @torch.no_grad()
    def start_at(self, mean_losses: Mapping[str, float]) -> None:
        """Sets every ``sigma`` to its optimum for these losses. The paper does not do this: a labelled deviation."""
        weights = self.analytic_weights(mean_losses)
        for name, s in self.s.items():
            s.fill_(-torch.log(torch.tensor(weights[name])))
