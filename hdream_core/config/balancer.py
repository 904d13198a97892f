"""Defines the settings of a balancer, and makes the balancer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from hdream_core.support.errors import ConfigError
from hdream_core.support.settings import AboveZero, settings

if TYPE_CHECKING:
    from hdream_core.balancers import Balancer

Weight = Annotated[float, Field(ge=0)]
WEIGHTS = {"w_o": "observation", "w_r": "reward", "w_d": "dynamics"}
"""Setting of each loss's weight -> name of the loss."""
# Settings that must not be given, because the balancer learns these weights. HarmonyDream always learns w_o and w_r;
# E.4 fixes w_d.
_LEARNED = {"fixed": (), "harmony": ("w_o", "w_r")} | dict.fromkeys(("uw", "dwa", "nashmtl"), tuple(WEIGHTS))


@settings
class BalancerConfig:
    kind: Literal["fixed", "harmony", "uw", "dwa", "nashmtl"] = "fixed"
    """Constant weights (Eq. 3), HarmonyDream's learned ones, or one of those that Fig. 9b compares: uncertainty
    weighting, dynamic weight average, NashMTL."""
    w_o: Weight | None = None
    """Weight of the observation loss L_o, 1 if not given; 0 builds no decoder. Fixed weights only."""
    w_r: AboveZero | None = None
    """Weight of the reward loss L_r, 1 if not given. Fixed weights only."""
    w_d: Weight | None = None
    """Weight of the dynamics loss L_d. Fixed weights: 1 if not given. Harmony: learned if not given (1: E.4)."""
    w_discount: AboveZero | None = 1.0
    """Weight of the discount loss, if the agent has a discount head: constant, as in the authors' code. None: balanced
    like the other losses."""
    w_continue: AboveZero | None = 1.0
    """Weight of DreamerV3's continue loss: constant, as in the authors' code. None: balanced like the other losses."""
    w_norm: Weight = 0.0
    """Weight of DreamerPro's loss of its projections' lengths: constant. 0, the default, leaves it out, as in Eq. 17;
    the authors' code has 1 on natural backgrounds."""
    regulariser_d: AboveZero = 1.0
    """Harmony only: factor of the dynamics loss's regulariser. 1 is Eq. 5; the authors' DreamerV3 has 0.8333 (5/6)."""
    rectified: bool = True
    """Harmony only: regulariser log(1 + sigma) of Eq. 5 (rectified) or log sigma of Eq. 4."""
    dwa_temperature: AboveZero = 2.0
    """DWA only: temperature T of the softmax over the losses' rates of descent."""
    dwa_window: Annotated[int, Field(ge=1, le=10**6)] = 25
    """DWA only: updates in each of the two windows whose mean losses are compared."""
    nash_every: Annotated[int, Field(ge=1)] = 1
    """NashMTL only: updates between two solutions of the bargain."""
    nash_max_norm: AboveZero | None = None
    """NashMTL only: all weights are scaled down until the shared gradient's norm is at most this; None: never."""


def check_weights(config: BalancerConfig, decodes: bool = True) -> None:
    """Raises ConfigError if a weight is given for a loss whose weight the balancer learns, or that there is not.

    Args:
        config: the balancer's settings.
        decodes: whether the agent has an observation loss.
    """
    if config.w_o is not None and not decodes:
        raise ConfigError("balancer.w_o is set, but this agent decodes no frames: it has no observation loss")
    for name in _LEARNED.get(config.kind, ()):
        if getattr(config, name) is not None:
            raise ConfigError(
                f"balancer.{name} is set, but {config.kind} learns its weights; leave it out or take kind=fixed"
            )


def make_balancer(config: BalancerConfig, losses: Iterable[str], image: tuple[int, int, int]) -> Balancer:
    """Makes the balancer that a config describes.

    Args:
        config: the balancer's settings.
        losses: names of all losses that the agent can compute; a mapping also gives the weights that fixed weights
            have by default. A fixed weight of 0 removes its loss.
        image: height, width and channels of a frame, for uncertainty weighting.

    Raises:
        ConfigError: if a setting is invalid, or a weight is given for a loss whose weight the balancer learns.
    """
    from hdream_core import balancers

    constant = {"discount": config.w_discount, "continue": config.w_continue, "norm": config.w_norm}
    base = dict(losses) if isinstance(losses, Mapping) else dict.fromkeys(losses, 1.0)
    base = {name: weight for name, weight in base.items() if constant.get(name) != 0}
    check_weights(config, "observation" in base)
    losses = tuple(base)
    given = {name: w for name in WEIGHTS if (w := getattr(config, name)) is not None}
    if strange := [name for name in given if WEIGHTS[name] not in base]:
        raise ConfigError(
            f"balancer.{strange[0]} is set, but this agent has no {WEIGHTS[strange[0]]} loss; it has {', '.join(base)}"
        )
    weights = {WEIGHTS[name]: w for name, w in given.items()}
    weights |= {name: weight for name, weight in constant.items() if name in base and weight is not None}
    try:
        match config.kind:
            case "fixed":
                return balancers.FixedWeights.of(base | weights)
            case "harmony":
                factors = {"dynamics": config.regulariser_d} if "dynamics" in set(base) - set(weights) else {}
                return balancers.Harmony(losses, config.rectified, weights, factors)
            case "uw":
                height, width, channels = image
                sizes = {"observation": height * width * channels, "reward": 1}
                dimensions = {name: size for name, size in sizes.items() if name in losses}
                return balancers.UncertaintyWeighting(losses, dimensions, weights)
            case "dwa":
                return balancers.DynamicWeightAverage(losses, config.dwa_temperature, config.dwa_window, weights)
            case "nashmtl":
                return balancers.NashMTL(losses, config.nash_every, config.nash_max_norm, weights)
    except balancers.BalancerError as error:  # balancers depend on torch alone, so this is no UserError
        raise ConfigError(f"balancer: {error}") from None
