"""Parses the names of methods that studies compare, as folders, files and figures use them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hdream_core.config.presets import METHODS, presets_for
from hdream_core.support.errors import ConfigError

WEIGHTS = ("w_o", "w_r", "w_d")
DIALS = {"lever": int, "contrast": float, "reward": float, "background": int}  # of mini_dial
PLAIN = "vary=none"  # of DMC Remastered: nothing is varied
IMPLICIT = "w_o=0,w_r=100"  # decoder-free, Finding 3
ORIGINAL = "w_r=1"  # DreamerV2 unchanged, the "original weight" in C.4
# Methods that are a preset's method with a change.
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {"unrectified": ("harmony", {"balancer.rectified": False})}  # Eq. 4


def first_able(task: str) -> str:
    """Returns the first method with fixed weights that has presets for a task."""
    able = (name for name in METHODS if _kind(name) == "fixed" and presets_for(task, name))
    return next(able, next(iter(METHODS)))


def of_method(names: Sequence[str], method: str) -> list[str]:
    """Returns names of methods as those of another agent: ``w_r=10`` as ``dreamerv3,w_r=10``.

    Args:
        names: as ``parse`` reads them; one that names an agent other than the first stays.
        method: a preset's method with fixed weights, whose agent is meant.

    Raises:
        ConfigError: if it is no such method.
    """
    fixed = [name for name in METHODS if _kind(name) == "fixed"]
    if method not in fixed:
        raise ConfigError(f"--method {method}: its weights must be fixed; take one of {', '.join(fixed)}")
    if method == fixed[0]:
        return list(names)
    return [_renamed(name, fixed[0], method) for name in names]


def _renamed(name: str, first: str, method: str) -> str:
    """Returns a name with the first agent's method replaced by the same kind of the agent of ``method``."""
    base = next((part for part in name.split(",") if "=" not in part), first)
    agent = METHODS[method][0]
    if base not in METHODS or METHODS[base][0] != METHODS[first][0]:
        return name
    other = next((m for m in METHODS if METHODS[m][0] == agent and _kind(m) == _kind(base)), None)
    if other is None:
        raise ConfigError(f"method {name!r}: {agent} has no {_kind(base)} balancer; name another method")
    return ",".join([other, *(part for part in name.split(",") if "=" in part)])


def _kind(method: str) -> str:
    return METHODS[method][1]["balancer.kind"]


def weight_name(w_r: float) -> str:
    """Returns the name of DreamerV2 with a reward-loss weight: ``w_r=10``."""
    return f"w_r={w_r:g}"


def parse(method: str) -> tuple[str, dict[str, Any]]:
    """Returns the preset method and the changed settings that a name means.

    A name is a list with commas: at most one of the presets' methods or variants, and fixed weights, e.g.
    ``w_r=100``, ``w_o=0,w_r=100``, ``harmony``, ``harmony,w_d=1`` (E.4), ``unrectified`` (Eq. 4). On ``mini_dial`` it
    may also set dials of the task, e.g. ``contrast=0.1,harmony``, and on DMC Remastered ``vary=none``.

    Raises:
        ConfigError: for an unknown name, or one that sets something twice.
    """
    bases: list[str] = []
    changes: dict[str, Any] = {}
    for part in method.split(","):
        name, equals, value = part.partition("=")
        if equals and name in (*WEIGHTS, *DIALS):
            setting = f"balancer.{name}" if name in WEIGHTS else f"env.{name}"
            if setting in changes:
                raise ConfigError(f"method {method!r}: {name} is given twice")
            changes[setting] = _number(method, value, DIALS.get(name, float))
        elif part == PLAIN:
            changes["env.vary"] = ()
        elif not equals and (part in VARIANTS or part in METHODS):
            bases.append(part)
        else:
            known = ", ".join((*METHODS, *VARIANTS))
            raise ConfigError(f"no method {method!r}; combine fixed weights such as w_r=100 with one of {known}")
    if len(bases) > 1:
        raise ConfigError(f"method {method!r}: {bases[0]} and {bases[1]} are two methods; name one")
    base, more = VARIANTS.get(bases[0], (bases[0], {})) if bases else ("dreamerv2", {})
    return base, changes | more | {"method": method}


def _number(method: str, value: str, kind: type) -> float:
    try:
        return kind(value)
    except ValueError:
        what = "number" if kind is float else "whole number"
        raise ConfigError(f"method {method!r}: {value!r} is not a {what}") from None
