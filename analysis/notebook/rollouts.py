"""Dreams beside the simulator from one recorded moment on, under the recorded actions or altered ones."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

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

PUSHED = 3  # action dimensions of the hand that can be altered; a gripper does as recorded


class Setting(NamedTuple):
    """What the controls say, in the order of ``Explorer.rollout``."""

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
    """One moment, altered actions from there on: what the simulator does and what models dream of it.

    Images and rewards start with the context, frames seen and recorded rewards; then come the H steps.
    """

    context: int
    action: np.ndarray  # (H, A) as played
    true_image: np.ndarray  # (T, H, W, C) uint8
    true_reward: np.ndarray  # (T,)
    displacement: np.ndarray  # (H,) of the main object in truth, in units of ``positions``
    dreamed_image: dict[str, np.ndarray]  # by model, (T, H, W, C) uint8
    dreamed_reward: dict[str, np.ndarray]  # by model, (T,)
    where: dict[str, np.ndarray] = field(default_factory=dict)  # true positions of hand and main object, (T, d)


@dataclass(frozen=True)
class Record:
    """What was recorded of the same T steps, whose actions nobody altered."""

    image: np.ndarray  # (T, H, W, C) uint8
    reward: np.ndarray  # (T,)
    where: dict[str, np.ndarray]  # positions of hand and main object, (T, d)


class Explorer:
    """Recorded stretches, world models, and the simulator that the stretches came from.

    Any thread may ask for rollouts: a notebook's controls play in another than its cells. One at a time has the
    simulator.

    Args:
        models: name to exported agent or run folder.
        slice_path: of the stretches.
    """

    def __init__(self, models: Mapping[str, Path], slice_path: Path):
        self.task, self.facts, self.stretches = slices.load_slice(slice_path)
        self.agents: dict[str, Agent] = {name: load_agent(path) for name, path in models.items()}
        self._env: Any = None
        self._one_plays = threading.RLock()

    @classmethod
    def shipped(cls, task: str = "lever_pull") -> Explorer:
        """The models and the slice in ``notebooks/data``; DatasetError if the task has none there."""
        there = slices.shipped_tasks()
        if task not in there:
            raise DatasetError(
                f"{slices.DATA}: holds no models of {task}; there are {', '.join(there) or 'none'}; analysis.demo "
                f"makes them, and {places.DATA} names the folder in which notebooks/data is"
            )
        return cls(
            {name: slices.DATA / f"{task}_{name}.safetensors" for name in there[task]}, slices.DATA / f"{task}_slice.h5"
        )

    @property
    def env(self) -> Any:
        """The simulator, made when first asked for: it needs a GL library."""
        with self._one_plays:
            if self._env is None:
                size = self.stretches[0]["image"].shape[1]
                env = make_env_like(self.task, self.facts | {"size": size}, seed=0)
                env = envs.require(envs.require(env, envs.Branchable, "the explorer"), envs.Located, "the explorer")
                self._env = env
            return self._env

    def segments(self, length: int, every: int = 10) -> Segments:
        """All windows of ``length`` rows whose first row is a multiple of ``every``."""
        where = [
            (i, start)
            for i, rows in enumerate(self.stretches)
            for start in range(0, len(rows["reward"]) - length + 1, every)
        ]
        episode, start = np.array(where, np.int64).T
        return Segments(self.task, self.stretches, episode, start, length)

    def about(self) -> str:
        """Where models and stretches come from, in a sentence."""
        first = next(iter(self.agents.values())).config
        source = "online" if first.offline_buffer is None else f"on a fixed buffer ({self.facts.get('source', '?')})"
        return (
            f"{len(self.stretches)} stretches of {self.task} that no model has trained on; one model for each of "
            f"{', '.join(self.agents)}: preset {first.preset}, seed {first.seed}, trained {source}."
        )

    def as_recorded(self, windows: Segments, context: int = CONTEXT) -> list[Rollout]:
        """Truth and dreams under the recorded actions, of many windows at once; nothing is simulated."""
        dreams = {name: frames_and_rewards(agent, windows, context) for name, agent in self.agents.items()}
        rows = {name: windows.rows(name) for name in ("action", "image", "reward")}
        where = windows.positions()[task_facts(self.task).main]  # (N, T, d)
        moved = np.linalg.norm(where[:, context:] - where[:, context - 1 : context], axis=-1)
        return [
            Rollout(
                context,
                rows["action"][i, context:],
                rows["image"][i],
                rows["reward"][i],
                moved[i],
                {name: images[i] for name, (images, _) in dreams.items()},
                {name: np.r_[rows["reward"][i, :context], reward[i]] for name, (_, reward) in dreams.items()},
            )
            for i in range(len(windows))
        ]

    def averting(self, windows: Segments, push: float, level: float, context: int = CONTEXT) -> list[Setting]:
        """Pushes after which a reward that was recorded stays away.

        Of the windows whose reward is beneath the level when the dream begins and rises above it as recorded, those in
        which it stays beneath if the hand's path is moved sideways, away from the object (as in
        ``branching.displaced``): settings for ``rollout``.
        """
        reward, where = windows.rows("reward"), windows.positions()
        hand, at = (where[name][:, context - 1, 0] for name in (task_facts(self.task).hand, task_facts(self.task).main))
        rises = (reward[:, context - 1] <= level) & (reward[:, context:] > level).any(1)
        found = []
        for i in np.flatnonzero(rises):
            aside = (-push if at[i] > hand[i] else push, 0.0, 0.0)
            stretch, start = int(windows.episode[i]), int(windows.start[i])
            action = _pushed(windows.rows("action")[i, context:], aside)
            _, true, _, _ = self._simulate(
                self.stretches[stretch]["sim_state"][start + context - 1], action, look=False
            )
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
        """Truth and dreams from one recorded moment.

        Args:
            stretch: which one.
            start: its row that the context begins with.
            context: frames that the models see.
            horizon: steps played and dreamed from there.
            push: added to the hand's recorded actions, each in [-1, 1].

        Raises:
            ValueError: if the stretch ends before context and horizon do.
        """
        rows = self.stretches[stretch]
        if start + context + horizon > len(rows["reward"]):
            raise ValueError(
                f"stretch {stretch} has {len(rows['reward'])} rows; {start} + {context} + {horizon} is more"
            )
        window = Segments(self.task, self.stretches, np.array([stretch]), np.array([start]), context + horizon)
        action = _pushed(window.rows("action")[0, context:], push)  # (H, A)
        image, reward, displacement, where = self._simulate(rows["sim_state"][start + context - 1], action)
        seen = slice(start, start + context)
        dreams = {name: frames_and_rewards(agent, window, context, action[None]) for name, agent in self.agents.items()}
        return Rollout(
            context,
            action,
            np.concatenate([rows["image"][seen], image]),
            np.concatenate([rows["reward"][seen], reward]),
            displacement,
            {name: image[0] for name, (image, _) in dreams.items()},
            {name: np.concatenate([rows["reward"][seen], reward[0]]) for name, (_, reward) in dreams.items()},
            {name: np.concatenate([before[:context], where[name]]) for name, before in self._where(window).items()},
        )

    def record(self, stretch: int, start: int, length: int) -> Record:
        """What was recorded from a moment on, to lay beside a ``rollout``; nothing is simulated.

        Args:
            stretch: which one.
            start: its first row.
            length: rows.
        """
        window = Segments(self.task, self.stretches, np.array([stretch]), np.array([start]), length)
        return Record(window.rows("image")[0], window.rows("reward")[0], self._where(window))

    def eventful(self, context: int = CONTEXT, horizon: int = HORIZON, push: float = 0.8) -> Setting:
        """A setting to begin with: where the recorded reward rises most, with the hand pushed away from the object."""
        windows = self.segments(context + horizon, every=5)
        reward = windows.rows("reward")
        i = int((reward[:, context:].max(1) - reward[:, context - 1]).argmax())
        where = {name: at[i, context - 1, 0] for name, at in windows.positions().items()}
        facts = task_facts(self.task)
        aside = -push if where[facts.main] > where[facts.hand] else push
        return Setting(int(windows.episode[i]), int(windows.start[i]), context, horizon, (aside, 0.0, 0.0))

    def _where(self, window: Segments) -> dict[str, np.ndarray]:
        """Recorded positions of hand and main object in a single window, ``(T, d)``."""
        facts = task_facts(self.task)
        return {facts.called(n): at[0] for n, at in window.positions().items() if n in (facts.hand, facts.main)}

    def _simulate(
        self, state: np.ndarray, action: np.ndarray, look: bool = True
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, dict[str, np.ndarray]]:
        """Frames (none unless asked to look), rewards, the main object's displacement, its positions and the hand's."""
        facts = task_facts(self.task)
        name = facts.main
        images, rewards, moved, where = [], [], [], {name: [], facts.hand: []}
        with self._one_plays:
            self.env.restore_state(state)
            start = self.env.object_positions()[name]
            for a in action:
                if look:
                    obs, reward, *_ = self.env.step(a)
                    images.append(obs["image"])
                else:
                    reward = self.env.advance(a)
                rewards.append(reward)
                now = self.env.object_positions()
                moved.append(np.linalg.norm(now[name] - start))
                for thing, path in where.items():
                    path.append(now[thing])
        places = {facts.called(thing): np.array(at) for thing, at in where.items()}
        return np.array(images), np.array(rewards), np.array(moved), places


def _pushed(action: np.ndarray, push: Sequence[float]) -> np.ndarray:
    """Recorded actions ``(H, A)`` with something added to the hand's, within what the environment takes."""
    altered, width = action.copy(), min(PUSHED, action.shape[1])
    altered[:, :width] = np.clip(altered[:, :width] + np.asarray(push[:width], np.float32), -1, 1)
    return altered
