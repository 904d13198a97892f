"""Times environments, rendering, and sampling from a buffer."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from hdream_core.benchmark.curves import make_update
from hdream_core.benchmark.workers import Work, Worker, paired_ratio, side_by_side
from hdream_core.config.fields import Config
from hdream_core.data.environments import make_env
from hdream_core.data.offline import open_buffer, open_unpacked
from hdream_core.data.replay import Replay
from hdream_core.data.store import EpisodeStore, Field
from hdream_core.spec import Spec
from hdream_core.support.processes import cores
from hdream_core.support.settings import override

FRAMES = {"paper": 10, "numpy": 500}  # frames in a turn, by render quality; otherwise 100
ROWS = 500  # rows of an episode of noise
SAMPLES = 50  # batches in a turn
TRAINER_UPDATES = 30  # updates before the trainer's memory is read


def measure_environment(config: Config, rounds: int) -> dict[str, float]:
    """Measures environment steps and frames per second, for each quality, and steps in as many processes as cores."""
    numbers: dict[str, float] = {}
    count = cores()
    has_qualities = hasattr(config.env, "render")
    qualities = ["fast", "paper"] if has_qualities else [make_env(config, seed=0).look["render"]]
    configs = {q: override(config, {"env.render": q} if has_qualities else {}) for q in qualities}
    frames = {quality: FRAMES.get(quality, 100) for quality in qualities}
    repeat = Spec.of(make_env(config, seed=0)).action_repeat  # environment steps per frame
    with contextlib.ExitStack() as stack:
        workers = {
            quality: [
                stack.enter_context(Worker(make_environment, configs[quality], frames[quality])) for _ in range(count)
            ]
            for quality in qualities
        }
        for name, key in (("render", "render.{}_fps"), ("step", "env.{}_steps_per_s")):
            seconds: dict[str, list[float]] = {quality: [] for quality in qualities}  # per frame, for each round
            for first, *_ in workers.values():
                first.ask("seconds", name, 1)
            for _ in range(rounds):
                for quality in qualities:
                    seconds[quality].append(workers[quality][0].ask("seconds", name, 1) / frames[quality])
            steps = repeat if name == "step" else 1
            numbers |= {key.format(quality): steps / median(seconds[quality]) for quality in qualities}
            if len(qualities) == 2:
                ratio = "render.ratio" if name == "render" else "env.ratio"
                numbers[ratio] = paired_ratio(seconds["paper"], seconds["fast"])
        for quality in qualities:
            step_s = median(side_by_side(workers[quality], "step", rounds, 1)) / frames[quality] / repeat
            numbers[f"env.{quality}_steps_per_s_{count}_processes"] = count / step_s
    return numbers


def make_environment(config: Config, frames: int) -> dict[str, Work]:
    """Makes ``step`` (random steps with frames) and ``render`` (frames alone); each call does ``frames`` of them."""
    env = make_env(config, seed=0)
    action, rng = Spec.of(env).action, np.random.default_rng(0)
    env.reset()

    def step() -> None:
        for _ in range(frames):
            *_, terminated, truncated, _ = env.step(action.sample(rng))
            if terminated or truncated:
                env.reset()

    def render() -> None:
        for _ in range(frames):
            env.render_image()

    return {"step": step, "render": render}


def measure_replay(config: Config, spec: Spec, rounds: int, steps: int, update_s: float | None) -> dict[str, float]:
    """Measures the seconds of sampling a batch, its share of an update, and the memory of sampling and training.

    Args:
        config: config of the run. Its ``offline_buffer`` is sampled if there is one, otherwise a store of noise.
        spec, steps: shapes and length of the noise.
        rounds: number of turns; the seconds are a median over them.
        update_s: seconds of an update, if measured.
    """
    with _folder(config, spec, steps) as folder, Worker(make_sampler, config, folder) as worker:
        before = worker.ask("memory_mb")
        seconds = median(worker.ask("seconds", "sample", SAMPLES) for _ in range(rounds))
        numbers = {"replay.sample_s": seconds, "replay.memory_mb": worker.ask("memory_mb") - before}
        numbers["replay.steps"] = float(np.load(folder / "episodes.npy", allow_pickle=False)[:, 1].sum())
        if update_s:
            numbers["replay.share_of_update"] = seconds / update_s
        numbers["memory.trainer_peak_mb"] = _trainer_peak_mb(config, spec, folder)
    return numbers


def _trainer_peak_mb(config: Config, spec: Spec, folder: Path) -> float:
    """Returns the peak resident memory, in MiB, of a process that trains on the store."""
    with Worker(make_update, config, spec, folder, False) as trainer:
        for _ in range(TRAINER_UPDATES):
            trainer.ask("call", "update")
        return trainer.ask("peak_mb")


@contextlib.contextmanager
def _folder(config: Config, spec: Spec, steps: int) -> Iterator[Path]:
    """Yields the folder of the store to sample: the config's offline buffer, or ``steps`` steps of noise."""
    with tempfile.TemporaryDirectory() as folder:
        if config.offline_buffer:
            yield open_buffer(config.offline_buffer).store.folder
            return
        rng = np.random.default_rng(0)
        store = EpisodeStore(folder, _fields(spec))
        for _ in range(-(-steps // ROWS)):
            rows = {"image": rng.integers(0, 256, (ROWS, *spec.image), np.uint8)}
            rows |= {
                "action": np.zeros((ROWS, spec.action.dim)),
                "reward": np.zeros(ROWS),
                "is_terminal": np.zeros(ROWS, bool),
            }
            store.append(rows)
        np.save(Path(folder) / "episodes.npy", store.position())
        yield Path(folder)


def _fields(spec: Spec) -> dict[str, Field]:
    return {
        "image": Field("|u1", spec.image),
        "action": Field("<f4", (spec.action.dim,)),
        "reward": Field("<f4", ()),
        "is_terminal": Field("|b1", ()),
    }


def make_sampler(config: Config, folder: Path) -> dict[str, Any]:
    """Makes ``sample``, which draws a batch from the store in ``folder``."""
    replay, rng = Replay(open_unpacked(folder)), np.random.default_rng(0)
    return {"sample": lambda: replay.sample(rng, config.train.batch, config.train.length)}
