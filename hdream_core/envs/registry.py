"""Lists the suites and finds a task's. A new benchmark: one file with a ``SUITE``, one line in ``_SUITES``."""

from __future__ import annotations

import difflib
import functools
import importlib
from typing import Any

from hdream_core.envs.suite import Suite
from hdream_core.support.errors import UserError
from hdream_core.support.settings import nearest

# Modules that hold a ``SUITE``. They import nothing heavy: an environment's imports wait until it is made.
_SUITES = {
    "metaworld": "hdream_core.envs.metaworld",
    "miniature": "hdream_core.envs.miniature",
    "dial": "hdream_core.envs.dial",
    "dmc": "hdream_core.envs.dmc",
    "dmcr": "hdream_core.envs.dmcr",
    "dmcnbg": "hdream_core.envs.dmcnbg",
    "twin": "hdream_core.envs.twin",
    "atari": "hdream_core.envs.atari",
    "moves": "hdream_core.envs.moves",
}


class UnknownTaskError(UserError, ValueError):
    """Reports that no environment has this name; the message names the nearest ones."""


@functools.cache
def suite(name: str) -> Suite:
    """Returns a suite by its name."""
    if name not in _SUITES:
        raise UnknownTaskError(f"unknown suite {name!r}; there are {', '.join(_SUITES)}{nearest(name, _SUITES)}")
    return importlib.import_module(_SUITES[name]).SUITE


def suites() -> tuple[Suite, ...]:
    """Returns all suites."""
    return tuple(suite(name) for name in _SUITES)


def tasks() -> tuple[str, ...]:
    """Returns the names of all tasks, sorted."""
    return tuple(sorted(task for each in suites() for task in each.tasks))


def find(task: str) -> Suite:
    """Returns the suite of ``task``; raises UnknownTaskError, naming the nearest tasks, if there is none."""
    for each in suites():
        if task in each.tasks:
            return each
    spelled = task.lower().replace("-", "_").removesuffix("_v3").removesuffix("_v2")
    near = difflib.get_close_matches(spelled, tasks(), n=3, cutoff=0.5)
    hint = f"did you mean {', '.join(near)}" if near else f"for example {', '.join(tasks()[:3])}"
    raise UnknownTaskError(f"unknown task {task!r}; {hint}? (python -m hdream_core.tasks lists all {len(tasks())})")


def make(task: str, **options: Any) -> Any:
    """Makes the environment of ``task``, one of ``tasks()``; see ``contract.Env`` for its methods.

    Args:
        task: name of the task.
        options: ``seed`` (episode k depends on ``(seed, k)`` alone), and the settings of the task's suite, such as
            ``render`` and ``camera`` of Meta-world.
    """
    return find(task).make(task, **options)


def positions(task: str, state: Any) -> dict[str, Any]:
    """Maps states ``(..., n)`` of a task to the positions of its objects by name, ``(..., d)`` each.

    Raises:
        UnknownTaskError: if the suite does not say where they are in the state.
    """
    owner = find(task)
    if owner.positions is None:
        raise UnknownTaskError(f"where {task}'s objects are in its state is not known; take another task")
    return owner.positions(task, state)
