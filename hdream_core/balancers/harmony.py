"""Turns several named losses into one scalar: the paper's subject, in one file.

A balancer maps ``losses: dict[str, Tensor]`` (scalars, e.g. ``observation``, ``reward``, ``dynamics``) to
``(total, weights)``. No loss weight exists anywhere else in hdream. A loss that the balancer does not name is an
error, and so is a name without a loss. This file depends on torch alone, so that another Dreamer can import it.
"""

from __future__ import annotations

import abc
from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class BalancerError(ValueError):
    """Reports losses that do not fit their balancer, or a weight or setting that cannot be used."""


class Balancer(nn.Module, abc.ABC):
    """Turns named losses into ``(total, weights)``. A subclass implements ``combine``.

    Args:
        names: the losses it takes. A world model computes these losses and no others.
        fixed: constant weights of the losses that are not balanced. Each adds ``w_i L_i`` to the total.

    Attributes:
        names: all losses, in a fixed order.
        fixed: the constant weights by name.
        balanced: the losses that ``combine`` weighs: all that are not ``fixed``, in the order of ``names``.
        on_device: whether weighing stays on the device. A CUDA graph cannot capture an update whose balancer needs
            numbers on the CPU.

    Raises:
        BalancerError: if there is no name, or one occurs twice; if ``fixed`` names a loss that is not in ``names``, has
            a weight that is not finite and above 0, or leaves nothing to balance.
    """

    on_device = True

    def __init__(self, names: Iterable[str], fixed: Mapping[str, float] | None = None):
        super().__init__()
        self.names = tuple(names)
        if not self.names or len(set(self.names)) != len(self.names):
            raise BalancerError(f"balancer needs distinct loss names, got {list(self.names)}")
        self.fixed = {name: float(weight) for name, weight in (fixed or {}).items()}
        for name, weight in self.fixed.items():
            if name not in self.names:
                raise BalancerError(f"the weight of {name} is fixed, but the losses are {', '.join(self.names)}")
            if not 0 < weight < float("inf"):
                raise BalancerError(f"the fixed weight of {name} is {weight}; it must be finite and above 0")
        self.balanced = tuple(name for name in self.names if name not in self.fixed)
        if not self.balanced:
            raise BalancerError(f"the weights of all losses are fixed ({', '.join(self.names)}); use FixedWeights")

    def forward(self, losses: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Returns the scalar to minimise and each loss's effective weight.

        Args:
            losses: one scalar tensor of floating point, of shape ``()``, for each of ``names``. Values are not checked,
                because a GPU would have to be waited for. If one is not finite, the total is not finite, and the
                trainer skips the update.

        Returns:
            The total, and the weights in the order of ``names``, detached. All have shape ``()``.

        Raises:
            BalancerError: if the keys of ``losses`` are not exactly ``names``, or a loss is not a scalar tensor of
                floating point.
        """
        self._check(losses)
        total, weights = self.combine({name: losses[name] for name in self.balanced})
        for name, weight in self.fixed.items():
            loss = losses[name].float()
            weights[name] = torch.full_like(loss, weight)
            total = total + weights[name] * loss
        return total, {name: weights[name] for name in self.names}

    def _check(self, losses: Mapping[str, Tensor]) -> None:
        """Raises BalancerError as documented in ``forward``. Reads no value, so that nothing waits for a GPU."""
        if set(losses) != set(self.names):
            raise BalancerError(f"balancer weighs {sorted(self.names)} but was given losses {sorted(losses)}")
        for name, loss in losses.items():
            if not isinstance(loss, Tensor):
                kind = type(loss).__name__
                article = "an" if kind[0] in "aeiou" else "a"
                raise BalancerError(f"loss {name!r} must be a scalar tensor, got {article} {kind}")
            if loss.ndim:
                raise BalancerError(f"loss {name!r} must be a scalar tensor, got shape {tuple(loss.shape)}")
            if not loss.is_floating_point():
                raise BalancerError(f"loss {name!r} must be a scalar tensor of floating point, got {loss.dtype}")

    @abc.abstractmethod
    def combine(self, losses: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Returns the total of the balanced losses and their weights, detached.

        Args:
            losses: scalar tensors under the names in ``balanced``, already checked.
        """

    def attach(self, shared: Sequence[nn.Parameter]) -> None:
        """Receives the parameters that all losses share. It is called once, before training.

        Balancers that use the losses' gradients need them; the others ignore them. The parameters belong to the world
        model: a balancer that keeps them must not register them as its own.
        """

    def diagnostics(self) -> dict[str, Tensor]:
        """Returns further scalars to log after an update, float and detached.

        A run logs them as ``balancer/<name>``.
        """
        return {}

    def analytic_weights(self, mean_losses: Mapping[str, float]) -> dict[str, float]:
        """Returns the weights that this balancer reaches for constant losses, and the fixed weights.

        A balancer that has no such limit returns the fixed weights alone.
        """
        return dict(self.fixed)

    def start_at(self, mean_losses: Mapping[str, float]) -> None:
        """Sets the learned parameters to their optimum for these losses. Does nothing if the balancer learns none."""


class FixedWeights(Balancer):
    """Weighs losses by constants: ``w_o L_o + w_r L_r + w_d L_d`` (Eq. 3).

    A weight of exactly 0 removes that loss from ``names``: with ``w_o=0`` the world model builds no decoder.

    Args:
        w_o, w_r, w_d: weights of ``observation``, ``reward`` and ``dynamics``.
        others: weights of further losses by their names, e.g. ``discount=1.0``.

    Attributes:
        weights: the weights above 0 by name. ``combine`` weighs all losses, so the base class's ``fixed`` is empty.

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

    @classmethod
    def of(cls, weights: Mapping[str, float]) -> FixedWeights:
        """Makes a balancer of losses with any names, e.g. ``{"swav": 1.0, "reward": 100.0}``."""
        others = dict(weights)
        w_o, w_r, w_d = (others.pop(name, 0.0) for name in ("observation", "reward", "dynamics"))
        return cls(w_o, w_r, w_d, **others)

    def combine(self, losses: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        total = torch.stack([self.weights[name] * losses[name] for name in self.names]).sum()
        return total, {name: torch.full_like(losses[name], weight) for name, weight in self.weights.items()}


class Harmony(Balancer):
    """Learns a scale for each loss, as HarmonyDream does: ``sum_i L_i / sigma_i + log(1 + sigma_i)`` (Eq. 5).

    ``rectified=False`` gives Eq. 4, whose regulariser is ``log sigma_i``. The harmonizers ``s_i``, with
    ``sigma_i = exp(s_i)``, start at 0 (weight 1). They are ordinary parameters, optimised together with the world
    model. Everything is computed in float32, whatever the autocast setting: half precision cannot resolve steps of
    about one learning rate.

    Args:
        names: all losses.
        rectified: Eq. 5 (True) or Eq. 4 (False).
        fixed: constant weights of losses that are not balanced. They have no ``sigma`` and no regulariser, just
            ``w_i L_i``. ``{"dynamics": 1.0}`` is the ablation of E.4, "HarmonyDream w_d = 1" in Fig. 17.
        regularised: factors of the regulariser by loss, 1 for those left out, as Eq. 5 has it. The authors' DreamerV3
            has ``{"dynamics": 5 / 6}``.

    Raises:
        BalancerError: if ``names`` or ``fixed`` cannot be used (see ``Balancer``), or a factor is not above 0.
    """

    def __init__(
        self,
        names: Iterable[str] = ("observation", "reward", "dynamics"),
        rectified: bool = True,
        fixed: Mapping[str, float] | None = None,
        regularised: Mapping[str, float] | None = None,
    ):
        super().__init__(names, fixed)
        self.rectified = rectified
        self.regularised = dict.fromkeys(self.balanced, 1.0) | dict(regularised or {})
        for name, factor in self.regularised.items():
            if name not in self.balanced:
                raise BalancerError(f"{name} has no regulariser; those that have one are {', '.join(self.balanced)}")
            if not 0 < factor < float("inf"):
                raise BalancerError(f"the regulariser of {name} has factor {factor}; it must be finite and above 0")
        self.s = nn.ParameterDict({name: nn.Parameter(torch.zeros(())) for name in self.balanced})

    def combine(self, losses: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        terms, weights = [], {}
        for name in self.balanced:
            s = self.s[name].float()
            weight = torch.exp(-s)  # 1 / sigma, the coefficient of Fig. 23
            # log(1 + sigma) = softplus(s); log sigma = s.
            regulariser = self.regularised[name] * (F.softplus(s) if self.rectified else s)
            terms.append(weight * losses[name].float() + regulariser)
            weights[name] = weight.detach()
        return torch.stack(terms).sum(), weights

    def analytic_weights(self, mean_losses: Mapping[str, float]) -> dict[str, float]:
        """Returns ``1 / sigma*`` for these expected losses: Eq. 13, or Prop. 3.1 if not rectified.

        Raises:
            BalancerError: if a balanced loss is not above 0.
        """
        return self.fixed | {name: self._analytic(name, mean_losses[name]) for name in self.s}

    @torch.no_grad()
    def start_at(self, mean_losses: Mapping[str, float]) -> None:
        """Sets every ``sigma`` to its optimum for these losses. The paper does not do this: a labelled deviation."""
        for name, s in self.s.items():
            s.fill_(-torch.log(torch.tensor(self._analytic(name, mean_losses[name]))))

    def _analytic(self, name: str, mean_loss: float) -> float:
        """Returns the weight at the optimum: a factor of the regulariser acts like dividing the loss by it."""
        return analytic_weight(mean_loss / self.regularised[name], self.rectified)


def analytic_weight(mean_loss: float, rectified: bool = True) -> float:
    """Returns the weight ``1 / sigma*`` that minimises the expected harmonious loss.

    Rectified (Eq. 13): ``2 / (E[L] + sqrt(E[L]^2 + 4 E[L]))``. Not rectified (Prop. 3.1): ``1 / E[L]``.

    Raises:
        BalancerError: if ``mean_loss`` is not positive, because there is no minimum.
    """
    if not mean_loss > 0:
        raise BalancerError(f"the analytic weight needs a positive mean loss, got {mean_loss}")
    if rectified:
        return 2 / (mean_loss + (mean_loss**2 + 4 * mean_loss) ** 0.5)
    return 1 / mean_loss
