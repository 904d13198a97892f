"""Task names, and which class makes each. A new benchmark: one adapter module, one line in ``_ADAPTERS``."""

from __future__ import annotations

import difflib
import importlib
from typing import Any

from hdream_core.support.errors import UserError

# Meta-world's fifty tasks under the paper's names: ``lever_pull`` is Meta-world's ``lever-pull-v3``.
METAWORLD_TASKS = tuple(
    """
    assembly basketball bin_picking box_close button_press button_press_topdown button_press_topdown_wall
    button_press_wall coffee_button coffee_pull coffee_push dial_turn disassemble door_close door_lock
    door_open door_unlock drawer_close drawer_open faucet_close faucet_open hammer hand_insert handle_press
    handle_press_side handle_pull handle_pull_side lever_pull peg_insert_side peg_unplug_side pick_out_of_hole
    pick_place pick_place_wall plate_slide plate_slide_back plate_slide_back_side plate_slide_side push
    push_back push_wall reach reach_wall shelf_place soccer stick_pull stick_push sweep sweep_into
    window_close window_open
    """.split()
)

# (tasks, module, class). The module is imported when a task of it is made, so that nothing heavy loads
# before.
_ADAPTERS: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (METAWORLD_TASKS, "hdream_core.envs.metaworld", "MetaWorld"),
    (("mini_lever",), "hdream_core.envs.miniature", "Miniature"),
)


class UnknownTaskError(UserError, ValueError):
    """No environment has this name; the message names the nearest ones."""


def tasks() -> tuple[str, ...]:
    """Names of all tasks, sorted."""
    return tuple(sorted(task for names, _, _ in _ADAPTERS for task in names))


def make(task: str, **options: Any) -> Any:
    """Make the environment of ``task``, one of ``tasks()``.

    Options common to all: ``seed`` (episode k depends on ``(seed, k)`` alone), ``render``, ``camera`` and ``size``, as
    ``hdream_core.envs.metaworld.MetaWorld`` explains them. Observations are dicts of ``image``, uint8
    ``(size, size, 3)``, and ``state``, float64 ``(n,)``.
    """
    module, class_name = find(task)
    return getattr(importlib.import_module(module), class_name)(task, **options)


def find(task: str) -> tuple[str, str]:
    """Module and class that make ``task``; UnknownTaskError, naming the nearest tasks, if nothing does."""
    for names, module, class_name in _ADAPTERS:
        if task in names:
            return module, class_name
    spelled = task.lower().replace("-", "_").removesuffix("_v3").removesuffix("_v2")
    nearest = difflib.get_close_matches(spelled, tasks(), n=3, cutoff=0.5)
    hint = f"did you mean {', '.join(nearest)}" if nearest else f"for example {', '.join(tasks()[:3])}"
    raise UnknownTaskError(f"unknown task {task!r}; {hint}? (hdream_core.envs.tasks() lists {len(tasks())})")
