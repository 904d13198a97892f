"""Parses the names of methods that studies compare, as folders, files and figures use them."""

from __future__ import annotations

from typing import Any

from hdream_core.config.presets import METHODS
from hdream_core.support.errors import ConfigError

WEIGHTS = ("w_o", "w_r", "w_d")
IMPLICIT = "w_o=0,w_r=100"  # decoder-free, Finding 3
ORIGINAL = "w_r=1"  # DreamerV2 unchanged, the "original weight" in C.4
# Methods that are a preset's method with a change.
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {"unrectified": ("harmony", {"balancer.rectified": False})}  # Eq. 4


def weight_name(w_r: float) -> str:
    """Returns the name of DreamerV2 with a reward-loss weight: ``w_r=10``."""
    return f"w_r={w_r:g}"


def parse(method: str) -> tuple[str, dict[str, Any]]:
    """Returns the preset method and the changed settings that a name means.

    A name is a list with commas: at most one of the presets' methods or variants, and fixed weights, e.g.
    ``w_r=100``, ``w_o=0,w_r=100``, ``harmony``, ``harmony,w_d=1`` (E.4), ``unrectified`` (Eq. 4).

    Raises:
        ConfigError: for an unknown name, or one that sets something twice.
    """
    bases: list[str] = []
    changes: dict[str, Any] = {}
    for part in method.split(","):
        name, equals, value = part.partition("=")
        if equals and name in WEIGHTS:
            if f"balancer.{name}" in changes:
                raise ConfigError(f"method {method!r}: {name} is given twice")
            changes[f"balancer.{name}"] = _weight(method, value)
        elif not equals and (part in VARIANTS or part in METHODS):
            bases.append(part)
        else:
            known = ", ".join((*METHODS, *VARIANTS))
            raise ConfigError(f"no method {method!r}; combine fixed weights such as w_r=100 with one of {known}")
    if len(bases) > 1:
        raise ConfigError(f"method {method!r}: {bases[0]} and {bases[1]} are two methods; name one")
    base, more = VARIANTS.get(bases[0], (bases[0], {})) if bases else ("dreamerv2", {})
    return base, changes | more | {"method": method}


def _weight(method: str, value: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise ConfigError(f"method {method!r}: {value!r} is not a weight") from None
