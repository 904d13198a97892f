"""Plays a few actions in every task of a suite and keeps the frames: what the benchmark looks like (Figs. 10 to 12).

``python -m analysis.examples --suite dmcr`` writes ``results/examples_dmcr.h5`` and draws the figure: a row for each
task, a column for each episode. Nothing is trained.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from analysis.results.schema import Result, ResultError, load, save
from analysis.results.tasks import SHOWN
from analysis.runs import gather, pictures
from analysis.runs.target import REMEDY
from hdream_core import envs
from hdream_core.config.fields import LARGEST_SEED
from hdream_core.envs import registry
from hdream_core.envs.suite import PICTURES, Suite
from hdream_core.support import commandline
from hdream_core.support.errors import ConfigError, exit_on_user_error

STUDY = "examples"
ITEM = "Figs. 10, 11, 12"
ABOUT = "Show what the tasks of a benchmark look like."
MOST = {"episodes": 12, "steps": 10_000, "seed": LARGEST_SEED}


@dataclass(frozen=True)
class Examples:
    """Show frames of a benchmark's tasks: one row per task, one column per episode."""

    suite: str = "dmcr"
    """Benchmark, such as metaworld, dmc, dmcr or atari."""
    tasks: tuple[str, ...] | None = None
    """Its tasks to show. Default: those that the paper shows, or else all."""
    episodes: int = 6
    """Episodes of each task."""
    steps: int = 20
    """Actions before the frame is taken: the script's where a task has one, else random."""
    seed: int = 0
    """Seed of the first task's episodes; each further task has the next."""
    size: int | None = None
    """Height and width of a frame in pixels, of suites that have a choice. Default: the suite's."""
    render: str | None = None
    """Render quality, of suites that have several. Default: the suite's."""
    alone: str | None = None
    """Also show this task with one factor of its look varied at a time, of suites that vary some. Default: none."""
    results: Path = Path("results")
    """Folder of the result file."""
    replace: bool = False
    """Whether an existing result with other settings, or a damaged one, may be replaced; else it is refused."""
    out: Path = Path("figures/out")
    """Folder of the figure."""


class Row(NamedTuple):
    """Holds what a row of the figure shows: its name, its task, and the options of its environment."""

    name: str
    task: str
    options: dict[str, Any]


def rows(job: Examples) -> list[Row]:
    """Returns the rows of a job.

    Raises:
        UserError: for an unknown suite or task, or a setting that the suite does not have or allow.
    """
    suite = registry.suite(job.suite)
    for name, most in MOST.items():
        least = int(name == "episodes")
        if not least <= getattr(job, name) <= most:
            raise ConfigError(f"{name} is {getattr(job, name)}; it must be from {least} to {most}")
    tasks = job.tasks or SHOWN.get(suite.name, suite.tasks)
    for task in (*tasks, *([job.alone] if job.alone else [])):
        if (owner := envs.find(task)) is not suite:
            raise ConfigError(f"{task} is a task of {owner.name}, not of {suite.name}")
    if len(set(tasks)) < len(tasks):
        raise ConfigError(f"--tasks {' '.join(tasks)}: different tasks are needed")
    given = {name: value for name in ("size", "render") if (value := getattr(job, name)) is not None}
    found = [Row(task, task, {"seed": job.seed + i} | _options(suite, given)) for i, task in enumerate(tasks)]
    if job.alone is None:
        return found
    if not (factors := getattr(suite.settings(), "vary", ())):
        raise ConfigError(f"--alone {job.alone}: {suite.name} varies nothing; leave it out")
    seed = job.seed + (tasks.index(job.alone) if job.alone in tasks else len(tasks))
    return found + [
        Row(f"{factor} alone", job.alone, {"seed": seed} | _options(suite, given | {"vary": (factor,)}))
        for factor in factors
    ]


def _options(suite: Suite, given: Mapping[str, Any]) -> dict[str, Any]:
    for name, value in given.items():
        if name not in suite.settings.__dataclass_fields__:
            raise ConfigError(f"--{name} {value}: frames of {suite.name} have no such setting; leave it out")
    checked = suite.settings(**given)
    return {name: getattr(checked, name) for name in given}


