"""Fits the numbers of episodes and windows that a study asks for to what there is, before anything starts.

A number that the user asked for is kept or refused. A number that was left to the preset is fitted, and the change is
printed: more episodes where they are short, fewer windows where a buffer has no more.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, TypeVar

from analysis.runs.study import Plan, Study
from hdream_core.data.environments import make_env
from hdream_core.data.minari_layout import DatasetError, read_metadata
from hdream_core.data.replay import split_episodes
from hdream_core.envs.opengl import RenderingError
from hdream_core.runs import folder as run_folder
from hdream_core.spec import Spec
from hdream_core.support.commandline import flag_of
from hdream_core.support.errors import ConfigError

Job = TypeVar("Job", bound=Study)
Part = Literal["heldout", "training", "played"]
WORDS = {"heldout": "episodes held out of training", "training": "episodes to train on"}


def settle(job: Job, plan: Plan, windows: str, episodes: str | None, length: int, part: Part = "heldout") -> Job:
    """Fits the numbers of windows and of episodes to each other and to what there is.

    Args:
        job: of ``study.sized``.
        plan: of the job.
        windows, episodes: names of the two flags; without the second, windows are from all episodes of a buffer.
        length: rows of a window.
        part: of the buffer that the episodes are from, or ``played``. Online all episodes are played.

    Raises:
        ConfigError: if a number that was asked for cannot be had; it names the flag and what there is.
    """
    available = recorded(plan, part)
    if episodes is not None:
        job = settle_episodes(job, plan, episodes, part)
    rows = rows_of_episode(plan, job.plan_only)
    if rows is None:
        return job
    each = max(rows - length + 1, 0)  # windows in an episode
    if not each:
        raise ConfigError(f"windows of {length} rows do not fit into {job.task}'s episodes of {rows}")
    count = getattr(job, windows)
    used = available if episodes is None else getattr(job, episodes)
    if episodes is not None and episodes not in job.given:
        used = max(used, -(-count // each))
        used = used if available is None else min(used, available)
    if count > used * each:
        if windows in job.given or not used:
            more = "give a larger --buffer" if used == available else f"for more {flag_of(episodes)}"
            where = f"{plan.config.offline_buffer}: " if episodes is None else ""
            whose = f"{where}{used} {'episodes' if available is None else WORDS[part]}"
            raise ConfigError(
                f"{flag_of(windows)} {count}: {whose} of {rows} rows hold {used * each} windows of {length}; "
                f"ask for {used * each} or fewer, or {more}"
            )
        count = used * each
    return fitted(job, **({episodes: used} if episodes else {}) | {windows: count})


def settle_episodes(job: Job, plan: Plan, episodes: str, part: Part = "heldout") -> Job:
    """Fits a number of episodes to what there is; arguments as for ``settle``."""
    available, count = recorded(plan, part), getattr(job, episodes)
    if available is None or count <= available:
        return job
    if episodes in job.given:
        raise ConfigError(
            f"{flag_of(episodes)} {count}: {plan.config.offline_buffer} has {available} {WORDS[part]}; ask for "
            f"{available} or fewer, or give a larger --buffer"
        )
    return fitted(job, **{episodes: available})


def fitted(job: Job, **numbers: int) -> Job:
    """Returns the job with other numbers, and prints each that changed."""
    for name, number in numbers.items():
        if number != (before := getattr(job, name)):
            reason = "as many as it takes" if number > before else "as many as there are"
            print(f"{flag_of(name)} is {number}, not the preset's {before}: {reason}")
    return replace(job, **numbers)


def recorded(plan: Plan, part: Part = "heldout") -> int | None:
    """Returns how many episodes a part of the plan's buffer has or will have; None if episodes are played as needed."""
    config = plan.config
    if config.offline_buffer is None or part == "played":
        return None
    total = _from_metadata(plan, "total_episodes")
    if total is None:
        total = -(-plan.recipe.steps // make_env(config, seed=0).time_limit)
    return len(split_episodes(total, config.eval.heldout_fraction)[int(part == "heldout")])


def rows_of_episode(plan: Plan, plan_only: bool = False) -> int | None:
    """Returns the rows of an episode: its first frame and one for each action. None if episodes differ in length.

    Args:
        plan: whose episodes.
        plan_only: return None, too, on a machine that cannot render.
    """
    config = plan.config
    steps, episodes = (_from_metadata(plan, f"total_{name}") for name in ("steps", "episodes"))
    if steps and episodes:
        each, left = divmod(steps, episodes)
        terminates = (_from_metadata(plan, "hdream").get("spec") or {}).get("terminates", False)
        return None if left or terminates else each + 1
    folder = plan.runs[0].folder
    try:
        started = (folder / "spec.json").exists()
        spec = run_folder.read_spec(folder, config.task) if started else Spec.of(make_env(config, seed=0))
    except RenderingError:
        if not plan_only:
            raise
        return None
    return None if spec.terminates else -(-spec.time_limit // spec.action_repeat) + 1


def _from_metadata(plan: Plan, name: str) -> Any:
    """Returns an entry of the buffer's metadata; None if no buffer is built yet."""
    folder = plan.config.offline_buffer
    try:
        return read_metadata(Path(folder))[name] if folder else None
    except DatasetError:
        if plan.recipe is None:
            raise
        return None
