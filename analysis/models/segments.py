"""Provides episodes with states, and the windows of them that models are tested on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from analysis.runs.study import Plan
from hdream_core.agent import Agent
from hdream_core.data import environments
from hdream_core.data.episodes import check_and_cast
from hdream_core.data.minari_layout import MAIN_FILE, convert, open_main, read_episode, read_metadata
from hdream_core.data.replay import split_episodes
from hdream_core.envs import Scripted, positions
from hdream_core.envs.suite import LOOK
from hdream_core.runs import folder as run_folder
from hdream_core.support.errors import ConfigError
from hdream_core.support.randomness import own_randomness
from offline_buffers.behaviors import behavior_of, play

CONTEXT, HORIZON = 15, 35  # frames seen, steps predicted (C.4)
LENGTH = CONTEXT + HORIZON  # of a segment
PLAYED_SEED = 2_000_000  # of episodes played for studies; no run trains or evaluates with this seed
FIELDS = ("image", "actions", "rewards", "terminations", "state", "sim_state")
FURTHER = 100_000  # index of the first such episode that probes are fitted on
Rows = dict[str, np.ndarray]  # one episode on the row side of ``minari_layout.convert``


@dataclass(frozen=True)
class Segments:
    """Holds N windows of T rows; their episodes are kept once, even if windows overlap."""

    task: str
    episodes: Sequence[Rows]
    episode: np.ndarray  # (N,) which episode each window is from
    start: np.ndarray  # (N,) its first row there
    length: int  # T

    def __len__(self) -> int:
        return len(self.episode)

    def take(self, chosen: np.ndarray) -> Segments:
        """Returns some of the windows."""
        return Segments(self.task, self.episodes, self.episode[chosen], self.start[chosen], self.length)

    def rows(self, name: str) -> np.ndarray:
        """Returns a field of all windows, ``(N, T, ...)``."""
        parts = zip(self.episode, self.start, strict=True)
        return np.stack([self.episodes[e][name][s : s + self.length] for e, s in parts])

    def positions(self) -> dict[str, np.ndarray]:
        """Returns positions of hand and objects by name, ``(N, T, d)``."""
        return positions(self.task, self.rows("state"))

    def batch(self) -> dict[str, np.ndarray]:
        """Returns the windows as a world model reads them."""
        batch = {name: self.rows(name) for name in ("image", "action", "reward", "is_terminal")}
        first = np.zeros(batch["reward"].shape, bool)
        first[:, 0] = True
        return batch | {"is_first": first, "is_terminal": batch["is_terminal"].astype(bool)}


def draw(task: str, episodes: Sequence[Rows], count: int | None, length: int, seed: int) -> Segments:
    """Draws ``count`` different windows at random, all equally likely; None draws all in random order.

    Raises:
        ConfigError: if there are fewer, or no episode has so many rows.
    """
    rows = np.array([len(episode["reward"]) for episode in episodes])
    starts = np.maximum(rows - length + 1, 0)
    total = int(starts.sum())
    if not total:
        raise ConfigError(f"windows of {length} rows do not fit into episodes of {rows.max(initial=0)}")
    if count is not None and count > total:
        raise ConfigError(
            f"{count} windows of {length} rows were asked for, and {len(episodes)} episodes hold {total}; ask for "
            f"{total} or fewer, or for more episodes"
        )
    chosen = np.random.default_rng(seed).choice(total, total if count is None else count, replace=False)
    episode = np.searchsorted(np.cumsum(starts), chosen, "right")
    return Segments(task, episodes, episode, chosen - (np.cumsum(starts) - starts)[episode], length)


def unseen_episodes(plan: Plan, count: int) -> list[Rows]:
    """Returns ``count`` episodes that none of the plan's models has trained on.

    Offline they are the buffer's held-out episodes. Online they are played, by scripts of all skills, or with random
    actions where a task has no script.
    """
    config = plan.config
    if config.offline_buffer:
        return _recorded(Path(config.offline_buffer), config.eval.heldout_fraction, count, heldout=True)
    return _played(plan, range(count))


def other_episodes(plan: Plan, count: int) -> list[Rows]:
    """Returns ``count`` episodes besides ``unseen_episodes``, to fit probes on.

    Offline the models have trained on them; online they are played like the unseen ones.
    """
    config = plan.config
    if config.offline_buffer:
        return _recorded(Path(config.offline_buffer), config.eval.heldout_fraction, count, heldout=False)
    return _played(plan, range(FURTHER, FURTHER + count))


def evaluation_episodes(agent: Agent, env: Any, episodes: Iterable[int]) -> list[Rows]:
    """Plays episodes with an agent's policy, as in evaluation, and returns them with states (C.4, Fig. 2c).

    Args:
        agent: that plays.
        env: that it plays in.
        episodes: their indices; two agents that play the same episode have the same goal.
    """
    return [_rows(play(env, _Policy(agent), index)) for index in episodes]


def make_env(plan: Plan, seed: int) -> Any:
    """Makes an environment of the plan's task whose frames look like those that its models were trained on.

    Raises:
        ConfigError: if the models were trained on different frames, or on none yet.
    """
    facts = run_folder.read_provenance(plan.runs[0].folder)
    for run in plan.runs:
        for name, ours in run_folder.read_provenance(run.folder).items():
            if name in LOOK and ours != facts.get(name):
                raise ConfigError(f"{run.folder}: was trained on frames of {name} {ours}, others on {facts.get(name)}")
    return environments.make_env(plan.config, seed, facts)


class _Policy:
    """Makes a player for ``play`` of an agent."""

    skill = float("nan")

    def __init__(self, agent: Agent):
        self.agent, self.state, self.steps = agent, None, 0

    def __call__(self, env: Any, image: np.ndarray) -> np.ndarray:
        with own_randomness(self.steps):
            actions, self.state = self.agent.act(image[None], self.state, explore=False)
        self.steps += 1
        return actions[0]


def _recorded(folder: Path, fraction: float, count: int, heldout: bool) -> list[Rows]:
    metadata = read_metadata(folder)
    chosen = split_episodes(metadata["total_episodes"], fraction)[int(heldout)]
    if count > len(chosen):
        part = "held out of training" if heldout else "to train on"
        raise ConfigError(
            f"{folder}: {count} episodes {part} were asked for, and it has {len(chosen)}; ask for {len(chosen)} or "
            "fewer, or give a larger --buffer"
        )
    path = folder / "data" / MAIN_FILE
    with open_main(path) as file:
        return [
            _rows(check_and_cast(read_episode(file, int(i)), f"{path}: episode_{i}", FIELDS[:5]))
            for i in chosen[:count]
        ]


def _played(plan: Plan, indices: Iterable[int]) -> list[Rows]:
    env = make_env(plan, PLAYED_SEED)
    source = "scripted" if isinstance(env, Scripted) else "random"
    return [_rows(play(env, behavior_of(source, PLAYED_SEED, i), i)) for i in indices]


def _rows(episode: Rows) -> Rows:
    return convert({name: episode[name] for name in FIELDS if name in episode}, to="rows")
