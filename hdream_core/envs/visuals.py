"""Draws what DMC Remastered varies between episodes: seven factors, in the distributions of its public code.

Three slips of that code are left out on purpose. It seeds the same generator twice, for the model and for the
pictures, so that the camera's x and the number of the sky correlate (0.89); here every factor has a generator of its
own. It numbers pictures in the order of a folder's listing, so that a seed shows another picture on another disk; here
they are sorted by name. And it draws the seeds themselves from Python's global generator, so that two methods are never
evaluated on the same episodes; here the draws depend on ``(seed, episode)`` alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

import numpy as np

if TYPE_CHECKING:
    import mujoco

Factor = Literal["bg", "floor", "reflectance", "body", "target", "light", "camera"]
FACTORS: tuple[Factor, ...] = get_args(Factor)
SHADOWS = 1548, 2548  # least and largest size of the shadow map, in pixels
Range = tuple[float, float]
Uniform = Callable[[], float]
"""Returns the next of a factor's uniform random numbers in [0, 1)."""


class Ranges(NamedTuple):
    """Holds where a task's camera and light may stand: from and to, in metres, of x, y and z."""

    camera: tuple[Range, Range, Range]
    light: tuple[Range, Range, Range] | None


RANGES = {
    "cheetah": Ranges(((-0.25, 0.25), (-3.2, -2.8), (-0.25, 0.25)), ((-2.0, 2.0), (-2.0, 2.0), (1.0, 5.0))),
    "walker": Ranges(((-0.3, 0.3), (-2.05, -1.95), (0.6, 0.8)), None),
    "cartpole": Ranges(((-0.15, 0.15), (-5.0, -3.0), (0.8, 1.2)), ((-1.0, 1.0), (-1.0, 1.0), (4.5, 7.5))),
}


@dataclass(frozen=True)
class Visuals:
    """Holds how an episode looks: a value of every factor, whether it is varied or not.

    Attributes:
        sky: number of the picture on all faces of the sky (``bg``).
        floor: number of the floor's picture.
        reflectance: of the floor, 0 to 0.5.
        body, effector: colours and opacity ``(4,)`` of the two materials of bodies (``body``).
        target: colour and opacity ``(4,)`` of a target; none of the paper's three tasks has one.
        ambient, diffuse, specular: colours ``(3,)`` of the headlight (``light``).
        shadows: size of the shadow map in pixels (``light``).
        light: place ``(3,)`` of the lamp in metres (``light``); None where it is not varied, in walker.
        camera: place ``(3,)`` of the camera in metres; it is never turned.
    """

    sky: int
    floor: int
    reflectance: float
    body: np.ndarray
    effector: np.ndarray
    target: np.ndarray
    ambient: np.ndarray
    diffuse: np.ndarray
    specular: np.ndarray
    shadows: int
    light: np.ndarray | None
    camera: np.ndarray


def streams(seed: int, episode: int) -> dict[Factor, Uniform]:
    """Returns the uniform random numbers of each factor in an episode."""
    return {
        factor: np.random.default_rng([seed, episode, int.from_bytes(factor.encode())]).random for factor in FACTORS
    }


def draw(domain: str, uniform: Mapping[Factor, Uniform], skies: int, floors: int) -> Visuals:
    """Draws all factors.

    Args:
        domain: ``cheetah``, ``walker`` or ``cartpole``.
        uniform: random numbers by factor, as ``streams`` returns them. How many a factor takes depends on the domain
            alone.
        skies, floors: how many pictures there are to choose from.
    """
    ranges, light = RANGES[domain], uniform["light"]
    return Visuals(
        sky=_whole(uniform["bg"], 0, skies - 1),
        floor=_whole(uniform["floor"], 0, floors - 1),
        reflectance=_between(uniform["reflectance"], 0.0, 0.5),
        body=_colour(uniform["body"]),
        effector=_colour(uniform["body"]),
        target=_colour(uniform["target"]),
        ambient=_tinted(light, (0.1, 0.8), 0.05),
        diffuse=_tinted(light, (0.4, 0.9), 0.1),
        specular=_tinted(light, (0.05, 0.3), 0.02),
        shadows=_whole(light, *SHADOWS),
        light=_place(light, ranges.light) if ranges.light else None,
        camera=_place(uniform["camera"], ranges.camera),
    )


def _between(uniform: Uniform, low: float, high: float) -> float:
    return low + (high - low) * uniform()


def _whole(uniform: Uniform, low: int, high: int) -> int:
    """Draws one of the whole numbers from ``low`` to ``high``, both included."""
    return low + int((high - low + 1) * uniform())


def _colour(uniform: Uniform) -> np.ndarray:
    """Draws red, green, blue and opacity; the opacity comes first."""
    opacity = _between(uniform, 0.75, 1.0)
    return np.array([uniform(), uniform(), uniform(), opacity])


def _tinted(uniform: Uniform, grey: Range, tint: float) -> np.ndarray:
    """Draws a grey, and adds to each channel of it as much as ``tint`` or as little as its negative."""
    base = _between(uniform, *grey)
    return np.array([base + _between(uniform, -tint, tint) for _ in range(3)])


def _place(uniform: Uniform, ranges: tuple[Range, Range, Range]) -> np.ndarray:
    return np.array([_between(uniform, *each) for each in ranges])


class Stage:
    """Changes how a compiled model looks, apart from its pictures. Nothing that the physics uses is changed.

    ``mj_setConst`` is never called: it would compute the extent of the scene again, and so move the near clipping
    plane.

    Args:
        model: to change; it looks as compiled.
        camera: number of the camera that is moved.
    """

    def __init__(self, model: mujoco.MjModel, camera: int):
        self._model, names = model, ("pos", "pos0", "poscom0")
        self._camera = [(stored, stored.copy()) for stored in (getattr(model, f"cam_{n}")[camera] for n in names)]
        self._light = [(stored, stored.copy()) for stored in (getattr(model, f"light_{n}")[0] for n in names)]

    def show(self, visuals: Visuals, vary: tuple[Factor, ...]) -> None:
        """Makes the model look like ``visuals`` in the factors of ``vary``; the others stay as they are."""
        model, headlight = self._model, self._model.vis.headlight
        if "reflectance" in vary:
            model.mat("grid").reflectance[:] = visuals.reflectance
        if "body" in vary:
            model.mat("self").rgba[:], model.mat("effector").rgba[:] = visuals.body, visuals.effector
        if "target" in vary:
            model.mat("target").rgba[:] = visuals.target
        if "light" in vary:
            headlight.ambient, headlight.diffuse = visuals.ambient, visuals.diffuse
            headlight.specular, model.vis.quality.shadowsize = visuals.specular, visuals.shadows
            if visuals.light is not None:
                _move(self._light, visuals.light)
        if "camera" in vary:
            _move(self._camera, visuals.camera)


def _move(stored: list[tuple[np.ndarray, np.ndarray]], place: np.ndarray) -> None:
    """Moves a camera or a light in its body's frame, and alike what the compiler derived from its place.

    The bodies that carry them are not turned in these models, so that the world's axes are theirs.
    """
    shift = place - stored[0][1]
    for now, compiled in stored:
        now[:] = compiled + shift
