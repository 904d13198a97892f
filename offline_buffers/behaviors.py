"""Plays the episodes of a buffer: a scripted expert degraded over the whole range of skill, or random actions.

C.4 asks for a buffer that "covers data from low-return to high-return trajectories", as a training run leaves behind.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hdream_core.envs import Branchable
from hdream_core.spec import Spec

STRETCH = (10, 60)  # steps for which one way of acting lasts, drawn uniformly
JITTER = 0.3  # standard deviation of the noise on a random direction
MAX_NOISE = 0.6  # standard deviation of the noise on the expert's actions at skill 0


class Scripted:
    """Acts as the task's expert, with random stretches and noise that grow as ``skill`` falls.

    An episode is a chain of stretches. Each is random with probability ``1 - skill``: one random direction plus jitter,
    which travels further than white noise. Otherwise it is the expert with Gaussian noise. Among discrete actions, a
    direction is one of them, and noise replaces an action by a random one with that probability.

    Args:
        skill: from 0 (random) to 1 (the expert).
        rng: generator of everything random in this episode.
    """

    def __init__(self, skill: float, rng: np.random.Generator):
        self.skill, self.rng = skill, rng
        self.left = 0  # steps left of the current stretch

    def __call__(self, env: Any, image: np.ndarray) -> np.ndarray:
        """Returns the action for the environment's current state, float32 ``(A,)`` in [-1, 1]."""
        space = Spec.of(env).action
        if self.left == 0:
            self.left = int(self.rng.integers(*STRETCH))
            self.random = self.rng.random() >= self.skill
            self.direction = space.sample(self.rng) if space.kind == "discrete" else self.rng.uniform(-1, 1, space.dim)
            self.noise = self.rng.uniform(0, MAX_NOISE) * (1 - self.skill)
        self.left -= 1
        meant, noise = (self.direction, JITTER) if self.random else (env.expert_action(), self.noise)
        if space.kind == "discrete":
            return space.sample(self.rng) if self.rng.random() < noise else meant
        return np.clip(meant + self.rng.normal(0, noise, space.dim), -1, 1).astype(np.float32)


class Random:
    """Plays uniformly random actions, as the prefill of a training run does."""

    skill = 0.0

    def __init__(self, rng: np.random.Generator):
        self.rng = rng

    def __call__(self, env: Any, image: np.ndarray) -> np.ndarray:
        return Spec.of(env).action.sample(self.rng)


def behavior_of(source: str, seed: int, episode: int) -> Scripted | Random:
    """Returns the behaviour of one episode; depends on source, seed and episode number alone.

    Skills cover [0, 1) evenly in an irregular order, so that any part of a buffer covers the range.
    """
    rng = np.random.default_rng([seed, episode, 1])
    if source == "random":
        return Random(rng)
    skill = (episode + 1) * 0.6180339887498949 % 1.0  # golden ratio: a low-discrepancy sequence
    return Scripted(skill, rng)


def play(env: Any, behavior: Scripted | Random, episode: int) -> dict[str, np.ndarray]:
    """Plays one episode; returns it on the Minari side of ``convert``: T steps, T + 1 observations."""
    obs, info = env.reset(options={"episode": episode})
    branchable = isinstance(env, Branchable)
    observations: dict[str, list] = {"image": [], "state": [], "success": [], "sim_state": []}
    steps: dict[str, list] = {"actions": [], "rewards": [], "terminations": [], "truncations": []}

    def observe(obs: dict, info: dict) -> None:
        observations["image"].append(obs["image"])
        observations["state"].append(obs["state"])
        observations["success"].append(bool(info["success"]))
        if branchable:
            observations["sim_state"].append(env.save_state())

    observe(obs, info)
    terminated = truncated = False
    while not (terminated or truncated):
        action = behavior(env, obs["image"])
        obs, reward, terminated, truncated, info = env.step(action)
        observe(obs, info)
        for name, value in zip(steps, (action, reward, terminated, truncated), strict=True):
            steps[name].append(value)
    arrays = {name: np.stack(values) for name, values in (observations | steps).items() if values}
    arrays["rewards"] = arrays["rewards"].astype(np.float32)
    arrays["skill"] = np.full(len(arrays["success"]), behavior.skill, np.float32)
    return arrays
