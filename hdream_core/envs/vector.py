"""Steps several episodes together with gymnasium's vector environments: in this process, or one process each."""

from __future__ import annotations

import functools
import signal
from typing import Any

import gymnasium
from gymnasium.vector import AsyncVectorEnv, SyncVectorEnv, VectorEnv

from hdream_core.envs.registry import make


class _Episode(gymnasium.Wrapper):
    """Makes every reset of an environment begin the same episode."""

    def __init__(self, env: gymnasium.Env, episode: int):
        super().__init__(env)
        self.episode = episode

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        return self.env.reset(options={"episode": self.episode})


def make_episodes(task: str, episodes: int, processes: bool, **options: Any) -> VectorEnv:
    """Makes a vector environment whose environment i plays episode i of ``task`` after every reset.

    Args:
        task: name of the task.
        episodes: number of episodes.
        processes: step each in its own process, with observations in shared memory; else all in this one.
        options: options of ``registry.make``.
    """
    makers = [functools.partial(_make, task, episode, options) for episode in range(episodes)]
    if not processes:
        return SyncVectorEnv(makers)
    # Slurm signals all of a job's processes that its time is nearly over, but only the run itself may react to that.
    # Child processes inherit the blocked signals.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1, signal.SIGUSR2})
    try:
        return AsyncVectorEnv(makers, context="spawn")  # not forked: OpenGL does not survive a fork
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _make(task: str, episode: int, options: dict[str, Any]) -> gymnasium.Env:
    return _Episode(make(task, **options), episode)
