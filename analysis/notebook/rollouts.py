"""Plays and predicts from a recorded moment on, under the recorded actions or altered ones."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from analysis.models.branching import play_from
from analysis.models.dreams import frames_and_rewards
from analysis.models.segments import CONTEXT, HORIZON, Segments
from analysis.notebook import slices
from analysis.results.tasks import task_facts
from hdream_core import envs
from hdream_core.agent import Agent
from hdream_core.data.environments import make_env_like
from hdream_core.data.minari_layout import DatasetError
from hdream_core.runs.load import load_agent
from hdream_core.support import places
from hdream_core.support.rewards import in_unit

PUSHED = 3  # action dimensions of the hand that can be altered; a gripper moves as recorded


class Setting(NamedTuple):
    """Holds the values of the controls, in the order of ``Explorer.rollout``."""

    stretch: int
    start: int
    context: int = CONTEXT
    horizon: int = HORIZON
    push: tuple[float, ...] = (0.0, 0.0, 0.0)

    def __str__(self) -> str:
        pushes = [f"push {axis} {value:+.1f}" for axis, value in zip("xyz", self.push, strict=False) if value]
        where = f"episode {self.stretch}, step {self.start}, context {self.context}"
        return ", ".join([where, *(pushes or ["no push"])])


@dataclass(frozen=True)
class Rollout:
    """Holds what the simulator does from a moment on, and what models predict.

    Images and rewards start with the context (frames seen and recorded rewards); the H steps follow.
    """

    context: int
    action: np.ndarray  # (H, A) as played
    true_image: np.ndarray  # (T, H, W, C) uint8
    true_reward: np.ndarray  # (T,)
    dreamed_image: dict[str, np.ndarray]  # by model, (T, H, W, C) uint8
    dreamed_reward: dict[str, np.ndarray]  # by model, (T,)
    where: dict[str, np.ndarray] = field(default_factory=dict)  # true positions of hand and main object, (T, d)


@dataclass(frozen=True)
class Record:
    """Holds what was recorded of the same T steps."""

    image: np.ndarray  # (T, H, W, C) uint8
    reward: np.ndarray  # (T,)
    where: dict[str, np.ndarray]  # positions of hand and main object, (T, d)


class Explorer:
    """Holds recorded stretches, world models, and the simulator that the stretches came from.

    Any thread may ask for rollouts, since a notebook's controls run in another thread than its cells. The simulator
    serves one thread at a time. All rewards are in the unit that the models learned (``train.reward``).

    Args:
        models: name to exported agent or run folder.
        slice_path: of the stretches.
    """

    def __init__(self, models: Mapping[str, Path], slice_path: Path):
        self.task, self.facts, self.stretches = slices.load_slice(slice_path)
        self.agents: dict[str, Agent] = {name: load_agent(path) for name, path in models.items()}
        self.unit = next((agent.config.train.reward for agent in self.agents.values()), "identity")
        self.stretches = [rows | {"reward": in_unit(rows["reward"], self.unit)} for rows in self.stretches]
        self._env: Any = None
        self._one_plays = threading.RLock()

    @classmethod
    def shipped(cls, task: str = "lever_pull") -> Explorer:
        """Returns the models and the slice in ``notebooks/data``; DatasetError if the task has none there."""
        shipped = slices.shipped_tasks()
        if task not in shipped:
            raise DatasetError(
                f"{slices.DATA}: holds no models of {task}; there are {', '.join(shipped) or 'none'}; analysis.demo "
                f"makes them, and {places.DATA} names the folder in which notebooks/data is"
            )
        return cls(
            {name: slices.DATA / f"{task}_{name}.safetensors" for name in shipped[task]},
            slices.DATA / f"{task}_slice.h5",
        )

    @property
    def env(self) -> Any:
        """Returns the simulator; it is made when it is first used, since it needs a GL library."""
        with self._one_plays:
            if self._env is None:
                size = self.stretches[0]["image"].shape[1]
                env = make_env_like(self.task, self.facts | {"size": size}, seed=0)
                self._env = envs.require(
                    envs.require(env, envs.Branchable, "the explorer"), envs.Located, "the explorer"
                )
            return self._env

    def segments(self, length: int, every: int = 10) -> Segments:
        """Returns all windows of ``length`` rows whose first row is a multiple of ``every``."""
        lengths = [len(rows["reward"]) for rows in self.stretches]
        where = [(i, start) for i, rows in enumerate(lengths) for start in range(0, rows - length + 1, every)]
        episode, start = np.array(where, np.int64).T
        return Segments(self.task, self.stretches, episode, start, length)

    def about(self) -> str:
        """Says in a sentence where models and stretches come from."""
        first, source = next(iter(self.agents.values())).config, "online"
        if first.offline_buffer is not None:
            source = f"on a fixed buffer ({self.facts.get('source', '?')})"
        return (
            f"{len(self.stretches)} stretches of {self.task} that no model has trained on; one model for each of "
            f"{', '.join(self.agents)}: preset {first.preset}, seed {first.seed}, trained {source}."
        )

    def as_recorded(self, windows: Segments, context: int = CONTEXT) -> list[Rollout]:
        """Returns truth and predictions under the recorded actions, for many windows at once, without the simulator."""
        dreams = {name: frames_and_rewards(agent, windows, context) for name, agent in self.agents.items()}
        rows = {name: windows.rows(name) for name in ("action", "image", "reward")}
        return [
            Rollout(
                context,
                rows["action"][i, context:],
                rows["image"][i],
                rows["reward"][i],
                {name: images[i] for name, (images, _) in dreams.items()},
                {name: np.r_[rows["reward"][i, :context], reward[i]] for name, (_, reward) in dreams.items()},
            )
            for i in range(len(windows))
        ]

    def averting(self, windows: Segments, push: float, level: float, context: int = CONTEXT) -> list[Setting]:
        """Returns settings in which a push averts a recorded reward.

        They are windows whose reward starts at or below the level and rises above it as recorded, but stays below if
        the hand's path is moved sideways, away from the object (as in ``branching.displaced``).
        """
        reward, where = windows.rows("reward"), windows.positions()
        hand, at = (where[name][:, context - 1, 0] for name in (task_facts(self.task).hand, task_facts(self.task).main))
        found: list[Setting] = []
        for i in np.flatnonzero((reward[:, context - 1] <= level) & (reward[:, context:] > level).any(1)):
            aside = (-push if at[i] > hand[i] else push, 0.0, 0.0)
            stretch, start = int(windows.episode[i]), int(windows.start[i])
            action = _pushed(windows.rows("action")[i, context:], aside)
            state = self.stretches[stretch]["sim_state"][start + context - 1]
            _, true, _ = self._simulate(state, action, render=False)
            if true.max() <= level:
                found.append(Setting(stretch, start, context, windows.length - context, aside))
        return found

    def rollout(
        self,
        stretch: int,
        start: int,
        context: int = CONTEXT,
        horizon: int = HORIZON,
        push: Sequence[float] = (0, 0, 0),
    ) -> Rollout:
        """Returns truth and predictions from one recorded moment on.

        Args:
            stretch: its index.
            start: row with which the context begins.
            context: frames that the models see.
            horizon: steps played and predicted.
            push: added to the hand's recorded actions, each in [-1, 1].

        Raises:
            ValueError: if the stretch ends before context and horizon do.
        """
        rows, end = self.stretches[stretch], start + context + horizon
        if end > len(rows["reward"]):
            raise ValueError(f"stretch {stretch} has {len(rows['reward'])} rows; {end} were asked for")
        window = Segments(self.task, self.stretches, np.array([stretch]), np.array([start]), context + horizon)
        action = _pushed(window.rows("action")[0, context:], push)  # (H, A)
        image, reward, where = self._simulate(rows["sim_state"][start + context - 1], action)
        seen = slice(start, start + context)
        dreams = {name: frames_and_rewards(agent, window, context, action[None]) for name, agent in self.agents.items()}
        return Rollout(
            context,
            action,
            np.concatenate([rows["image"][seen], image]),
            np.concatenate([rows["reward"][seen], reward]),
            {name: image[0] for name, (image, _) in dreams.items()},
            {name: np.concatenate([rows["reward"][seen], reward[0]]) for name, (_, reward) in dreams.items()},
            {name: np.concatenate([before[:context], where[name]]) for name, before in self._where(window).items()},
        )

    def record(self, stretch: int, start: int, length: int) -> Record:
        """Returns what was recorded from a moment on, to compare with a ``rollout``.

        Args:
            stretch: its index.
            start: first row.
            length: number of rows.
        """
        window = Segments(self.task, self.stretches, np.array([stretch]), np.array([start]), length)
        return Record(window.rows("image")[0], window.rows("reward")[0], self._where(window))

    def eventful(self, context: int = CONTEXT, horizon: int = HORIZON, push: float = 0.8) -> Setting:
        """Returns a setting to start with: the largest rise of the reward, the hand pushed away from the object."""
        windows = self.segments(context + horizon, every=5)
        reward = windows.rows("reward")
        i = int((reward[:, context:].max(1) - reward[:, context - 1]).argmax())
        where = {name: at[i, context - 1, 0] for name, at in windows.positions().items()}
        facts = task_facts(self.task)
        aside = -push if where[facts.main] > where[facts.hand] else push
        return Setting(int(windows.episode[i]), int(windows.start[i]), context, horizon, (aside, 0.0, 0.0))

    def _where(self, window: Segments) -> dict[str, np.ndarray]:
        """Returns the recorded positions of hand and main object in a single window, ``(T, d)``."""
        facts = task_facts(self.task)
        return {facts.called(n): at[0] for n, at in window.positions().items() if n in (facts.hand, facts.main)}

    def _simulate(
        self, state: np.ndarray, action: np.ndarray, render: bool = True
    ) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
        """Returns frames, rewards, and positions of hand and main object."""
        facts = task_facts(self.task)
        with self._one_plays:
            images, rewards, where = play_from(self.env, state, action, render)
        where = {facts.called(name): where[name] for name in (facts.main, facts.hand)}
        return images, in_unit(rewards, self.unit), where


def _pushed(action: np.ndarray, push: Sequence[float]) -> np.ndarray:
    """Returns recorded actions ``(H, A)`` with a push added to the hand's, clipped to [-1, 1]."""
    altered, width = action.copy(), min(PUSHED, action.shape[1])
    altered[:, :width] = np.clip(altered[:, :width] + np.asarray(push[:width], np.float32), -1, 1)
    return altered
