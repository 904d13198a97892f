"""Steps several episodes together with gymnasium's vector environments: in this process, or one process each."""

from __future__ import annotations

import functools
import signal
from typing import Any

import gymnasium
from gymnasium.vector import AsyncVectorEnv, SyncVectorEnv, VectorEnv

from hdream_core.envs.registry import make


class _Episodes(gymnasium.Wrapper):
    """Makes resets begin the same episode until a reset with ``options={"round": r}`` chooses another.

    Args:
        env: that plays.
        first: episode of round 0.
        step: from one round to the next.
    """

    def __init__(self, env: gymnasium.Env, first: int, step: int):
        super().__init__(env)
        self.first, self.rounds_apart, self.round = first, step, 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        self.round = (options or {}).get("round", self.round)
        return self.env.reset(options={"episode": self.first + self.round * self.rounds_apart})


def make_episodes(task: str, episodes: int, processes: bool, **options: Any) -> VectorEnv:
    """Makes a vector environment whose environment i plays episode i of ``task`` after every reset.

    A reset with ``options={"round": r}`` moves all of them on: environment i then plays episode ``i + r * episodes``.

    Args:
        task: name of the task.
        episodes: number of episodes that are played side by side.
        processes: step each in its own process, with observations in shared memory; else all in this one.
        options: options of ``registry.make``.
    """
    makers = [functools.partial(_make, task, episode, episodes, options) for episode in range(episodes)]
    if not processes:
        return SyncVectorEnv(makers)
    # Slurm signals all of a job's processes that its time is nearly over, but only the run itself may react to that.
    # Child processes inherit the blocked signals.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1, signal.SIGUSR2})
    try:
        return AsyncVectorEnv(makers, context="spawn")  # not forked: OpenGL does not survive a fork
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _make(task: str, episode: int, step: int, options: dict[str, Any]) -> gymnasium.Env:
    return _Episodes(make(task, **options), episode, step)
