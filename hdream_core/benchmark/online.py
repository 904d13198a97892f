"""Times online training as a user runs it: playing, storing, sampling and learning together."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

from hdream_core.benchmark.workers import Worker
from hdream_core.config.fields import Config
from hdream_core.data.environments import make_env
from hdream_core.runs import folder as run_folder
from hdream_core.runs.trainer import Trainer
from hdream_core.support.settings import override

SETTLE = 50  # updates before the clock starts: a GPU's update is compiled and captured in the first ones
PAPER_STEPS = 250_000  # environment steps of the paper's runs


def measure_online(config: Config, steps: int) -> dict[str, float]:
    """Measures a run's environment steps per second between evaluations, and the hours of the paper's 250,000 steps.

    Args:
        config: config of the run.
        steps: environment steps to time.
    """
    steps = -(-steps // config.train.train_every) * config.train.train_every  # whole strides of the clock
    with Worker(make_run, config, steps) as worker:
        seconds = worker.ask("call", "run")
    return {"online.steps_per_s": steps / seconds, "online.hours_of_250000_steps": PAPER_STEPS * seconds / steps / 3600}


def make_run(config: Config, steps: int) -> dict[str, Any]:
    """Makes a run to time; ``run`` returns the seconds of its last ``steps`` steps."""
    every = config.train.train_every

    def run() -> float:
        clock: dict[int, float] = {}
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            prefill = -(-make_env(config, seed=0).time_limit // every) * every
            start = prefill + SETTLE * every
            # It is evaluated only at the start and at the end, outside the timed steps. No update waits for the end of
            # an episode, so that each step takes as long.
            changes = {"train.prefill": prefill, "train.pretrain": 1, "train.steps": start + steps}
            changes |= {"train.updates": "steady"}
            changed = override(config, changes | {"eval.every": 10**9, "eval.episodes": 1})
            run_folder.prepare(changed, folder)
            Trainer(changed, folder, lambda step, _: clock.setdefault(step, time.perf_counter())).run()
        return clock[start + steps] - clock[start]

    return {"run": run}
