"""Online experience: steps an environment with the policy and stores whole episodes."""

from __future__ import annotations

from typing import Any

import numpy as np

from hdream_core.data.store import EpisodeStore, Field
from hdream_core.dreamerv2.player import Player


class Collector:
    """Plays episode after episode into a store.

    Episode k of a seeded environment is always the same and a store knows how many episodes it holds, so between
    episodes there is nothing else to remember: that is when a run can be saved.

    Args:
        env: of ``hdream_core.envs``.
        store: receives each episode when it ends.
        rng: of the random actions during prefill.
    """

    def __init__(self, env: Any, store: EpisodeStore, rng: np.random.Generator):
        self.env, self.store, self.rng = env, store, rng
        self.rows: list[dict[str, np.ndarray]] = []  # of the episode being played
        self.policy_state: Any = None

    @property
    def between_episodes(self) -> bool:
        return not self.rows

    def collect(self, player: Player | None, env_steps: int) -> dict[str, float] | None:
        """Plays at least ``env_steps`` environment steps; random actions without a player.

        Returns:
            ``return``, ``success`` and ``length`` of the episode that ended last, if one did.
        """
        finished = None
        for _ in range(-(-env_steps // self.env.action_repeat)):
            if self.between_episodes:
                obs, info = self.env.reset(options={"episode": self.store.episodes})
                self.policy_state = None
                self._remember(obs, np.zeros(self.env.action_space.shape), 0.0, False, info)
            action = self._act(player)
            obs, reward, terminated, truncated, info = self.env.step(action)
            self._remember(obs, action, reward, terminated, info)
            if terminated or truncated:
                finished = self._finish()
        return finished

    def _act(self, player: Player | None) -> np.ndarray:
        if player is None:
            return self.rng.uniform(-1, 1, self.env.action_space.shape).astype(np.float32)
        action, self.policy_state = player.act(self.rows[-1]["image"][None], self.policy_state, explore=True)
        return action[0]

    def _remember(self, obs: dict, action: np.ndarray, reward: float, terminated: bool, info: dict) -> None:
        self.rows.append(
            {
                "image": obs["image"],
                "state": np.asarray(obs["state"], np.float64),
                "action": np.asarray(action, np.float32),
                "reward": np.float32(reward),
                "is_terminal": np.bool_(terminated),
                "success": np.bool_(info["success"]),
                "sim_state": self.env.save_state(),
            }
        )

    def _finish(self) -> dict[str, float]:
        episode = {name: np.stack([row[name] for row in self.rows]) for name in self.rows[0]}
        self.store.append(episode)
        self.rows = []
        length = len(episode["reward"]) - 1
        return {
            "return": float(episode["reward"].sum()),
            "success": float(episode["success"].any()),
            "length": length * self.env.action_repeat,
        }


def store_fields(env: Any) -> dict[str, Field]:
    """Row layout of everything that a collector remembers of ``env``."""
    env.reset(options={"episode": 0})
    return {
        "image": Field("|u1", env.observation_space["image"].shape),
        "state": Field("<f8", env.observation_space["state"].shape),
        "action": Field("<f4", env.action_space.shape),
        "reward": Field("<f4", ()),
        "is_terminal": Field("|b1", ()),
        "success": Field("|b1", ()),
        "sim_state": Field("<f8", env.save_state().shape),
    }
