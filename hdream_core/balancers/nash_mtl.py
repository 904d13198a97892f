"""Weighs losses by a bargain over their shared update: NashMTL, which the paper compares with (Fig. 9b, D.2).

Where the paper leaves a choice, this file follows NashMTL's own paper, then its authors' public code
(github.com/AvivNavon/nash-mtl, methods/weight_methods.py). It names every departure from either.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn

from hdream_core.balancers.harmony import Balancer, BalancerError

NEWTON_STEPS = 200  # far more than a solvable bargain needs (tens, if gradients nearly cancel)
RESIDUAL = 1e-6  # largest |alpha_i (M alpha)_i - 1| of a solution
LARGEST = 1e6  # bound on beta; gradients that cancel exactly reach about 1e8, where rounding can pass for a solution


class NashMTL(Balancer):
    """Lets the losses bargain over the update of the parameters that they share (Navon et al., 2022).

    With ``G`` the gradients of the K balanced losses with respect to the shared parameters, the weights ``alpha > 0``
    solve ``G^T G alpha = 1 / alpha``. So all losses contribute equally: ``alpha_i g_i . (sum_j alpha_j g_j)`` is the
    same for each. As in the authors' code, ``G^T G`` is first divided by its Frobenius norm, which multiplies all
    weights by one factor. ``alpha`` also weighs the losses in their own heads. ``bargain`` computes the solution.

    A loss without a gradient in the shared parameters keeps its weight, 1 at first. The gradient of a fixed loss is not
    used either. Where the bargain has no solution (gradients cancel or are not finite), all weights stay, and
    ``failures`` counts it. Nothing bounds the weights: D.2 finds that they can be extreme.

    A solution costs one extra backward pass per loss, every ``every`` updates, and waits for the device.

    Args:
        names: all losses.
        every: updates between two solutions; the weights stay in between.
        max_norm: if given, ``alpha`` is scaled down until the norm of the balanced losses' shared gradient,
            ``sqrt(K |G^T G|)``, is at most this. The authors' code clips the gradient of the shared parameters alone,
            to 1, at every update. Here the heads' gradients shrink too, and the factor stays between two solutions.
        fixed: constant weights of losses that are not balanced.

    Raises:
        BalancerError: if ``every`` is under 1 or ``max_norm`` is not above 0; if ``names`` or ``fixed`` cannot be used
            (see ``Balancer``); when losses are weighed before ``attach`` was called.
    """

    on_device = False  # the bargain is solved on the CPU

    def __init__(
        self,
        names: Iterable[str],
        every: int = 1,
        max_norm: float | None = None,
        fixed: Mapping[str, float] | None = None,
    ):
        super().__init__(names, fixed)
        if every < 1 or (max_norm is not None and not max_norm > 0):
            raise BalancerError(f"NashMTL needs every >= 1 and max_norm above 0 or none: {every}, {max_norm}")
        self.every, self.max_norm = every, max_norm
        self.shared: tuple[nn.Parameter, ...] = ()
        self.register_buffer("weights", torch.ones(len(self.balanced)))
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))
        self.register_buffer("failures", torch.zeros((), dtype=torch.int64))

    def attach(self, shared: Sequence[nn.Parameter]) -> None:
        """Keeps the shared parameters in a tuple, which ``nn.Module`` does not register as the balancer's own."""
        self.shared = tuple(shared)

    def combine(self, losses: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        if not self.shared:
            raise BalancerError("NashMTL needs the parameters that the losses share: call attach first")
        if self.updates % self.every == 0:
            self._bargain(self._products([losses[name] for name in self.balanced]))
        self.updates += 1
        weights = self.weights.clone()  # the buffer changes in place; the returned weights must not
        total = (weights * torch.stack([losses[name].float() for name in self.balanced])).sum()
        return total, dict(zip(self.balanced, weights.unbind(), strict=True))

    def diagnostics(self) -> dict[str, Tensor]:
        """Returns ``solver_failures``: how many bargains had no solution since the run's start."""
        return {"solver_failures": self.failures.float()}

    def _products(self, losses: Sequence[Tensor]) -> Tensor:
        """Returns ``G^T G``, the inner products of the losses' gradients: ``(K, K)``, float64, on the device."""
        gradients = [self._gradient(loss) for loss in losses]
        products = torch.zeros(len(losses), len(losses), dtype=torch.float64, device=self.weights.device)
        for parameter, rows in zip(self.shared, zip(*gradients, strict=True), strict=True):
            stacked = torch.stack([torch.zeros_like(parameter) if row is None else row for row in rows])
            matrix = stacked.unsqueeze(-1).flatten(1)  # (K, numbers); a parameter may be a scalar
            products += (matrix @ matrix.T).double()
        return products

    def _gradient(self, loss: Tensor) -> Sequence[Tensor | None]:
        """Returns the loss's gradient in each shared parameter; None where it has none."""
        if not loss.requires_grad:
            return [None] * len(self.shared)
        return torch.autograd.grad(loss, self.shared, retain_graph=True, allow_unused=True)

    def _bargain(self, products: Tensor) -> None:
        """Sets the weights of the losses that have a gradient, or counts a failure."""
        gram = products.cpu()
        takes_part = gram.diagonal() != 0  # also true of a gradient that is not finite, which then fails
        if not takes_part.any():
            return
        gram = gram[takes_part][:, takes_part]
        alpha = bargain(gram)
        if alpha is None:
            self.failures += 1
            return
        if self.max_norm is not None:
            alpha = alpha * min(1.0, self.max_norm / float(alpha @ gram @ alpha) ** 0.5)
        self.weights[takes_part.to(self.weights.device)] = alpha.to(self.weights)


def bargain(gram: Tensor) -> Tensor | None:
    """Finds the ``alpha > 0`` with ``M alpha = 1 / alpha``, ``M`` the Gram matrix over its Frobenius norm.

    ``M alpha - 1 / alpha`` is the gradient of ``f(alpha) = 1/2 alpha' M alpha - sum_i log alpha_i``, which is strictly
    convex for a positive semi-definite M. So there is at most one solution, the minimum. There is none only if
    gradients cancel (``M alpha = 0`` for some ``alpha >= 0``). f is self-concordant. So Newton's method with steps
    shortened by ``1 / (1 + decrement)`` stays in ``alpha > 0`` and converges from every start, without a line search or
    a setting to tune.

    The authors' code solves the same equation differently. It minimises ``sum_i log(alpha_i (M alpha)_i)``, linearised
    in up to 20 convex-concave steps under the constraint that every term is 0 or more. It stops at
    ``M alpha = 1 / alpha`` (to 1e-3), the only point where all terms are 0.

    The gradients' lengths may differ by orders of magnitude: with ``alpha_i = beta_i / sqrt(M_ii)`` the equation
    becomes ``C beta = 1 / beta`` for the cosines C between the gradients, whose diagonal is 1.

    Args:
        gram: inner products of the gradients, ``(K, K)``, float64, on the CPU; no gradient may be 0.

    Returns:
        ``alpha``, ``(K,)``, float64; None if there is no solution.
    """
    if not gram.isfinite().all():
        return None
    gram = gram / torch.linalg.norm(gram)
    lengths = gram.diagonal().sqrt()
    cosines = gram / torch.outer(lengths, lengths)
    beta = torch.ones_like(lengths)
    for _ in range(NEWTON_STEPS):
        slope = cosines @ beta - 1 / beta
        step, singular = torch.linalg.solve_ex(cosines + torch.diag(beta**-2), slope)
        square = slope @ step
        if singular or not square >= 0:  # not convex: gradients cancel to within rounding
            return None
        decrement = square.sqrt()
        beta = beta - step / (1 + decrement)
        if decrement < 1e-9:
            break
    solved = (beta * (cosines @ beta) - 1).abs().max() <= RESIDUAL
    return beta / lengths if solved and beta.min() > 0 and beta.max() < LARGEST else None
