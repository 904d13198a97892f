"""Opens the pictures that DMC Remastered chooses from: those of a folder, or else those that ``textures`` makes."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hdream_core.envs import textures
from hdream_core.support.errors import ConfigError

FOLDERS = ("skies", "floors")
SUFFIXES = (".png", ".jpg", ".jpeg")


class Album(NamedTuple):
    """Holds pictures of skies and of floors by number, square and uint8 ``(side, side, 3)``.

    Attributes:
        name: names all pictures in one word; other pictures have another.
        skies, floors: how many there are.
        sky, floor: return one by its number.
    """

    name: str
    skies: int
    floors: int
    sky: Callable[[int], np.ndarray]
    floor: Callable[[int], np.ndarray]


MADE = Album("made", textures.SKIES, textures.FLOORS, textures.sky, textures.floor)


def album(folder: str) -> Album:
    """Opens the pictures in ``skies`` and ``floors`` of a folder, sorted by name; for an empty name, those made here.

    Raises:
        ConfigError: naming the folder that is missing or holds no picture, or the file that is none.
    """
    return _open(str(Path(folder).expanduser().resolve()), folder) if folder else MADE


@functools.lru_cache(4)
def _open(folder: str, given: str) -> Album:
    digest, found = hashlib.sha256(), []
    for name in FOLDERS:
        try:
            paths = sorted(path for path in (Path(folder) / name).iterdir() if path.suffix.lower() in SUFFIXES)
        except OSError as error:
            where = Path(given) / name
            raise ConfigError(f"env.assets: {where}: {error.strerror}; a folder of PNG or JPG pictures") from None
        if not paths:
            raise ConfigError(f"env.assets: {Path(given) / name} holds no PNG or JPG picture")
        for path in paths:
            digest.update(f"{name}/{path.name} {_checked(path)}\n".encode())
        found.append(paths)
    skies, floors = found
    return Album(
        digest.hexdigest()[:16], len(skies), len(floors), lambda i: _read(skies[i]), lambda i: _read(floors[i])
    )


def _checked(path: Path) -> str:
    """Returns a picture's size in bytes and pixels, and reads no more than that."""
    from PIL import Image

    try:
        with Image.open(path) as picture:
            return f"{path.stat().st_size} {picture.size}"
    except (OSError, ValueError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _no_picture(path, error) from None


@functools.lru_cache(1024)
def _read(path: Path) -> np.ndarray:
    from PIL import Image

    size = (textures.SIDE, textures.SIDE)
    try:
        with Image.open(path) as picture:
            return np.asarray(picture.convert("RGB").resize(size, Image.Resampling.BOX))
    except (OSError, ValueError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _no_picture(path, error) from None


def _no_picture(path: Path, error: Exception) -> ConfigError:
    return ConfigError(f"env.assets: {path}: is no picture that can be read ({str(error)[:100]}); delete or replace it")
