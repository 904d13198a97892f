"""Estimates how long a run may take on this machine, from the times of a few updates and frames."""

from __future__ import annotations

import gc
import math
import time

import numpy as np
import torch

from hdream_core.agent import make_agent
from hdream_core.config.fields import Config
from hdream_core.data.environments import make_env
from hdream_core.data.replay import random_batch
from hdream_core.envs import registry
from hdream_core.envs.opengl import RenderingError
from hdream_core.spec import Spec
from hdream_core.support.cuda_graph import WARM_UP, capture
from hdream_core.support.precision import pick_device
from hdream_core.support.processes import cores
from hdream_core.support.words import duration

UPDATES = 2
ENV_STEPS = 20
MUCH = 0.3  # share of a run's time from which on evaluation is told
FULL_UPDATE = 45.0  # seconds; rough time of an update at full size on a CPU
LARGE = 10**10  # parameters times steps of a batch; 2 * 10**9 for the preset cpu, 5 * 10**10 at full size


def in_words(config: Config, left: float, workers: int, must_render: bool) -> str:
    """Returns a line with the estimated time of a sweep on this machine.

    Args:
        config: of its runs.
        left: work that is left, in whole runs.
        workers: runs at a time.
        must_render: whether this machine must render; for a plan alone it need not.

    Raises:
        RenderingError: if it cannot render and must; the runs would fail in the same way.
    """
    try:
        each, evaluating = seconds_per_run(config)
        seconds = each * left / min(workers, cores())
        if math.isnan(seconds):
            guess = duration(config.train.steps / config.train.train_every * FULL_UPDATE * left)
            return (
                f"warning: a model of full size without a GPU takes about {guess} for what is left, at some "
                f"{FULL_UPDATE:.0f} seconds an update, not timed here; --preset cpu is made for such a machine"
            )
        share = evaluating / each
        estimate = f"about {duration(seconds)}{f' ({100 * share:.0f} % of it evaluation)' if share > MUCH else ''}"
    except RenderingError as error:
        if must_render:
            raise
        estimate = f"no estimate, since nothing renders here ({error}),"
    return f"{estimate} for what is left, {workers} at a time, with this machine as busy as it is now"


def seconds_per_run(config: Config) -> tuple[float, float]:
    """Estimates the seconds of one run alone on the machine, and those of its evaluations among them.

    They are NaN for a full-size model on a CPU.
    """
    env = make_env(config, seed=0)
    env.reset()
    spec, rng = Spec.of(env), np.random.default_rng(0)
    env_step = _time(lambda: env.step(spec.action.sample(rng)), ENV_STEPS) / spec.action_repeat
    if pick_device(config.train.device).type == "cpu" and _is_large(config, spec):
        return float("nan"), float("nan")  # timing a single update would take most of a minute
    update = _seconds_per_update(config, spec)
    gc.collect()  # frees the agent, which refers to itself
    torch.cuda.empty_cache()  # leaves the GPU's memory to the runs
    updates = config.train.steps / config.train.train_every
    evaluations = config.train.steps / config.eval.every + 1
    length = min(registry.find(config.task).usual_length or env.time_limit, env.time_limit)
    evaluating = evaluations * config.eval.episodes * length * env_step
    playing = 0 if config.offline_buffer else config.train.steps * env_step
    return updates * update + playing + evaluating, evaluating


def _is_large(config: Config, spec: Spec) -> bool:
    with torch.device("meta"):
        parameters = sum(p.numel() for p in make_agent(config, spec, "meta").parameters())
    return parameters * config.train.batch * config.train.length > LARGE


def _seconds_per_update(config: Config, spec: Spec) -> float:
    threads = torch.get_num_threads()
    torch.set_num_threads(config.train.threads or threads)
    agent = make_agent(config, spec)
    batch = random_batch(config.train.batch, config.train.length, spec)
    update = capture(agent.update, agent.device, agent.capturable)
    seconds = _time(lambda: float(next(iter(update(batch).values()))), UPDATES)
    torch.set_num_threads(threads)
    return seconds


def _time(work, times: int) -> float:
    for _ in range(WARM_UP + 1 if torch.cuda.is_available() else 1):
        work()  # the first calls are slow: they allocate, compile and record
    start = time.perf_counter()
    for _ in range(times):
        work()
    return (time.perf_counter() - start) / times
