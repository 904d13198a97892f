"""How many episodes and windows a study asks for, and how many there are: they fit each other before anything starts.

What a user asks for is had or refused. What is left to the preset becomes what fits, and that is said: more episodes
where they are short, fewer windows where a buffer has no more.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal, TypeVar

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


def settle(job: Job, plan: Plan, windows: str, episodes: str, length: int, part: Part = "heldout") -> Job:
    """Makes the numbers of windows and of the episodes that they are drawn from fit each other and what there is.

    Args:
        job: of ``study.sized``.
        plan: of the job.
        windows, episodes: names of the two flags.
        length: rows of a window.
        part: of the buffer that they are from, or ``played``. Online all are played.

    Raises:
        ConfigError: if a number was asked for that cannot be had, with the flag and what there is.
    """
    there = recorded(plan, part)
    if there is not None:
        job = _had(job, plan, episodes, there, part)
    rows = rows_of_episode(plan, job.plan_only)
    if rows is None:
        return job
    if not (each := max(rows - length + 1, 0)):
        raise ConfigError(f"windows of {length} rows do not fit into {job.task}'s episodes of {rows}")
    count, of = getattr(job, windows), getattr(job, episodes)
    if episodes not in job.given:
        of = max(of, -(-count // each))
        of = of if there is None else min(of, there)
    if count > of * each:
        if windows in job.given:
            more = f"for more {flag_of(episodes)}" if there is None or of < there else "give a larger --buffer"
            raise ConfigError(
                f"{flag_of(windows)} {count}: {of} episodes of {rows} rows hold {of * each} windows of {length}; ask "
                f"for {of * each} or fewer, or {more}"
            )
        count = of * each
    return fitted(job, **{episodes: of, windows: count})


def settle_episodes(job: Job, plan: Plan, episodes: str, part: Part = "heldout") -> Job:
    """``settle`` for a number of recorded episodes alone."""
    there = recorded(plan, part)
    return job if there is None else _had(job, plan, episodes, there, part)


def settle_windows(job: Job, plan: Plan, windows: str, length: int) -> Job:
    """``settle`` for windows of all recorded episodes that are held out."""
    rows, there, count = rows_of_episode(plan, job.plan_only), recorded(plan), getattr(job, windows)
    if rows is None or there is None or count <= (most := max(rows - length + 1, 0) * there):
        return job
    if windows in job.given or not most:
        raise ConfigError(
            f"{flag_of(windows)} {count}: {plan.config.offline_buffer} has {there} {WORDS['heldout']}, of {rows} rows, "
            f"which hold {most} windows of {length}; ask for {most} or fewer, or give a larger --buffer"
        )
    return fitted(job, **{windows: most})


def _had(job: Job, plan: Plan, episodes: str, there: int, part: Part) -> Job:
    """The job with no more episodes than there are."""
    if (of := getattr(job, episodes)) <= there:
        return job
    if episodes in job.given:
        raise ConfigError(
            f"{flag_of(episodes)} {of}: {plan.config.offline_buffer} has {there} {WORDS[part]}; ask for {there} or "
            "fewer, or give a larger --buffer"
        )
    return fitted(job, **{episodes: there})


def fitted(job: Job, **numbers: int) -> Job:
    """The job with other numbers, each of which is said if it differs from what it was."""
    for name, number in numbers.items():
        if number != (before := getattr(job, name)):
            reason = "as many as it takes" if number > before else "as many as there are"
            print(f"{flag_of(name)} is {number}, not the preset's {before}: {reason}")
    return replace(job, **numbers)


def recorded(plan: Plan, part: Part = "heldout") -> int | None:
    """How many episodes a part of the plan's buffer has, built or not; None where episodes are played as needed."""
    config = plan.config
    if config.offline_buffer is None or part == "played":
        return None
    total = _of_buffer(plan, "total_episodes")
    if total is None:
        total = -(-plan.recipe.steps // make_env(config, seed=0).time_limit)
    return len(split_episodes(total, config.eval.heldout_fraction)[int(part == "heldout")])


def rows_of_episode(plan: Plan, plan_only: bool = False) -> int | None:
    """Rows of an episode: its first frame, and one an action. None where that differs, or cannot be known yet.

    Args:
        plan: whose episodes.
        plan_only: whether a machine that cannot render will do.
    """
    config = plan.config
    steps, episodes = (_of_buffer(plan, f"total_{name}") for name in ("steps", "episodes"))
    if steps and episodes:
        each, left = divmod(steps, episodes)
        return None if left else each + 1
    folder = plan.runs[0].folder
    try:
        known = (folder / "spec.json").exists()
        spec = run_folder.read_spec(folder, config.task) if known else Spec.of(make_env(config, seed=0))
    except RenderingError:
        if not plan_only:
            raise
        return None
    return None if spec.terminates else -(-spec.time_limit // spec.action_repeat) + 1


def _of_buffer(plan: Plan, name: str) -> int | None:
    """A number of the buffer's metadata, None where none is built yet."""
    folder = plan.config.offline_buffer
    try:
        return read_metadata(Path(folder))[name] if folder else None
    except DatasetError:
        if plan.recipe is None:
            raise
        return None
