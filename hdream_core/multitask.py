"""The multi-task balancers that the paper compares HarmonyDream with (Fig. 9b, D.2): UW, DWA and NashMTL.

The paper prints a formula for UW alone; where DWA and NashMTL leave a choice, their own papers or the NashMTL authors'
public code (github.com/AvivNavon/nash-mtl, methods/weight_methods.py) decide, and a departure from either is said.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from hdream_core.balancers import Balancer, BalancerError

NEWTON_STEPS = 200  # far more than a solvable bargain needs (tens, if gradients nearly cancel)
RESIDUAL = 1e-6  # largest |alpha_i (M alpha)_i - 1| of a solution


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


class NashMTL(Balancer):
    """NashMTL (Navon et al., 2022): the losses bargain over the update of the parameters that they share.

    With ``G`` the gradients of the K losses with respect to the shared parameters, the weights ``alpha > 0`` solve
    ``G^T G alpha = 1 / alpha``: each loss contributes alike, ``alpha_i g_i . (sum_j alpha_j g_j)`` is the same for all.
    As in the authors' code, ``G^T G`` is divided by its Frobenius norm first, which multiplies all weights by one
    factor, and ``alpha`` itself weighs the losses, for their own heads too. See ``bargain`` for the solution.

    A loss without a gradient in the shared parameters has nothing to bargain for and keeps the weight it had, 1 at
    first. Where the bargain has no solution (gradients that cancel, or are not finite) all weights stay, and
    ``failures`` counts it. Nothing bounds the weights: that they can be extreme is one of D.2's findings.

    A solution costs one more backward pass a loss, so 1 / ``every`` of that an update, and waits for the device.

    Args:
        names: the losses to weigh.
        every: updates between two solutions; the weights stay in between.
        max_norm: if given, ``alpha`` is scaled down until the shared gradient's norm, ``sqrt(K |G^T G|)``, is at most
            this. The authors' code clips the gradient of the shared parameters alone, to 1, at every update; here the
            heads' gradients shrink along, and between two solutions the factor stays.

    Raises:
        BalancerError: if ``every`` is under 1 or ``max_norm`` is not above 0; in use, if ``attach`` was forgotten.
    """

    on_device = False  # the bargain is solved by SciPy

    def __init__(self, names: Iterable[str], every: int = 1, max_norm: float | None = None):
        super().__init__(names)
        if every < 1 or (max_norm is not None and not max_norm > 0):
            raise BalancerError(f"NashMTL needs every >= 1 and max_norm above 0 or none: {every}, {max_norm}")
        self.every, self.max_norm = every, max_norm
        self.shared: tuple[nn.Parameter, ...] = ()
        self.register_buffer("weights", torch.ones(len(self.names)))
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))
        self.register_buffer("failures", torch.zeros((), dtype=torch.int64))

    def attach(self, shared: Sequence[nn.Parameter]) -> None:
        """Keeps the shared parameters, in a tuple: as attributes they would become parameters of the balancer."""
        self.shared = tuple(shared)

    def combine(self, losses: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        if not self.shared:
            raise BalancerError("NashMTL needs the parameters that the losses share: call attach first")
        if self.updates % self.every == 0:
            self._bargain(self._products([losses[name] for name in self.names]))
        self.updates += 1
        weights = self.weights.clone()  # the buffer changes in place, what is returned must not
        total = (weights * torch.stack([losses[name].float() for name in self.names])).sum()
        return total, dict(zip(self.names, weights.unbind(), strict=True))

    def diagnostics(self) -> dict[str, Tensor]:
        """``solver_failures``: solutions that were not found, since the run's start."""
        return {"solver_failures": self.failures.float()}

    def _products(self, losses: Sequence[Tensor]) -> Float[Tensor, "K K"]:
        """``G^T G``, float64: the inner products of the losses' gradients."""
        gradients = [self._gradient(loss) for loss in losses]
        products = torch.zeros(len(losses), len(losses), dtype=torch.float64, device=self.weights.device)
        for parameter, rows in zip(self.shared, zip(*gradients, strict=True), strict=True):
            matrix = torch.stack([torch.zeros_like(parameter) if row is None else row for row in rows]).flatten(1)
            products += (matrix @ matrix.T).double()
        return products

    def _gradient(self, loss: Tensor) -> Sequence[Tensor | None]:
        if not loss.requires_grad:
            return [None] * len(self.shared)
        return torch.autograd.grad(loss, self.shared, retain_graph=True, allow_unused=True)

    def _bargain(self, products: Float[Tensor, "K K"]) -> None:
        """Sets the weights of the losses that have a gradient, or counts a failure."""
        gram = products.cpu().numpy()
        takes_part = np.diag(gram) != 0  # a gradient that is not finite does, and fails
        if not takes_part.any():
            return
        gram = gram[np.ix_(takes_part, takes_part)]
        alpha = bargain(gram)
        if alpha is None:
            self.failures += 1
            return
        if self.max_norm is not None:
            alpha = alpha * min(1.0, self.max_norm / np.sqrt(alpha @ gram @ alpha))
        chosen = torch.from_numpy(takes_part).to(self.weights.device)
        self.weights[chosen] = torch.from_numpy(alpha).to(self.weights)


def bargain(gram: Float[np.ndarray, "K K"]) -> Float[np.ndarray, " K"] | None:
    """The ``alpha > 0`` with ``M alpha = 1 / alpha``, ``M`` the Gram matrix over its Frobenius norm; None if not found.

    ``M alpha - 1 / alpha`` is the gradient of ``f(alpha) = 1/2 alpha' M alpha - sum_i log alpha_i``, which is strictly
    convex for a positive semi-definite M: there is one solution at most, the minimum, and none only if gradients cancel
    (``M alpha = 0`` for some ``alpha >= 0``). The authors' code looks for the same point in another way: it minimises
    ``sum_i log(alpha_i (M alpha)_i)``, linearised anew in up to 20 convex-concave steps, where every term is 0 or more,
    and stops at ``M alpha = 1 / alpha`` (to 1e-3); all terms are 0 there and nowhere else. f is self-concordant, so
    Newton's method with steps shortened by ``1 / (1 + decrement)`` stays in ``alpha > 0`` and converges from anywhere,
    without a line search or a setting to tune.

    Losses of very different scales do no harm: with ``alpha_i = beta_i / sqrt(M_ii)`` the equation is
    ``C beta = 1 / beta`` for the cosines C between the gradients, whose diagonal is 1.

    Args:
        gram: inner products of the gradients, none of which is 0.
    """
    if not np.isfinite(gram).all():
        return None
    gram = gram / np.linalg.norm(gram)
    lengths = np.sqrt(np.diag(gram))
    cosines = gram / np.outer(lengths, lengths)
    beta = np.ones(len(gram))
    for _ in range(NEWTON_STEPS):
        slope = cosines @ beta - 1 / beta
        try:
            step = np.linalg.solve(cosines + np.diag(beta**-2.0), slope)
        except np.linalg.LinAlgError:
            return None
        square = slope @ step
        if not square >= 0:  # not convex: gradients cancel to within rounding
            return None
        decrement = np.sqrt(square)
        beta = beta - step / (1 + decrement)
        if decrement < 1e-9:
            break
    solved = np.abs(beta * (cosines @ beta) - 1).max() <= RESIDUAL and (beta > 0).all()
    return beta / lengths if solved else None
