"""Computes the price of information: what knowing a lever's place costs of L_d, and saves of L_o and of L_r.

A world model that does not know the place predicts the mean over places. The decoder and the reward head are Gaussians
of unit variance, so not knowing costs half the variance over places: a quarter of the mean squared difference between
two places. Everything here comes from frames and rewards; nothing is trained.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analysis.models.segments import Rows
from hdream_core.envs.dial import Dial

POSTERIOR_SHARE = 0.2  # of the KL divergence's gradient that the posterior feels, by KL balancing


@dataclass(frozen=True)
class Price:
    """Holds what knowing the lever's place is worth and what it costs, in nats a frame."""

    observation: float
    """Saved of L_o."""
    reward: float
    """Saved of L_r."""
    dynamics: float
    """Cost in L_d that the posterior feels."""

    def threshold(self, w_o: float = 1.0, w_d: float = 1.0) -> float:
        """Returns w_r*, the reward weight from which knowing the place saves more than it costs; 0 if L_o suffices."""
        missing = max(0.0, w_d * self.dynamics - w_o * self.observation)
        return missing / self.reward if self.reward else (np.inf if missing else 0.0)


def price(env: Dial, episodes: Sequence[Rows], window: int, pairs: int = 2000, seed: int = 0) -> Price:
    """Returns the price of the lever's place on some episodes.

    In every pair, a frame is drawn as it is and with the lever of another episode's frame at the same step. The place
    is one of the pixels of the rectangle in which the lever is found. A model that remembers it pays for it once in a
    window.

    Args:
        env: of the episodes.
        episodes: with their saved states, at least two.
        window: frames of a training window.
        pairs: of frames to draw.
        seed: of the drawing.
    """
    rng = np.random.default_rng(seed)
    saved = np.zeros(2)  # of L_o and of L_r
    for _ in range(pairs):
        here, there = rng.choice(len(episodes), 2, replace=False)
        step = rng.integers(min(len(episodes[i]["sim_state"]) for i in (here, there)))
        state, other = (episodes[i]["sim_state"][step] for i in (here, there))
        (frame, reward), (moved, moved_reward) = env.look_at(state), env.look_at(state, other)
        saved += np.square(frame / 255.0 - moved / 255.0).sum() / 4, (reward - moved_reward) ** 2 / 4
    places = np.concatenate([env.lever_places(episode["sim_state"]) for episode in episodes])
    nats = float(np.log(np.prod(np.ptp(places, axis=0) + 1)))
    return Price(*map(float, saved / pairs), POSTERIOR_SHARE * nats / window)
