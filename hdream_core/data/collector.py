"""Collects online experience: steps an environment with the policy and stores whole episodes."""

from __future__ import annotations

from typing import Any

import numpy as np

from hdream_core.agent import Player
from hdream_core.data.store import EpisodeStore, Field, Row
from hdream_core.envs.contract import Branchable, Env
from hdream_core.spec import Spec


class Collector:
    """Plays episode after episode into a store.

    Episode k of a seeded environment is always the same, and a store knows how many episodes it holds. So between
    episodes no further state is needed, and a run can be saved.

    Args:
        env: environment to play in.
        store: receives each episode when it ends.
        rng: generator of the random actions during prefill.
    """

    def __init__(self, env: Env, store: EpisodeStore, rng: np.random.Generator):
        self.env, self.store, self.rng = env, store, rng
        self.action, self.branchable = Spec.of(env).action, isinstance(env, Branchable)
        self.length = 0  # environment steps of the current episode
        self.memory: Any = None  # memory of the player

    @property
    def rows(self) -> list[Row]:
        """Returns the rows of the current episode."""
        return self.store.running[1]

    @property
    def between_episodes(self) -> bool:
        """Tells whether no episode is in progress."""
        return not self.rows

    def collect(self, player: Player | None, env_steps: int) -> tuple[int, list[dict[str, float]]]:
        """Plays for at least ``env_steps`` environment steps, or to the end of the episode if that comes first.

        Args:
            player: None acts at random.
            env_steps: 1 or more.

        Returns:
            The environment steps played, and ``return``, ``success`` and ``length`` (in environment steps) of the
            episode if it ended.
        """
        played, ended = 0, []
        while played < env_steps and not ended:
            if self.between_episodes:
                obs, info = self.env.reset(options={"episode": self.store.episodes})
                self.memory, self.length = None, 0
                self._add_row(obs, self.action.zeros(), 0.0, False, info)
            action = self._act(player)
            obs, reward, terminated, truncated, info = self.env.step(action)
            self._add_row(obs, action, reward, terminated, info)
            played += info["env_steps"]
            self.length += info["env_steps"]
            if terminated or truncated:
                ended.append(self._finish())
        return played, ended

    def _act(self, player: Player | None) -> np.ndarray:
        if player is None:
            return self.action.sample(self.rng)
        action, self.memory = player.act(self.rows[-1]["image"][None], self.memory, explore=True)
        return action[0]

    def _add_row(self, obs: dict, action: np.ndarray, reward: float, terminated: bool, info: dict) -> None:
        row = {
            "image": obs["image"],
            "state": np.asarray(obs["state"], np.float64),
            "action": np.asarray(action, np.float32),
            "reward": np.float32(reward),
            "is_terminal": np.bool_(terminated),
            "success": np.bool_(info["success"]),
        }
        if self.branchable:
            row["sim_state"] = self.env.save_state()
        self.store.play_on(row)

    def _finish(self) -> dict[str, float]:
        episode = self.store.finish()
        return {
            "return": float(episode["reward"].sum()),
            "success": float(episode["success"].any()),
            "length": self.length,
        }


def store_fields(env: Env) -> dict[str, Field]:
    """Returns the layout of the rows that a collector stores of ``env``."""
    spec = Spec.of(env)
    fields = {
        "image": Field("|u1", spec.image),
        "state": Field("<f8", env.observation_space["state"].shape),
        "action": Field("<f4", (spec.action.dim,)),
        "reward": Field("<f4", ()),
        "is_terminal": Field("|b1", ()),
        "success": Field("|b1", ()),
    }
    if isinstance(env, Branchable):
        env.reset(options={"episode": 0})
        fields["sim_state"] = Field("<f8", env.save_state().shape)
    return fields