def frames(row: Row, episodes: int, steps: int) -> tuple[np.ndarray, dict[str, str]]:
    """Plays the first actions of some episodes; returns the frame after them, uint8 ``(episode, H, W, 3)``, and the
    look of the environment."""
    env, drawn = envs.make(row.task, **row.options), []
    for episode in range(episodes):
        observation, _ = env.reset(options={"episode": episode})
        rng = np.random.default_rng([row.options["seed"], episode])
        for _ in range(steps):
            observation, _, terminated, truncated, _ = env.step(_action(env, rng))
            if terminated or truncated:
                break
        drawn.append(observation["image"])
    return np.array(drawn), dict(env.look)


def _action(env: Any, rng: np.random.Generator) -> np.ndarray:
    if isinstance(env, envs.Scripted):
        return env.expert_action()
    if hasattr(env.action_space, "n"):
        return np.eye(env.action_space.n, dtype=np.float32)[rng.integers(env.action_space.n)]
    return rng.uniform(-1, 1, env.action_space.shape).astype(np.float32)


def result(job: Examples, root_attributes: dict[str, Any]) -> Result:
    """Returns the frames of all rows as a result."""
    planned = rows(job)
    played = [frames(row, job.episodes, job.steps) for row in planned]
    pixels = np.array([drawn for drawn, _ in played])  # (row, episode, y, x, channel)
    axes = {"row": np.array([row.name for row in planned]), "episode": np.arange(job.episodes)}
    axes |= {name: np.arange(n) for name, n in zip(("y", "x", "channel"), pixels.shape[2:], strict=True)}
    notes = {
        "settings": settings(job),
        "tasks": [row.task for row in planned],
        "looks": [look for _, look in played],
    }
    return Result(root_attributes, axes, {"picture/example": (tuple(axes), pixels)}, {}, notes)


def settings(job: Examples) -> dict[str, Any]:
    """Returns what a result of a job depends on, by flag."""
    names = ("suite", "tasks", "episodes", "steps", "seed", "size", "render", "alone")
    values = {name: getattr(job, name) for name in names}
    return values | {"tasks": list(job.tasks or ())}


def check_same(path: Path, job: Examples) -> None:
    """Raises UserError, naming the first setting that differs, if a file holds a result of another job."""
    if not path.exists():
        return
    try:
        held = load(path).notes.get("settings")
    except ResultError as error:
        raise ResultError(f"{error}; {REMEDY}") from None
    for name, value in settings(job).items():
        if not isinstance(held, dict) or held.get(name) != value:
            was = held.get(name) if isinstance(held, dict) else "unknown"
            raise ConfigError(f"{path}: holds a result with --{name} {was}, not {value}; {REMEDY}")


def main(args: Sequence[str] | None = None) -> None:
    """Entry point."""
    arguments = sys.argv[1:] if args is None else list(args)
    with exit_on_user_error():
        job = commandline.parse(Examples, arguments, f"python -m analysis.{STUDY}")
        started = time.perf_counter()
        rows(job)  # refuses what cannot be shown before anything is loaded
        path = job.results / f"{STUDY}_{job.suite}.h5"
        if not job.replace:
            check_same(path, job)
        found = result(job, gather.origin(STUDY, gather.command_line(STUDY, arguments)))
        suite = registry.suite(job.suite)
        made = any(not getattr(suite.settings(), name, True) for name in PICTURES)  # in place of the paper's pictures
        scale = suite.scale or ("reduced" if made else "paper")
        found.attributes |= {"scale": scale, "preset": "none", "task": job.suite, "buffer_sha256": ""}
        found.attributes["wall_seconds"] = time.perf_counter() - started
        save(found, path)
        print(f"result: {path}", flush=True)
        print(f"figure: {pictures.draw(STUDY, path, job.out)}")


if __name__ == "__main__":
    main()
