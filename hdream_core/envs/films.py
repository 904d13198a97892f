"""Makes or reads the films that play behind the DeepMind Control suite: grey frames in a fixed order, without end.

The paper's are driving scenes of Kinetics-400, which may not be passed on. Their stand-in is a film of moving dead
leaves: shaded ellipses whose sizes follow a power law cover each other, and near ones drift faster than far ones. Such
pictures share with photos the fall of their power with frequency, edges, and occlusion. Every 250 frames a new scene
begins, as a clip would.
"""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hdream_core.envs.pictures import files_of, read

FRAMES, SCENE = 1000, 250  # of the made film, as long as the released code's; frames of one scene
SIDE = 64  # pixels of the made film
LEAVES = 240  # in a scene
SMALLEST, LARGEST = 2.5, 30.0  # radius of a leaf in pixels
GRAIN = 8.0  # grey levels, of a leaf's pixels
WORLD = SIDE + 2 * LARGEST  # side of the torus on which leaves drift


class Film(NamedTuple):
    """Holds grey frames, uint8 ``(frames, side, side)``, and one word that names them all; others have another."""

    name: str
    frames: np.ndarray


def film(folder: str, size: int) -> Film:
    """Returns the film in a folder, or for an empty name the made one, at a size in pixels.

    Args:
        folder: of PNG or JPG pictures, which play in the order of their names.
        size: height and width of a frame.

    Raises:
        ConfigError: naming the folder that is missing or holds no picture, or the file that is none.
    """
    return _read(str(Path(folder).expanduser().resolve()), folder, size) if folder else _made(size)


@functools.lru_cache(4)
def _read(folder: str, given: str, size: int) -> Film:
    frames = np.stack([read(path, "L", size, "env.film") for path in files_of(Path(folder), Path(given), "env.film")])
    return Film(hashlib.sha256(frames.tobytes()).hexdigest()[:16], frames)


@functools.lru_cache(4)
def _made(size: int) -> Film:
    scenes = [_scene(np.random.default_rng([3, number])) for number in range(FRAMES // SCENE)]
    frames = np.concatenate(scenes)
    if size != SIDE:
        rows = np.arange(size) * SIDE // size
        frames = frames[:, rows[:, None], rows]
    return Film("made", frames)


def _scene(rng: np.random.Generator) -> np.ndarray:
    """Draws ``SCENE`` frames of drifting leaves, uint8."""
    share = rng.random(LEAVES)
    radius = 1 / (share / SMALLEST + (1 - share) / LARGEST)  # their number falls with the square of the radius
    depth = np.sort(rng.uniform(1.0, 4.0, LEAVES))[::-1]  # the farthest is drawn first
    place = rng.uniform(0, WORLD, (LEAVES, 2))
    direction = rng.uniform(0, 2 * np.pi)
    pan = rng.uniform(0.8, 1.8) * np.array([np.cos(direction), np.sin(direction)])
    speed = pan / depth[:, None] + rng.normal(0, 0.12, (LEAVES, 2))  # pixels a frame
    leaves = [_leaf(rng, r) for r in radius]
    frames = np.empty((SCENE, SIDE, SIDE), np.uint8)
    backdrop = rng.uniform(40, 200)
    for t in range(SCENE):
        canvas = np.full((SIDE, SIDE), backdrop)
        centres = np.floor((place + t * speed) % WORLD - LARGEST).astype(int)
        for centre, leaf in zip(centres, leaves, strict=True):
            _paint(canvas, leaf, *(centre - len(leaf[0]) // 2))
        frames[t] = np.rint(canvas.clip(0, 255))
    return frames


def _leaf(rng: np.random.Generator, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """Draws an ellipse: its shades, and how opaque each pixel is, ``(side, side)`` each."""
    half = int(np.ceil(radius)) + 1
    y, x = np.mgrid[-half : half + 1, -half : half + 1]
    turn, squeeze = rng.uniform(0, np.pi), rng.uniform(0.45, 1.0)
    along, across = x * np.cos(turn) + y * np.sin(turn), (y * np.cos(turn) - x * np.sin(turn)) / squeeze
    opaque = np.clip((radius - np.hypot(along, across)) * squeeze + 0.5, 0, 1)
    lit = rng.uniform(0, 2 * np.pi)
    shade = rng.uniform(15, 240) + rng.uniform(10, 60) * (x * np.cos(lit) + y * np.sin(lit)) / radius
    return shade + rng.normal(0, GRAIN, shade.shape), opaque


def _paint(canvas: np.ndarray, leaf: tuple[np.ndarray, np.ndarray], x: int, y: int) -> None:
    """Lays a leaf with its upper left corner at a pixel; what lies outside of the canvas is left out."""
    shade, opaque = leaf
    top, left = max(y, 0), max(x, 0)
    bottom, right = min(y + len(shade), SIDE), min(x + len(shade), SIDE)
    if top >= bottom or left >= right:
        return
    part = np.s_[top - y : bottom - y, left - x : right - x]
    canvas[top:bottom, left:right] += opaque[part] * (shade[part] - canvas[top:bottom, left:right])
