"""``python -m offline_buffers.build``: collect a fixed buffer; the same command resumes an interrupted build."""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tyro
from tqdm import tqdm

from hdream_core import checkpoint, envs, provenance, runs
from hdream_core.config import ConfigError
from hdream_core.errors import exit_on_user_error
from hdream_core.minari_layout import METADATA_FILE, convert, read_metadata
from hdream_core.store import EpisodeStore
from offline_buffers.behaviors import behavior_of, play
from offline_buffers.parts import merge, write_part

DATA = Path(__file__).parent / "data"
EPISODES_PER_PART = 5


@dataclass(frozen=True)
class Build:
    """Collect a buffer of complete episodes and store it as a Minari data set.

    An interrupted build resumes where its last finished part ended when the same command is given again.
    """

    task: str = "lever_pull"
    """Task by the paper's name."""
    steps: int = 250_000
    """Environment steps at least; rounded up to whole episodes."""
    source: str = "scripted"
    """scripted: the task's expert over the whole range of skill. random: uniform actions. run:PATH: the episodes of a
    finished online run in folder PATH."""
    workers: int = 0
    """Processes that play side by side; 0: as many as there are processors."""
    seed: int = 0
    """Seed of goals and behaviour; the result does not depend on the number of workers."""
    render: Literal["auto", "fast", "paper"] = "auto"
    """Render quality of Meta-world."""
    camera: Literal["corner", "corner2"] = "corner2"
    """Camera of Meta-world."""
    out: Path | None = None
    """The buffer's folder; default offline_buffers/data/<task>_<source>_<steps>_seed<seed>."""

    def folder(self) -> Path:
        """Where the buffer goes."""
        kind = self.source.split(":")[0]
        return self.out or DATA / f"{self.task}_{kind}_{self.steps}_seed{self.seed}"


def build(job: Build, show_progress: bool = True) -> Path:
    """Collects, or completes, a buffer and returns its folder.

    Raises:
        ConfigError: if the source is unknown, or the folder holds another buffer.
    """
    kind = job.source.split(":")[0]
    if kind not in ("scripted", "random", "run"):
        raise ConfigError(f"source {job.source!r} is unknown; take scripted, random or run:PATH")
    if job.steps < 1:
        raise ConfigError(f"steps is {job.steps}; a buffer has 1 or more")
    folder = job.folder()
    if (folder / "data" / METADATA_FILE).exists():
        _check_same(job, folder)
        return folder
    parts = folder / "parts"
    parts.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    if kind == "run":
        facts = _from_run(Path(job.source.split(":", 1)[1]), parts / "part_00000.h5")
    else:
        facts = _collect(job, parts, show_progress)
    facts |= {"collection_seconds": round(time.monotonic() - started, 1), "device": provenance.device_name()}
    merge(sorted(parts.glob("part_*.h5")), folder, _facts(job) | facts)
    return folder


def _facts(job: Build) -> dict[str, Any]:
    return {
        "task": job.task,
        "source": job.source,
        "steps": job.steps,
        "seed": job.seed,
        "dataset_id": f"hdream/{job.task}/{job.source.split(':')[0]}-v0",
        "description": f"{job.steps} environment steps of {job.task}, {job.source}, by hdream's offline_buffers.build",
        "package_versions": provenance.package_versions(),
        "git_commit": provenance.git_state()[0],
    }


def _check_same(job: Build, folder: Path) -> None:
    facts = read_metadata(folder)["hdream"]
    for name in ("task", "source", "steps", "seed"):
        if facts.get(name) != getattr(job, name):
            found = f"{name}={facts.get(name)}, not {getattr(job, name)}"
            raise ConfigError(f"{folder}: holds a buffer with {found}; choose another --out")


def _collect(job: Build, parts: Path, show_progress: bool) -> dict[str, Any]:
    env = envs.make(job.task, seed=job.seed, render=job.render, camera=job.camera)  # says at once what is wrong
    facts = {"render": env.render_quality, "camera": env.camera, "time_limit": env.time_limit}
    episodes = -(-job.steps // env.time_limit)
    chunks = np.array_split(np.arange(episodes), -(-episodes // EPISODES_PER_PART))
    todo = {parts / f"part_{i:05d}.h5": chunk.tolist() for i, chunk in enumerate(chunks)}
    missing = {path: chunk for path, chunk in todo.items() if not path.exists()}
    workers = min(job.workers or os.cpu_count() or 1, max(len(missing), 1))
    os.environ["LP_NUM_THREADS"] = "1"  # one software-rendering thread a process; more would fight for the cores
    bar = tqdm(total=episodes * env.time_limit, unit="step", disable=not show_progress, desc=f"collecting {job.task}")
    bar.update((episodes - sum(map(len, missing.values()))) * env.time_limit)
    context = multiprocessing.get_context("spawn")  # a forked GL context would be broken
    with bar, ProcessPoolExecutor(workers, mp_context=context) as pool:
        running = [pool.submit(_collect_part, job, path, chunk) for path, chunk in missing.items()]
        for future in as_completed(running):
            bar.update(future.result())
    return facts


def _collect_part(job: Build, path: Path, episodes: list[int]) -> int:
    """Plays some episodes in a worker process; returns the steps played."""
    env = _worker_env(job)
    steps = 0

    def played() -> Iterator[tuple[int, int, dict[str, np.ndarray]]]:
        nonlocal steps
        for episode in episodes:
            arrays = play(env, behavior_of(job.source, job.seed, episode), episode)
            steps += len(arrays["rewards"])
            yield episode, job.seed, arrays

    write_part(path, played())
    return steps


_envs: dict[Build, Any] = {}  # one environment, and so one renderer, a worker process


def _worker_env(job: Build) -> Any:
    if job not in _envs:
        _envs[job] = envs.make(job.task, seed=job.seed, render=job.render, camera=job.camera)
    return _envs[job]


def _from_run(run: Path, part: Path) -> dict[str, Any]:
    """Copies the episodes of a finished online run."""
    config = runs.read_config(run)
    if config.offline_buffer is not None:
        raise ConfigError(f"{run}: trained offline, so it has no episodes of its own; give an online run")
    if not runs.is_done(run):
        raise ConfigError(f"{run}: is not finished; resume it first")
    store = EpisodeStore(run / "replay")
    store.rewind(checkpoint.load(run / "checkpoint.pt")["episodes"].numpy())

    def copied() -> Iterator[tuple[int, int, dict[str, np.ndarray]]]:
        for index in range(store.episodes):
            episode = convert(store.episode(index), to="minari")
            truncated = np.zeros(len(episode["rewards"]), bool)
            truncated[-1] = not episode["terminations"][-1]
            yield index, config.seed, episode | {"truncations": truncated}

    write_part(part, copied())
    env = envs.make(config.task, seed=0, render=config.env.render, camera=config.env.camera)
    return {
        "render": env.render_quality,
        "camera": env.camera,
        "time_limit": env.time_limit,
        "run_config_preset": config.preset,
    }


def main(args: Sequence[str] | None = None) -> None:
    """Entry point."""
    with exit_on_user_error():
        job = tyro.cli(Build, args=args, prog="python -m offline_buffers.build")
        folder = build(job)
        facts = read_metadata(folder)
        print(
            f"{folder}: {facts['total_episodes']} episodes, {facts['total_steps']} steps, {facts['dataset_size']} MB, "
            f"success share {facts['hdream']['success_share']:.2f}, mean return {facts['hdream']['mean_return']:.0f}, "
            f"sha256 {facts['hdream']['sha256'][:16]}"
        )


if __name__ == "__main__":
    main(sys.argv[1:])
