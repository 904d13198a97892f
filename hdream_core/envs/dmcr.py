"""Tasks of DMC Remastered (Grigsby and Qi, 2020): those of the DeepMind Control suite, in a new look at every episode.

Physics, rewards, actions and states are dm_control's. What is new is ``visuals``: sky, floor, reflectance, colours,
light and camera. The pictures are made by ``textures``, or are the original photos from a folder of the user's.
"""

from __future__ import annotations

import itertools
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import AfterValidator, BeforeValidator, Field

from hdream_core.envs import pictures, rendering, textures, visuals
from hdream_core.envs.dmc import DMC
from hdream_core.envs.suite import EnvConfig, FrameSize, Suite
from hdream_core.envs.visuals import FACTORS, Factor
from hdream_core.support.settings import settings

_TASKS = ("dmcr_cheetah_run", "dmcr_walker_run", "dmcr_cartpole_balance")
_TILES = 3  # how often a floor's picture is repeated on a metre
_CHEETAH_FLOOR = 15.0  # metres from its middle to its side; dm_control's is a narrow strip
_instances = itertools.count()


def _split(text: Any) -> Any:
    """Splits the factors of a text such as ``bg,floor``."""
    return [part.strip() for part in text.split(",") if part.strip()] if isinstance(text, str) else text


def _in_order(factors: tuple[Factor, ...]) -> tuple[Factor, ...]:
    return tuple(factor for factor in FACTORS if factor in factors)


@settings
class DMCRConfig(EnvConfig):
    """Settings of DMC Remastered. The defaults are the paper's."""

    suite: Literal["dmcr"] = "dmcr"
    """Suite of the task."""
    render: Literal["auto", "fast", "paper"] = "auto"
    """Render quality: MuJoCo's own (paper), without shadows (fast), or what suits the device that draws (auto)."""
    action_repeat: Annotated[int, Field(ge=1, le=100)] = 2
    """Environment steps that one action lasts; the paper's is 2."""
    size: FrameSize = 64
    """Height and width of a frame in pixels."""
    vary: Annotated[tuple[Factor, ...], Field(strict=False), BeforeValidator(_split), AfterValidator(_in_order)] = (
        FACTORS
    )
    """What each episode draws anew; the rest looks as in dm_control. The paper varies all."""
    assets: str = ""
    """Folder with the original photos, in its folders skies and floors; empty: pictures that are made here."""


SUITE = Suite("dmcr", _TASKS, DMCRConfig, "hdream_core.envs.dmcr:DMCR", extra="dmc", before=(3, 13), scripted=False)


class DMCR(DMC):
    """Plays one task of DMC Remastered: ``DMC``'s, whose look depends on ``(seed, episode)``.

    The model differs from dm_control's in what is seen alone: a floor's picture is repeated three times on a metre, and
    cheetah's floor is 30 metres wide. Render quality ``fast`` draws reflections, which are a factor here, and no
    shadows, so that the size of the shadow map shows in ``paper`` only.
    """

    tasks = _TASKS

    def __init__(
        self,
        task: str,
        *,
        seed: int = 0,
        render: str = "auto",
        action_repeat: int = 2,
        size: int = 64,
        vary: tuple[Factor, ...] = FACTORS,
        assets: str = "",
    ) -> None:
        """
        Args:
            task: one of ``tasks``.
            seed: seed of the sequence of episodes and of their looks, 0 or more.
            render, action_repeat, size: as in ``DMC``.
            vary: factors that each episode draws anew.
            assets: folder of the original photos; empty for pictures that are made here.

        Raises:
            ConfigError: for an unknown factor, or a folder without pictures.
        """
        self.vary = DMCRConfig(vary=vary).vary
        self._album = pictures.album(assets)
        super().__init__(task, seed=seed, render=render, action_repeat=action_repeat, size=size)
        self.look |= {"varied": "+".join(self.vary) or "nothing", "pictures": self._album.name}
        self._domain = task.split("_")[1]
        self._key = f"{task} {next(_instances)}"  # of what the device holds; no other instance has these textures
        self._dressed: tuple[int, int] | None = None  # seed and episode that the model looks like
        self._textures = 0  # counts the changes of its textures
        self._stage = visuals.Stage(self._model, self._view.camera)
        self._prepare()

    def _prepare(self) -> None:
        """Changes what all episodes have in common."""
        model = self._model
        model.mat("grid").texrepeat[:] = _TILES
        if self._domain == "cheetah":
            model.geom("ground").size[1] = _CHEETAH_FLOOR
        for name, factor in (("skybox", "bg"), ("grid", "floor")):
            if factor in self.vary:  # smaller, and for the sky one picture for all faces
                number = model.tex(name).id
                model.tex_height[number] = model.tex_width[number] = textures.SIDE

    def visuals(self) -> visuals.Visuals:
        """Returns what all factors are in the current episode, those too that are not varied and so not seen."""
        streams = visuals.streams(self.seed, self.episode)
        return visuals.draw(self._domain, streams, self._album.skies, self._album.floors)

    def _dress(self) -> None:
        if self._dressed == (self.seed, self.episode):
            return
        self._dressed, drawn = None, self.visuals()
        self._stage.show(drawn, self.vary)
        if "bg" in self.vary:
            self._paint("skybox", self._album.sky(drawn.sky))
        if "floor" in self.vary:
            self._paint("grid", self._album.floor(drawn.floor))
        self._dressed = self.seed, self.episode

    def _paint(self, name: str, picture: np.ndarray) -> None:
        """Writes a picture over a texture of the model."""
        start = int(self._model.tex(name).adr[0])
        self._model.tex_data[start : start + picture.size] = picture.ravel()
        self._textures += 1

    def _draw(self, **options: Any) -> np.ndarray:
        own = {"key": self._key, "textures": self._textures, "reflections": True}
        return rendering.draw(self._model, self._data, self._camera, **own, **options)
