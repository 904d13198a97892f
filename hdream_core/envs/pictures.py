"""Opens the pictures that DMC Remastered chooses from: those of a folder, or else those that ``textures`` makes."""

from __future__ import annotations

import functools
import hashlib
import warnings
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
    """Reads all pictures of a folder, so that a damaged one is found before anything is played: 49 KB each, seconds."""
    skies, floors = (
        [
            read(path, "RGB", textures.SIDE, "env.assets")
            for path in files_of(*(Path(x) / name for x in (folder, given)))
        ]
        for name in FOLDERS
    )
    digest = hashlib.sha256(str(len(skies)).encode() + b"".join(picture.tobytes() for picture in skies + floors))
    return Album(digest.hexdigest()[:16], len(skies), len(floors), skies.__getitem__, floors.__getitem__)


def files_of(folder: Path, given: Path, setting: str = "env.assets") -> list[Path]:
    """Returns the pictures in a folder, sorted by name; ``given`` and the setting are named where there are none."""
    try:
        found = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    except OSError as error:
        raise ConfigError(f"{setting}: {given}: {error.strerror}; a folder of PNG or JPG pictures") from None
    if not found:
        raise ConfigError(f"{setting}: {given} holds no PNG or JPG picture")
    return found


def read(path: Path, mode: str, side: int, setting: str) -> np.ndarray:
    """Reads a picture, uint8 ``(side, side)`` for mode ``L`` or ``(side, side, 3)`` for ``RGB``.

    Raises:
        ConfigError: naming the setting and the file, if it is no picture.
    """
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as picture:
                return np.asarray(picture.convert(mode).resize((side, side), Image.Resampling.BOX))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        reason = " ".join(str(error).split())[:100]
        raise ConfigError(f"{setting}: {path}: is no picture that can be read ({reason}); replace it") from None
