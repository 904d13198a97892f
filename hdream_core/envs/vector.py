"""Several episodes stepped together, by gymnasium's vector environments: in this process, or one process each."""

from __future__ import annotations

import functools
from typing import Any

import gymnasium
from gymnasium.vector import AsyncVectorEnv, SyncVectorEnv, VectorEnv

from hdream_core.envs.registry import make


class _Episode(gymnasium.Wrapper):
    """An environment whose every reset begins the same episode."""

    def __init__(self, env: gymnasium.Env, episode: int):
        super().__init__(env)
        self.episode = episode

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        return self.env.reset(options={"episode": self.episode})


def make_episodes(task: str, episodes: int, processes: bool, **options: Any) -> VectorEnv:
    """Environment i of the result plays episode i of ``task``, from every reset on.

    Args:
        task: its name.
        episodes: how many.
        processes: one process each, with observations in shared memory; else all in this one.
        options: of ``registry.make``.
    """
    makers = [functools.partial(_make, task, episode, options) for episode in range(episodes)]
    # Spawned, not forked: OpenGL does not survive a fork.
    return AsyncVectorEnv(makers, context="spawn") if processes else SyncVectorEnv(makers)


def _make(task: str, episode: int, options: dict[str, Any]) -> gymnasium.Env:
    return _Episode(make(task, **options), episode)
