"""Describes a benchmark suite: its tasks, its settings, and how its environments are made."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from hdream_core.spec import LARGEST, SMALLEST
from hdream_core.support.errors import UserError
from hdream_core.support.settings import settings

LOOK = ("render", "camera")  # settings of a suite that change frames and nothing else
PICTURES = ("assets", "film")  # those that name the paper's own pictures; where they are empty, others stand in
FrameSize = Annotated[int, Field(ge=SMALLEST, le=LARGEST)]
Positions = Callable[[str, np.ndarray], dict[str, np.ndarray]]


class MissingExtraError(UserError, ImportError):
    """Reports that a suite needs packages that are not installed; the message names the extra."""


@settings
class EnvConfig:
    """Holds a suite's settings. A subclass begins with ``suite: Literal["its name"] = "its name"``."""

    suite: str = ""
    """Suite of the task."""


@dataclass(frozen=True)
class Suite:
    """Describes a benchmark.

    Attributes:
        name: name of the suite; the tag of its settings.
        tasks: names of its tasks, as a user types them.
        settings: class of ``Config.env`` for these tasks. Its fields, except ``suite``, are the options of ``env``.
        env: ``module:Class`` of its environments, imported when the first is made.
        positions: maps a task and its states ``(..., n)`` to positions by object, ``(..., d)`` each; None if unknown.
        scale: scale of every result on it, if none can be compared with the paper's (``miniature``, ``twin``).
        extra: name in ``pip install hdream[...]``, if it needs one.
        before: first Python for which the extra has no builds, as ``(3, 13)``.
        usual_length: environment steps that an episode usually takes, for estimates; None: the time limit.
        scripted: whether its environments are ``contract.Scripted``, so that a script can fill a fixed buffer.
    """

    name: str
    tasks: tuple[str, ...]
    settings: type[EnvConfig]
    env: str
    positions: Positions | None = None
    scale: Literal["miniature", "twin"] | None = None
    extra: str | None = None
    before: tuple[int, int] | None = None
    usual_length: int | None = None
    scripted: bool = True

    def make(self, task: str, **options: Any) -> Any:
        """Makes an environment; ``seed`` and the fields of ``settings`` are its options."""
        module, _, name = self.env.partition(":")
        try:
            return getattr(importlib.import_module(module), name)(task, **options)
        except ModuleNotFoundError as error:
            if self.extra is None or (error.name or "").startswith("hdream_core"):
                raise
            remedy = f"run: pip install 'hdream[{self.extra}]'"
            if self.before and sys.version_info >= self.before:
                remedy = f"hdream[{self.extra}] is for Python before {'.'.join(map(str, self.before))}"
            raise MissingExtraError(f"{task} needs the package {error.name}; {remedy}") from None


def whole_number(number: Any, what: str) -> int:
    """Returns a seed or the number of an episode as an int; raises ValueError, naming ``what``, if it is not one."""
    if number != int(number) or number < 0:
        raise ValueError(f"{what}: expected a whole number of 0 or more, got {number!r}")
    return int(number)
