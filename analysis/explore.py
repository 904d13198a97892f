"""Dreams and the simulator side by side, for notebooks: choose a recorded moment, alter the actions, compare.

A slice is a small file of recorded stretches, a few of which ship in ``notebooks/data`` with two world models
(``python -m analysis.demo`` makes them from trained runs).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from analysis.dreams import frames_and_rewards
from analysis.segments import Rows, Segments
from hdream_core import envs, sealed, untrusted
from hdream_core.agent import DreamerV2
from hdream_core.envs.layout import main_object
from hdream_core.load import load_agent
from hdream_core.minari_layout import DatasetError

DATA = Path(__file__).parent.parent / "notebooks" / "data"
PUSHED = 3  # action dimensions of the hand that can be altered; a gripper does as recorded


def save_slice(path: Path, task: str, facts: Mapping[str, Any], stretches: Sequence[Rows]) -> Path:
    """Writes recorded stretches of one task, on the row side of ``minari_layout.convert``.

    Args:
        path: of the file.
        task: of all stretches.
        facts: where they come from, plain values; ``render`` and ``camera`` among them.
        stretches: each with ``image, action, reward, is_terminal, state, sim_state``.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with sealed.writing(path) as file:
        file.attrs.update({"task": task, "facts": json.dumps(dict(facts))})
        for index, rows in enumerate(stretches):
            for name, values in rows.items():
                file.create_dataset(f"stretch_{index}/{name}", data=values, compression="gzip", shuffle=True)
    return path


def load_slice(path: Path) -> tuple[str, dict[str, Any], list[Rows]]:
    """Task, facts and stretches of a file that ``save_slice`` wrote; DatasetError in one line if it is none."""
    try:
        with sealed.open_to_read(path) as file:
            groups = [untrusted.member(file, f"stretch_{i}") for i in range(len(file))]
            stretches = [
                {name: untrusted.array(values) for name, values in untrusted.members(group).items()} for group in groups
            ]
            facts = untrusted.attributes(file)
            return facts["task"], untrusted.json_value(facts["facts"]), stretches
    except (AttributeError, KeyError, OSError, RuntimeError, TypeError, ValueError) as error:
        raise DatasetError(f"{path}: not a slice of a buffer ({error})") from None


@dataclass(frozen=True)
class Rollout:
    """One moment, altered actions from there on: what the simulator does and what models dream of it.

    All arrays start with the context: frames seen, recorded rewards; then H steps.
    """

    context: int
    action: np.ndarray  # (H, A) as played
    true_image: np.ndarray  # (T, H, W, C) uint8
    true_reward: np.ndarray  # (T,)
    displacement: np.ndarray  # (H,) of the main object in truth, in units of ``positions``
    dreamed_image: dict[str, np.ndarray]  # by model, (T, H, W, C) uint8
    dreamed_reward: dict[str, np.ndarray]  # by model, (T,)


class Explorer:
    """Recorded stretches, world models, and the simulator that the stretches came from.

    Args:
        models: name to exported agent or run folder.
        slice_path: of the stretches.
    """

    def __init__(self, models: Mapping[str, Path], slice_path: Path):
        self.task, self.facts, self.stretches = load_slice(slice_path)
        self.agents: dict[str, DreamerV2] = {name: load_agent(path) for name, path in models.items()}
        self._env: Any = None

    @classmethod
    def shipped(cls, task: str = "lever_pull") -> Explorer:
        """The models and the slice in ``notebooks/data``; DatasetError if the task has none there."""
        models = {path.stem.removeprefix(f"{task}_"): path for path in sorted(DATA.glob(f"{task}_*.safetensors"))}
        if not models:
            there = sorted({path.stem.removesuffix("_slice") for path in DATA.glob("*_slice.h5")})
            raise DatasetError(f"{DATA}: holds no models of {task}; there are {', '.join(there) or 'none'}")
        return cls(models, DATA / f"{task}_slice.h5")

    @property
    def env(self) -> Any:
        """The simulator, made when first asked for: it needs a GL library."""
        if self._env is None:
            render = self.facts["render"] if self.facts["render"] in ("fast", "paper") else "auto"
            camera = {"camera": self.facts["camera"]} if self.facts["camera"] != "none" else {}
            self._env = envs.make(self.task, seed=0, render=render, **camera)
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

    def rollout(
        self, stretch: int, start: int, context: int = 15, horizon: int = 35, push: Sequence[float] = (0, 0, 0)
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
        action = window.rows("action")[0, context:].copy()  # (H, A)
        width = min(PUSHED, action.shape[1])
        action[:, :width] = np.clip(action[:, :width] + np.asarray(push[:width], np.float32), -1, 1)
        image, reward, displacement = self._simulate(rows["sim_state"][start + context - 1], action)
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
        )

    def _simulate(self, state: np.ndarray, action: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        name = main_object(self.task)
        self.env.restore_state(state)
        start = self.env.object_positions()[name]
        images, rewards, moved = [], [], []
        for a in action:
            obs, reward, *_ = self.env.step(a)
            images.append(obs["image"])
            rewards.append(reward)
            moved.append(np.linalg.norm(self.env.object_positions()[name] - start))
        return np.stack(images), np.array(rewards), np.array(moved)
