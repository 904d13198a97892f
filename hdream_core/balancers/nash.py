"""NashMTL, the third multi-task balancer that the paper compares HarmonyDream with (Fig. 9b, D.2), and its solver.

Where the paper leaves a choice, NashMTL's own or its authors' public code (github.com/AvivNavon/nash-mtl,
methods/weight_methods.py) decides, and a departure from either is said.
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
