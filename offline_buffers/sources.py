"""Provides a buffer's episodes: played for it in worker processes, or taken from a finished online run."""

from __future__ import annotations

import errno
import math
import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from hdream_core import envs
from hdream_core.data.collector import store_fields
from hdream_core.data.environments import make_env
from hdream_core.data.minari_layout import convert
from hdream_core.data.store import EpisodeStore
from hdream_core.runs import checkpoint
from hdream_core.runs import folder as run_folder
from hdream_core.spec import Spec
from hdream_core.support import untrusted
from hdream_core.support.errors import ConfigError
from hdream_core.support.processes import cores, die_with_parent
from hdream_core.support.progress import progress_bar
from offline_buffers.behaviors import behavior_of, play
from offline_buffers.parts import episode_lengths, write_part

EPISODES_PER_PART = 5


class Job(Protocol):
    """Lists the settings of a build (``build.Build``) that ``PlayedSource`` needs."""

    task: str
    steps: int
    source: str
    workers: int
    seed: int
    render: str | None
    camera: str | None


class PlayedSource:
    """Plays episodes for the buffer, by the expert or at random."""

    def __init__(self, job: Job):
        self.job = job
        env = _make_env(job)  # raises errors before anything is written
        if job.source == "scripted" and not isinstance(env, envs.Scripted):
            raise ConfigError(f"--source scripted: {job.task} has no script; take --source random or --source run:PATH")
        self.spec, self.look, self.settings = (
            Spec.of(env),
            env.look,
            asdict(envs.find(job.task).settings(**_looks(job))),
        )
        self.episodes = -(-job.steps // env.time_limit)  # the fewest that can be enough
        self.identity = {
            "task": job.task,
            "source": job.source,
            "steps": job.steps if env.terminates else self.episodes * env.time_limit,
            "seed": job.seed,
            **env.look,
            "time_limit": env.time_limit,
        }

    def collect(self, folder: Path, show_progress: bool) -> tuple[list[Path], int]:
        """Plays the missing episodes in worker processes until there are enough steps.

        Returns:
            All parts in order, and the number of their episodes that make the buffer. If episodes end early, steps are
            missing, so more are played. Some of the last may not be needed.
        """
        parts, played, wanted = [], np.zeros(0, np.int64), self.episodes
        total = self.identity["steps"]
        with progress_bar(
            total=total, unit="step", disable=not show_progress, desc=f"collecting {self.job.task}"
        ) as bar:
            while played.sum() < self.job.steps:
                new = plan_parts(range(len(played), len(played) + wanted), folder, len(parts))
                bar.update(self._steps(part for part in new if part.exists()).sum())
                self._play({part: episodes for part, episodes in new.items() if not part.exists()}, bar.update)
                parts = [*parts, *new]
                played = self._steps(parts)
                wanted = math.ceil(max(self.job.steps - played.sum(), 0) / played.mean())
        return parts, int(np.searchsorted(played.cumsum(), self.job.steps)) + 1

    def _steps(self, parts: Iterable[Path]) -> np.ndarray:
        """Returns the environment steps of each finished episode at least, as the last action may be cut short."""
        lengths = np.array([length for part in parts for length in episode_lengths(part)], np.int64)
        full = np.minimum(lengths * self.spec.action_repeat, self.spec.time_limit)
        return np.where(full < self.spec.time_limit, (lengths - 1) * self.spec.action_repeat + 1, full)

    def _play(self, missing: dict[Path, list[int]], on_steps: Callable[[int], object]) -> None:
        if not missing:
            return
        workers = min(self.job.workers or cores(), len(missing))
        context = multiprocessing.get_context("spawn")  # a forked GL context would be broken
        pool = ProcessPoolExecutor(workers, context, initializer=die_with_parent, initargs=(os.getpid(),))
        try:
            for future in as_completed([pool.submit(_play_part, self.job, *item) for item in missing.items()]):
                on_steps(self._steps([future.result()]).sum())
        except BrokenProcessPool:  # libhdf5 does not survive a full disk, and no process survives a lack of memory
            folder = next(iter(missing)).parent
            raise OSError(errno.EIO, "a process that played died; is disk or memory full?", str(folder)) from None
        finally:
            pool.shutdown(cancel_futures=True)


class RunSource:
    """Copies the episodes of a finished online run, as C.4 does."""

    def __init__(self, run: Path, task: str):
        config = run_folder.read_config(run)
        if config.offline_buffer is not None:
            raise ConfigError(f"{run}: trained offline, so it has no episodes of its own; give an online run")
        if config.task != task:
            raise ConfigError(f"{run}: is a run of {config.task}; give --task {config.task}")
        if not run_folder.is_done(run):
            raise ConfigError(f"{run}: is not finished; resume it first")
        self.seed = config.seed
        env = make_env(config, config.seed)
        self.spec, self.look, self.settings = Spec.of(env), env.look, asdict(config.env)
        self.store = EpisodeStore(run / "replay", store_fields(env))  # raises an error if the layouts differ
        state = checkpoint.load_run(run)
        if state is None:
            raise ConfigError(f"{run}: has no checkpoint, so its episodes are not known")
        frames = run_folder.read_provenance(run)
        with untrusted.expecting(f"{run}: its checkpoint or provenance.json is not that of an online run", ConfigError):
            self.store.set_position(state["episodes"].numpy())
            self.identity = {
                "task": config.task,
                "source": f"run:{run}",
                "steps": self.store.rows - self.store.episodes,
                "seed": config.seed,
                **{name: untrusted.plain_name(frames[name], name) for name in env.look},
                "time_limit": self.spec.time_limit,
            }

    def collect(self, folder: Path, show_progress: bool) -> tuple[list[Path], int]:
        """Copies the missing episodes; returns all parts in order, and the number of episodes in them."""
        parts = plan_parts(range(self.store.episodes), folder)
        for path, episodes in progress_bar(parts.items(), unit="part", disable=not show_progress):
            if not path.exists():
                write_part(path, self._episodes(episodes))
        return list(parts), self.store.episodes

    def _episodes(self, indices: Iterable[int]) -> Iterator[tuple[int, int, dict[str, np.ndarray]]]:
        for index in indices:
            episode = convert(self.store.episode(index), to="minari")
            truncated = np.zeros(len(episode["rewards"]), bool)
            truncated[-1] = not episode["terminations"][-1]
            yield index, self.seed, episode | {"truncations": truncated}


def plan_parts(episodes: range, folder: Path, first: int = 0) -> dict[Path, list[int]]:
    """Returns the parts that a buffer is written in, each with its episodes, so that an interrupted build keeps some.

    Args:
        episodes: episodes to write.
        folder: folder of the parts; made if needed.
        first: number of the first part.
    """
    folder.mkdir(exist_ok=True)
    chunks = np.array_split(np.arange(episodes.start, episodes.stop), -(-len(episodes) // EPISODES_PER_PART))
    return {folder / f"part_{first + i:05d}.h5": chunk.tolist() for i, chunk in enumerate(chunks)}


def _play_part(job: Job, path: Path, episodes: list[int]) -> Path:
    """Plays some episodes in a worker process; returns the finished part."""
    env = _worker_env(job)
    played = ((index, job.seed, play(env, behavior_of(job.source, job.seed, index), index)) for index in episodes)
    write_part(path, played)
    return path


_envs: dict[Job, Any] = {}  # one environment, and so one renderer, per worker process


def _worker_env(job: Job) -> Any:
    if job not in _envs:
        _envs[job] = _make_env(job)
    return _envs[job]


def _make_env(job: Job) -> Any:
    return envs.make(job.task, seed=job.seed, **_looks(job))


def _looks(job: Job) -> dict[str, str]:
    looks = {"render": job.render, "camera": job.camera}
    return {name: value for name, value in looks.items() if value is not None}
