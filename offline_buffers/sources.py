"""Where a buffer's episodes come from: played for it in worker processes, or taken from a finished online run."""

from __future__ import annotations

import errno
import multiprocessing
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from hdream_core import envs
from hdream_core.data.collector import store_fields
from hdream_core.data.minari_layout import convert
from hdream_core.data.sources import make_env
from hdream_core.data.store import EpisodeStore
from hdream_core.runs import checkpoint
from hdream_core.runs import folder as run_folder
from hdream_core.spec import Spec
from hdream_core.support import untrusted
from hdream_core.support.errors import ConfigError
from hdream_core.support.processes import cores, die_with_parent
from hdream_core.support.progress import progress_bar
from offline_buffers.behaviors import behavior_of, play
from offline_buffers.parts import write_part

EPISODES_PER_PART = 5


class Job(Protocol):
    """What ``PlayedSource`` asks of a build's settings (``build.Build``)."""

    task: str
    steps: int
    source: str
    workers: int
    seed: int
    render: str | None
    camera: str | None


class PlayedSource:
    """Episodes played for the buffer, by the expert or by chance."""

    def __init__(self, job: Job):
        self.job = job
        env = _make_env(job)  # says at once what is wrong
        if job.source == "scripted" and not isinstance(env, envs.Scripted):
            raise ConfigError(f"--source scripted: {job.task} has no script; take --source random or --source run:PATH")
        self.spec, self.look = Spec.of(env), env.look
        self.time_limit = env.time_limit
        self.episodes = -(-job.steps // env.time_limit)
        self.identity = {
            "task": job.task,
            "source": job.source,
            "steps": self.episodes * env.time_limit,
            "seed": job.seed,
            **env.look,
            "time_limit": env.time_limit,
        }

    def collect(self, folder: Path, show_progress: bool) -> list[Path]:
        """Plays what is missing, in worker processes; returns all parts in order."""
        parts = parts_of(self.episodes, folder)
        missing = {path: chunk for path, chunk in parts.items() if not path.exists()}
        workers = min(self.job.workers or cores(), max(len(missing), 1))
        done = self.episodes - sum(map(len, missing.values()))
        bar = progress_bar(
            total=self.episodes * self.time_limit,
            initial=done * self.time_limit,
            unit="step",
            disable=not show_progress,
            desc=f"collecting {self.job.task}",
        )
        context = multiprocessing.get_context("spawn")  # a forked GL context would be broken
        pool = ProcessPoolExecutor(workers, context, initializer=die_with_parent, initargs=(os.getpid(),))
        try:
            with bar:
                for future in as_completed([pool.submit(_play_part, self.job, *item) for item in missing.items()]):
                    bar.update(future.result())
        except BrokenProcessPool:  # libhdf5 does not survive a full disk, no process the lack of memory
            raise OSError(errno.EIO, "a process that played died; is disk or memory full?", str(folder)) from None
        finally:
            pool.shutdown(cancel_futures=True)
        return list(parts)


class RunSource:
    """The episodes of a finished online run: what C.4 does."""

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
        self.spec, self.look = Spec.of(env), env.look
        self.store = EpisodeStore(run / "replay", store_fields(env))  # which says where the two differ
        state = checkpoint.load_run(run)
        if state is None:
            raise ConfigError(f"{run}: has no checkpoint, so its episodes are not known")
        frames = run_folder.read_provenance(run)
        with untrusted.expecting(f"{run}: its checkpoint or provenance.json is not that of an online run", ConfigError):
            self.store.read_to(state["episodes"].numpy())
            self.identity = {
                "task": config.task,
                "source": f"run:{run}",
                "steps": self.store.rows - self.store.episodes,
                "seed": config.seed,
                **{name: untrusted.plain_name(frames[name], name) for name in env.look},
                "time_limit": self.spec.time_limit,
            }

    def collect(self, folder: Path, show_progress: bool) -> list[Path]:
        """Copies what is missing; returns all parts in order."""
        parts = parts_of(self.store.episodes, folder)
        for path, episodes in progress_bar(parts.items(), unit="part", disable=not show_progress):
            if not path.exists():
                write_part(path, self._episodes(episodes))
        return list(parts)

    def _episodes(self, indices: Iterable[int]) -> Iterator[tuple[int, int, dict[str, np.ndarray]]]:
        for index in indices:
            episode = convert(self.store.episode(index), to="minari")
            truncated = np.zeros(len(episode["rewards"]), bool)
            truncated[-1] = not episode["terminations"][-1]
            yield index, self.seed, episode | {"truncations": truncated}


def parts_of(episodes: int, folder: Path) -> dict[Path, list[int]]:
    """The parts that a buffer is written in, each with its episodes: what an interrupted build has left is kept."""
    folder.mkdir(exist_ok=True)
    chunks = np.array_split(np.arange(episodes), -(-episodes // EPISODES_PER_PART))
    return {folder / f"part_{i:05d}.h5": chunk.tolist() for i, chunk in enumerate(chunks)}


def _play_part(job: Job, path: Path, episodes: list[int]) -> int:
    """Plays some episodes in a worker process; returns the environment steps played."""
    env = _worker_env(job)
    steps = 0

    def played() -> Iterator[tuple[int, int, dict[str, np.ndarray]]]:
        nonlocal steps
        for episode in episodes:
            arrays = play(env, behavior_of(job.source, job.seed, episode), episode)
            steps += min(len(arrays["rewards"]) * env.action_repeat, env.time_limit)
            yield episode, job.seed, arrays

    write_part(path, played())
    return steps


_envs: dict[Job, Any] = {}  # one environment, and so one renderer, a worker process


def _worker_env(job: Job) -> Any:
    if job not in _envs:
        _envs[job] = _make_env(job)
    return _envs[job]


def _make_env(job: Job) -> Any:
    looks = {"render": job.render, "camera": job.camera}
    return envs.make(job.task, seed=job.seed, **{name: value for name, value in looks.items() if value is not None})
