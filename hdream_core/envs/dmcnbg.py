"""Tasks of the DeepMind Control suite before natural backgrounds: a film plays where nothing but sky and floor is.

As in the released code: the film takes the place of every pixel that is more blue than red and than green, so that the
blue floor of most tasks is covered, too. A frame of the film is shown for each action. There the film runs on through
resets; here it begins at a frame that depends on ``(seed, episode)``, so that an episode can be played again.
"""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from hdream_core.envs import films
from hdream_core.envs.dmc import DMC
from hdream_core.envs.suite import EnvConfig, FrameSize, Suite
from hdream_core.support.settings import settings

_TASKS = (
    "dmcnbg_cheetah_run",
    "dmcnbg_walker_run",
    "dmcnbg_quadruped_run",
    "dmcnbg_finger_turn_hard",
    "dmcnbg_cartpole_balance",
)


@settings
class DMCNBGConfig(EnvConfig):
    """Settings of the DeepMind Control suite before natural backgrounds."""

    suite: Literal["dmcnbg"] = "dmcnbg"
    """Suite of the task."""
    render: Literal["auto", "fast", "paper"] = "auto"
    """Render quality: MuJoCo's own (paper), without shadows (fast), or what suits the device that draws (auto)."""
    action_repeat: Annotated[int, Field(ge=1, le=100)] = 2
    """Environment steps that one action lasts; the paper's is 2."""
    size: FrameSize = 64
    """Height and width of a frame in pixels."""
    film: str = ""
    """Folder of pictures that play in the order of their names, turned grey; empty: a film that is made here."""


SUITE = Suite(
    "dmcnbg", _TASKS, DMCNBGConfig, "hdream_core.envs.dmcnbg:DMCNBG", extra="dmc", before=(3, 13), scripted=False
)


class DMCNBG(DMC):
    """Plays one task of the DeepMind Control suite with a film for a background; all else is ``DMC``'s."""

    tasks = _TASKS

    def __init__(
        self,
        task: str,
        *,
        seed: int = 0,
        render: str = "auto",
        action_repeat: int = 2,
        size: int = 64,
        film: str = "",
    ) -> None:
        """
        Args:
            task: one of ``tasks``.
            seed: seed of the sequence of episodes and of where the film begins, 0 or more.
            render, action_repeat, size: as in ``DMC``.
            film: folder of pictures; empty for a film that is made here.

        Raises:
            ConfigError: for a folder without pictures.
        """
        self._film = films.film(film, size)
        super().__init__(task, seed=seed, render=render, action_repeat=action_repeat, size=size)
        self.look |= {"backdrop": self._film.name}

    def background(self) -> np.ndarray:
        """Returns the film's present frame, uint8 ``(size, size)``."""
        first = np.random.default_rng([self.seed, self.episode, 4]).integers(len(self._film.frames))
        return self._film.frames[(first + self._played // self.action_repeat) % len(self._film.frames)]

    def render_image(self, render: str | None = None) -> np.ndarray:
        """Draws the current state before the film, uint8 ``(size, size, 3)``."""
        image = super().render_image(render)
        red, green, blue = np.moveaxis(image, -1, 0)
        behind = (blue > green) & (blue > red)
        image[behind] = self.background()[behind][:, None]
        return image
