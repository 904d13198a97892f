"""``mini_moves``: the miniature with nine discrete moves, on which policies over choices learn in minutes on a CPU."""

from __future__ import annotations

from typing import Literal

import gymnasium
import numpy as np

from hdream_core.envs.miniature import Miniature, positions
from hdream_core.envs.suite import EnvConfig, Suite
from hdream_core.support.settings import settings

MOVES = np.array([(x, y) for y in (0.0, -1.0, 1.0) for x in (0.0, -1.0, 1.0)])  # (9, 2); the first one stays


@settings
class MovesConfig(EnvConfig):
    suite: Literal["moves"] = "moves"
    """Suite of the task, which has no settings."""


class Moves(Miniature):
    """Plays the miniature by one of nine moves: stay, or at full speed to one of eight sides.

    Everything but the actions is ``Miniature``'s. Actions: one-hot vectors ``(9,)``, the rows of ``MOVES``.
    """

    def __init__(self, task: str = "mini_moves", seed: int = 0, **options: object):
        super().__init__(task, seed, **options)
        self.task, self.action_space = task, gymnasium.spaces.Discrete(len(MOVES))

    def advance(self, action: np.ndarray) -> float:
        """Moves the tip by the chosen move; returns the reward."""
        return super().advance(MOVES[int(np.argmax(action))])

    def expert_action(self) -> np.ndarray:
        """Returns the move nearest to the script's, a one-hot float32 ``(9,)``."""
        nearest = np.square(MOVES - super().expert_action()).sum(1).argmin()
        return np.eye(len(MOVES), dtype=np.float32)[nearest]


SUITE = Suite("moves", ("mini_moves",), MovesConfig, "hdream_core.envs.moves:Moves", positions, "miniature")
