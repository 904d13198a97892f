"""Makes pictures of skies and floors for DMC Remastered: its own photos may not be passed on, so these stand in.

The originals are 119 photos of skies and 383 of floors in eight kinds. There are as many here, each drawn with NumPy
from its number alone; numbers, kinds and their shares are the originals'. Brightness, colour, contrast and roughness
follow statistics that were measured on the originals (``tests/test_envs_dmcr.py`` has them): the mean of all pictures,
the spread of their means, the spread within a picture, how colourful it is, and how its power falls with frequency.
A floor's picture continues at its opposite edge. Values are whole numbers, so that a picture is the same everywhere.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np

SIDE = 128  # pixels of a picture; in a frame of 64 pixels, a face of the sky is about as wide
SKIES = 119
KINDS = {  # of floors, and how many photos of each the original has
    "grass": 138,
    "soil": 79,
    "concrete": 55,
    "brick": 55,
    "frozen": 24,
    "leaves": 13,
    "moss": 11,
    "lichen": 8,
}
FLOORS = sum(KINDS.values())
Rng = np.random.Generator
_Y, _X = (np.mgrid[:SIDE, :SIDE] / SIDE).astype(np.float32)


@functools.cache
def sky(number: int) -> np.ndarray:
    """Returns sky ``number``, uint8 ``(SIDE, SIDE, 3)``: a gradient, clouds, and one to three ridges of hills."""
    rng = np.random.default_rng([1, number])
    zenith, haze = (_near(rng, each) for each in _HOURS[rng.choice(len(_HOURS), p=_HOURS_OFTEN)])
    ground = _near(rng, _GROUNDS[rng.integers(len(_GROUNDS))]) * rng.uniform(0.35, 1.35)
    horizon = rng.uniform(0.42, 0.64)
    height = np.clip(_Y / horizon, 0, 1)[..., None] ** rng.uniform(0.8, 2.2)
    picture = zenith + (haze - zenith) * height
    cloud = np.clip(0.9 * noise(rng, 2.9, (1.0, 2.2)) + rng.normal(-0.2, 0.6), 0, 1)[..., None]
    picture += (np.minimum(haze * 1.25, 250) - picture) * cloud * rng.uniform(0.3, 1.0)
    count = int(rng.integers(1, 4))
    for ridge in range(count):
        line = horizon + 0.2 * ridge + rng.uniform(0.02, 0.09) * noise(rng, 3.0)[0]
        grain = 1 + rng.uniform(0.25, 0.6) * noise(rng, 2.6)[..., None]
        hill = (haze + (ground - haze) * (0.5 + 0.5 * (ridge + 1) / count)) * grain
        edge = np.clip((_Y - line) * SIDE / 2, 0, 1)[..., None]  # two pixels wide
        picture += (hill - picture) * edge
    return _whole(picture * np.clip(rng.normal(1.0, 0.24), 0.3, 1.6))


@functools.cache
def floor(number: int) -> np.ndarray:
    """Returns floor ``number``, uint8 ``(SIDE, SIDE, 3)``, of the kind that its number falls into."""
    kind = np.repeat(list(KINDS), list(KINDS.values()))[number]
    rng = np.random.default_rng([2, number])
    relief, colour = _RELIEFS[kind](rng), np.array(_COLOURS[kind])
    relief = (relief - relief.mean()) / relief.std()
    base = colour + rng.normal(0, 13) + rng.normal(0, (6, 6, 13))
    contrast = rng.uniform(9, 23)
    tint = noise(rng, 1.8)[..., None] * rng.normal(0, 2.5, 3)
    return _whole(base + contrast * relief[..., None] * (0.4 + 0.6 * base / base.mean()) + tint)


def noise(rng: Rng, exponent: float, stretch: tuple[float, float] = (1.0, 1.0)) -> np.ndarray:
    """Draws periodic noise, float32 ``(SIDE, SIDE)`` of mean 0 and spread 1.

    Args:
        rng: random numbers.
        exponent: of the power's fall with frequency; 0 is white.
        stretch: how much longer its shapes are down and across.
    """
    across, down = np.fft.rfftfreq(SIDE) * stretch[1], np.fft.fftfreq(SIDE)[:, None] * stretch[0]
    frequency = np.hypot(across, down)
    frequency[0, 0] = np.inf  # no mean
    white = rng.standard_normal((2, *frequency.shape))
    field = np.fft.irfft2((white[0] + 1j * white[1]) * frequency ** (-exponent / 2), (SIDE, SIDE))
    return (field / field.std()).astype(np.float32)


def _near(rng: Rng, colour: tuple[int, int, int]) -> np.ndarray:
    """Draws a colour near another: brighter or darker, and a little off in every channel."""
    return np.array(colour) + rng.normal(0, 16) + rng.normal(0, 9, 3)


def _whole(picture: np.ndarray) -> np.ndarray:
    whole = np.rint(np.clip(picture, 0, 255)).astype(np.uint8)
    whole.flags.writeable = False  # it is kept for the next episodes
    return whole


def _grass(rng: Rng) -> np.ndarray:
    """Blades in three directions."""
    blades = [noise(rng, 1.8, (3.5, 1.0)), noise(rng, 1.8, (1.0, 3.0)), noise(rng, 1.6, (2.0, 1.0))]
    return np.maximum(np.maximum(blades[0], 0.8 * blades[1]), blades[2])


def _soil(rng: Rng) -> np.ndarray:
    return noise(rng, rng.uniform(1.2, 2.0)) + 0.4 * np.abs(noise(rng, 0.8))


def _concrete(rng: Rng) -> np.ndarray:
    """Stains, and grains that stand out."""
    return noise(rng, 2.1) + 0.35 * noise(rng, 0.3)


def _brick(rng: Rng) -> np.ndarray:
    """Rows of bricks, each of its own brightness, half a brick apart, with mortar between."""
    rows, columns = 2 * int(rng.integers(3, 6)), int(rng.integers(2, 4))
    row = (_Y * rows).astype(int)
    place = _X * columns + 0.5 * (row % 2)
    shade = rng.normal(0, 1, (rows, columns))[row, place.astype(int) % columns]
    joint = (_Y * rows % 1 < 0.14) | (place % 1 < 0.07)
    mortar = rng.choice([-1.8, 2.2])
    return np.where(joint, mortar, 0.6 * shade) + 0.6 * noise(rng, 1.5)


def _frozen(rng: Rng) -> np.ndarray:
    """Ice with veins along the zeros of a smooth field."""
    return noise(rng, 2.2) - 2.0 * np.exp(-np.square(noise(rng, 2.6) / 0.07)) + 0.3 * noise(rng, 1.0)


def _leaves(rng: Rng) -> np.ndarray:
    """Patches, each of its own brightness, that shade towards their edges."""
    first, shade = _cells(rng, 60)
    return 0.9 * shade - 14.0 * first + 0.6 * noise(rng, 1.4)


def _moss(rng: Rng) -> np.ndarray:
    first, _ = _cells(rng, 90)
    return noise(rng, 1.7) - 10.0 * first


def _lichen(rng: Rng) -> np.ndarray:
    """Spots on stone."""
    return 1.5 * np.tanh(3 * (noise(rng, 2.0) - 0.6)) + 0.6 * noise(rng, 1.2)


def _cells(rng: Rng, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Divides the picture among random points; returns the distance to the nearest, and that point's own shade."""
    places, shades = rng.random((count, 2)).astype(np.float32), rng.normal(0, 1, count)
    down, across = (np.abs(axis[..., None] - places[:, i]) for i, axis in enumerate((_Y[:, 0], _X[0])))
    down, across = np.square(np.minimum(down, 1 - down)), np.square(np.minimum(across, 1 - across))
    distance = down[:, None] + across  # (SIDE, SIDE, count)
    nearest = distance.argmin(-1)
    return np.sqrt(distance.min(-1)), shades[nearest]


# Red, green and blue of the zenith and of the haze above the horizon: at noon, at sunset, under clouds, at dusk.
_HOURS = (
    ((44, 112, 190), (168, 198, 214)),
    ((86, 74, 126), (252, 156, 80)),
    ((132, 142, 148), (208, 210, 206)),
    ((28, 40, 84), (140, 98, 110)),
)
_HOURS_OFTEN = (0.5, 0.2, 0.15, 0.15)
_GROUNDS = ((76, 112, 34), (156, 106, 54), (128, 118, 104), (178, 150, 56), (48, 70, 36))
_RELIEFS: dict[str, Callable[[Rng], np.ndarray]] = {
    "grass": _grass,
    "soil": _soil,
    "concrete": _concrete,
    "brick": _brick,
    "frozen": _frozen,
    "leaves": _leaves,
    "moss": _moss,
    "lichen": _lichen,
}
_COLOURS = {  # mean red, green and blue
    "grass": (128, 131, 82),
    "soil": (139, 120, 96),
    "concrete": (140, 134, 122),
    "brick": (141, 119, 104),
    "frozen": (138, 140, 140),
    "leaves": (134, 114, 84),
    "moss": (112, 120, 72),
    "lichen": (132, 130, 112),
}
