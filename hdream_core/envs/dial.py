"""``mini_dial``: the miniature with dials, on which the price of information is known.

Whether a world model encodes an object is a matter of price: its place costs nats of L_d, and saves L_o (its pixels)
and L_r (the reward that depends on it). Here one dial sets each side. ``contrast`` and ``lever`` set how many squared
errors the lever's pixels are worth, ``reward`` how far the reward spreads, ``background`` how much else there is to
see. ``analysis.dial`` computes from them the weight w_r* from which a model should encode the lever.

The reward can be found by exploring: it rises within a few pixels of the point beneath the lever, and with its height.
The task was made for this test and never stands for another; every result on it bears ``scale = miniature``.
"""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from hdream_core.envs.miniature import BLUE, CONTACT, LIFT, SIZE, Miniature, positions
from hdream_core.envs.suite import EnvConfig, Suite
from hdream_core.support.settings import AboveZero, settings

FALLOFF = 4.0  # pixels from the lever at which the reward for nearness has fallen to exp(-1/2)
LEVER = slice(4, 7)  # of a saved state: the lever's x, its y at rest, and its height
GREY, STRIPES = 120.0, 70.0  # of the background: its mean, and the height of its waves


@settings
class DialConfig(EnvConfig):
    """Settings of the miniature with dials."""

    suite: Literal["dial"] = "dial"
    """Suite of the task."""
    lever: Annotated[int, Field(ge=1, le=9)] = 3
    """Width and height of the lever in pixels."""
    contrast: Annotated[float, Field(ge=0, le=1)] = 1.0
    """How far the lever's pixels go from what lies behind them (0, invisible) to blue (1)."""
    reward: AboveZero = 1.0
    """The largest reward of a step."""
    background: Annotated[int, Field(ge=0, le=8)] = 0
    """How many fields of drifting stripes lie behind; 0 is plain grey, before which small models learn in minutes."""


SUITE = Suite("dial", ("mini_dial",), DialConfig, "hdream_core.envs.dial:Dial", positions, "miniature")


class Dial(Miniature):
    """Plays the task: push a lever up with a large arm; how visible and how rewarding the lever is, is set by dials.

    Observations, actions, dynamics and success are ``Miniature``'s. Reward in [0, ``reward``]: half of it
    for the tip's nearness to the point beneath the lever, by a Gaussian of 4 pixels, half for the lever's height.

    Args:
        task: ``mini_dial``.
        seed: seed of the sequence of episodes.
        dials: ``lever``, ``contrast``, ``reward`` and ``background`` of ``DialConfig``.
    """

    def __init__(self, task: str = "mini_dial", seed: int = 0, **dials: float):
        super().__init__(task, seed)
        self.task, self.dials = task, DialConfig(**dials)
        shown = " ".join(f"{name}={getattr(self.dials, name):g}" for name in ("lever", "contrast", "background"))
        self.look = {"render": "numpy", "camera": "none", "dials": shown}

    def look_at(self, state: np.ndarray, lever: np.ndarray | None = None) -> tuple[np.ndarray, float]:
        """Returns the frame and the reward of a saved state.

        Args:
            state: of ``save_state``.
            lever: another saved state, whose lever is put in the place of this one's.
        """
        mixed = np.array(state, np.float64)
        if lever is not None:
            mixed[LEVER] = lever[LEVER]
        return self.restore_state(mixed)["image"], self._reward()

    def lever_places(self, states: np.ndarray) -> np.ndarray:
        """Returns x and y of the lever in saved states ``(..., n)``, in pixels, ``(..., 2)``."""
        x, rest_y, lifted = np.moveaxis(states[..., LEVER], -1, 0)
        return np.stack([x, rest_y - lifted], -1)

    def _begin(self, rng: np.random.Generator) -> None:
        super()._begin(rng)
        fields = self.dials.background
        angle, waves = rng.uniform(0, np.pi, fields), rng.uniform(0.04, 0.16, fields)
        # A row a field: waves a pixel along x and along y, drift in waves a step, phase, colour.
        ways = [waves * np.cos(angle), waves * np.sin(angle), rng.uniform(-0.1, 0.1, fields), rng.uniform(0, 1, fields)]
        self.stripes = np.column_stack([*ways, rng.uniform(-1, 1, (fields, 3))]).ravel()

    def _reward(self) -> float:
        distance = np.hypot(*(self.tip - (self.lever_x, self._lever_y + CONTACT)))
        nearness = np.exp(-0.5 * (distance / FALLOFF) ** 2)
        return self.dials.reward * float(0.5 * nearness + 0.5 * self.lifted / LIFT)

    def _background(self) -> np.ndarray:
        """Draws the sum of the fields of stripes on grey, float64 (32, 32, 3)."""
        frame = np.full((SIZE, SIZE, 3), GREY)
        fields = self.stripes.reshape(-1, 7)
        for along_x, along_y, drift, phase, *colour in fields:
            wave = np.sin(2 * np.pi * (along_x * self._xx + along_y * self._yy + drift * self.t + phase))
            frame += STRIPES / np.sqrt(len(fields)) * wave[..., None] * np.array(colour)
        return frame.clip(0, 255)

    def _draw_lever(self, frame: np.ndarray) -> None:
        """Draws the lever into a frame, mixed with what lies behind it."""
        half = self.dials.lever // 2
        x, y = round(self.lever_x) - half, round(self._lever_y) - half
        part = frame[max(y, 0) : y + self.dials.lever, max(x, 0) : x + self.dials.lever]
        part += self.dials.contrast * (np.array(BLUE) - part)
