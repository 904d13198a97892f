"""How several named losses become one scalar: the paper's subject, in one file.

A balancer maps ``losses: dict[str, Tensor]`` (scalars, e.g. ``observation``, ``reward``, ``dynamics``) to
``(total, weights)``. No loss weight exists anywhere else in hdream. A loss that the balancer does not name, or a
name without a loss, is an error. This file depends on torch alone, so that another Dreamer can import it.
"""

from __future__ import annotations

import abc
from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class BalancerError(ValueError):
    """The losses given and the losses named by the balancer differ, or a weight is not usable."""


class Balancer(nn.Module, abc.ABC):
    """Base class: ``balancer(losses) -> (total, weights)``; a subclass says how ``combine`` does it.

    Attributes:
        names: the losses it takes, in a fixed order. A world model computes these losses and no others.
        on_device: whether weighing stays on the device. An update whose balancer asks for numbers cannot be recorded.
    """

    on_device = True

    def __init__(self, names: Iterable[str]):
        super().__init__()
        self.names = tuple(names)
        if not self.names or len(set(self.names)) != len(self.names):
            raise BalancerError(f"balancer needs distinct loss names, got {list(self.names)}")

    def forward(self, losses: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Returns the scalar to minimise and each loss's effective weight (detached).

        Raises:
            BalancerError: if the keys of ``losses`` are not exactly ``names``.
        """
        if set(losses) != set(self.names):
            raise BalancerError(f"balancer weighs {sorted(self.names)} but was given losses {sorted(losses)}")
        return self.combine(losses)

    @abc.abstractmethod
    def combine(self, losses: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """The balancer's rule, for losses whose names are already checked."""

    def attach(self, shared: Sequence[nn.Parameter]) -> None:
        """Told once, before training, which parameters all losses share.

        For balancers that look at the losses' gradients; the others ignore it. They are the world model's: a balancer
        that keeps them must not register them as its own.
        """

    def diagnostics(self) -> dict[str, Tensor]:
        """Further scalars worth logging after an update, float and detached; a run logs them as ``balancer/<name>``."""
        return {}

    def analytic_weights(self, mean_losses: Mapping[str, float]) -> dict[str, float]:
        """The weights this balancer would settle at for constant losses; empty where it has no such notion."""
        return {}

    def start_at(self, mean_losses: Mapping[str, float]) -> None:
        """Moves what is learned to where these losses would settle it; a balancer that learns nothing stays."""


class FixedWeights(Balancer):
    """Eq. 3: ``w_o L_o + w_r L_r + w_d L_d`` with constant weights.

    A weight of exactly 0 removes that loss from ``names``: with ``w_o=0`` the world model builds no decoder.

    Args:
        w_o, w_r, w_d: weights of ``observation``, ``reward`` and ``dynamics``.
        others: weights of further losses by their names, e.g. ``discount=1.0``.

    Raises:
        BalancerError: if a weight is negative or not finite, or all are 0.
    """

    def __init__(self, w_o: float = 1.0, w_r: float = 1.0, w_d: float = 1.0, **others: float):
        weights = {"observation": w_o, "reward": w_r, "dynamics": w_d, **others}
        for name, weight in weights.items():
            if not 0 <= weight < float("inf"):
                raise BalancerError(f"weight of {name} is {weight}; it must be finite and 0 or more")
        self.weights = {name: float(weight) for name, weight in weights.items() if weight > 0}
        super().__init__(self.weights)

    def combine(self, losses: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        total = torch.stack([self.weights[name] * losses[name] for name in self.names]).sum()
        return total, {name: torch.full_like(losses[name], weight) for name, weight in self.weights.items()}


class Harmony(Balancer):
    """HarmonyDream: ``sum_i L_i / sigma_i + log(1 + sigma_i)`` with learnable ``sigma_i = exp(s_i)`` (Eq. 5).

    ``rectified=False`` gives Eq. 4, whose regulariser is ``log sigma_i``. The scalars ``s_i`` start at 0
    (weight 1) and are ordinary parameters, to be optimised beside the world model. Computed in float32, whatever
    the autocast setting: half precision cannot resolve their steps of about one learning rate.

    Args:
        names: the losses to balance.
        rectified: Eq. 5 (True) or Eq. 4 (False).
        fixed: constant weights of those losses that are not to be balanced: no ``sigma``, no regulariser, just
            ``w_i L_i``. ``{"dynamics": 1.0}`` is the ablation of E.4, "HarmonyDream w_d = 1" in Fig. 17.

    Raises:
        BalancerError: if ``fixed`` names a loss that is not in ``names``, or has a weight that is not above 0.
    """

    def __init__(
        self,
        names: Iterable[str] = ("observation", "reward", "dynamics"),
        rectified: bool = True,
        fixed: Mapping[str, float] | None = None,
    ):
        super().__init__(names)
        self.rectified = rectified
        self.fixed = {name: float(weight) for name, weight in (fixed or {}).items()}
        for name, weight in self.fixed.items():
            if name not in self.names:
                raise BalancerError(f"the weight of {name} is fixed, but the losses are {', '.join(self.names)}")
            if not 0 < weight < float("inf"):
                raise BalancerError(f"the fixed weight of {name} is {weight}; it must be finite and above 0")
        learned = [name for name in self.names if name not in self.fixed]
        self.s = nn.ParameterDict({name: nn.Parameter(torch.zeros(())) for name in learned})

    def combine(self, losses: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        terms, weights = [], {}
        for name in self.names:
            loss = losses[name].float()
            if name in self.fixed:
                weight = torch.full_like(loss, self.fixed[name])
                terms.append(weight * loss)
            else:
                s = self.s[name].float()
                weight = torch.exp(-s)  # 1 / sigma, the coefficient of Fig. 23
                # log(1 + sigma) = softplus(s); log sigma = s.
                terms.append(weight * loss + (F.softplus(s) if self.rectified else s))
            weights[name] = weight.detach()
        return torch.stack(terms).sum(), weights

    def analytic_weights(self, mean_losses: Mapping[str, float]) -> dict[str, float]:
        """``1 / sigma*`` for the expected losses (Eq. 13; Prop. 3.1 if not rectified); a fixed weight as it is."""
        return self.fixed | {name: analytic_weight(mean_losses[name], self.rectified) for name in self.s}

    @torch.no_grad()
    def start_at(self, mean_losses: Mapping[str, float]) -> None:
        """Sets every ``sigma`` to its optimum for these losses. Not in the paper: a labelled deviation."""
        for name, s in self.s.items():
            s.fill_(-torch.log(torch.tensor(analytic_weight(mean_losses[name], self.rectified))))


def analytic_weight(mean_loss: float, rectified: bool = True) -> float:
    """The weight ``1 / sigma*`` that minimises the expected harmonious loss.

    Rectified (Eq. 13): ``2 / (E[L] + sqrt(E[L]^2 + 4 E[L]))``. Not rectified (Prop. 3.1): ``1 / E[L]``.

    Raises:
        BalancerError: if ``mean_loss`` is not positive; then there is no minimum.
    """
    if not mean_loss > 0:
        raise BalancerError(f"the analytic weight needs a positive mean loss, got {mean_loss}")
    if rectified:
        return 2 / (mean_loss + (mean_loss**2 + 4 * mean_loss) ** 0.5)
    return 1 / mean_loss
