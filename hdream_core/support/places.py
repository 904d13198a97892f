"""Default places: where commands put what they make, what is kept in the cache, and whether a folder can be written.

What is made by default lies where a checkout has it: beneath the checkout, of an installed package beneath the current
folder. ``HDREAM_DATA`` names another folder to stand for either. ``HDREAM_CACHE`` names another cache.
"""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

from hdream_core.support.errors import ConfigError

DATA, CACHE = "HDREAM_DATA", "HDREAM_CACHE"
ROOT = Path(__file__).parents[2]


def is_checkout() -> bool:
    """Tells whether this code runs from its source tree, not from where pip put a copy."""
    try:
        return 'name = "hdream"' in (ROOT / "pyproject.toml").read_text()
    except OSError:
        return False


def data_folder(*parts: str) -> Path:
    """Returns the default folder of something that commands make, e.g. ``data_folder("notebooks", "data")``."""
    if folder := os.environ.get(DATA):
        return Path(os.path.expanduser(folder), *parts)
    return Path(ROOT if is_checkout() else "", *parts)


def cache_folder(*parts: str) -> Path:
    """Returns a folder of what can be made again: in ``$HDREAM_CACHE``, else in ``hdream`` in the user's cache folder.

    Raises:
        OSError: if the user has no home folder.
    """
    if folder := os.environ.get(CACHE):
        return Path(os.path.expanduser(folder), *parts)
    if sys.platform == "darwin":
        base = "~/Library/Caches"
    elif sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or "~/AppData/Local"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    found = os.path.expanduser(base)
    if found.startswith("~"):
        raise OSError(errno.ENOENT, f"there is no home folder for a cache; set {CACHE}", found)
    return Path(found, "hdream", *parts)


def shortest(folder: Path) -> Path:
    """Returns a folder relative to the current one where it lies inside: what names it then names no machine."""
    absolute = Path(os.path.realpath(folder))
    return absolute.relative_to(Path.cwd()) if absolute.is_relative_to(Path.cwd()) else folder


def can_be_written(path: Path) -> bool:
    """Tells whether a file can be written, or a folder be filled, here or once it is made; changes nothing."""
    there = Path(os.path.realpath(path))
    if there.is_file():
        return os.access(there, os.W_OK) and os.access(there.parent, os.W_OK | os.X_OK)
    while not os.path.exists(there) and there != there.parent:
        there = there.parent
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)


def check_folder(folder: Path, remedy: str) -> None:
    """Raises ConfigError, with what the user can do, if a folder cannot be filled; changes nothing."""
    if os.path.isfile(folder):
        raise ConfigError(f"{folder}: is a file, not a folder; {remedy}")
    if not can_be_written(folder):
        raise ConfigError(f"{folder}: cannot be written; {remedy}")
