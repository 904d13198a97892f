"""Chooses default folders for results and the cache, and checks whether a folder can be written.

By default, commands write beneath the checkout, or beneath the current folder if the package is installed.
``HDREAM_DATA`` names another folder in place of either, ``HDREAM_CACHE`` another cache.
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
    """Tells whether this code runs from its source tree and not from a copy that pip installed."""
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
    """Returns a folder for reproducible data: in ``$HDREAM_CACHE``, else in ``hdream`` in the user's cache folder.

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
    expanded = os.path.expanduser(base)
    if expanded.startswith("~"):
        raise OSError(errno.ENOENT, f"there is no home folder for a cache; set {CACHE}", expanded)
    return Path(expanded, "hdream", *parts)


def relative_if_inside(folder: Path) -> Path:
    """Returns a folder relative to the current one if it lies inside, so that its name fits any machine."""
    absolute = Path(os.path.realpath(folder))
    return absolute.relative_to(Path.cwd()) if absolute.is_relative_to(Path.cwd()) else folder


def can_be_written(path: Path) -> bool:
    """Tells whether a file or folder can be written, now or once it is made; changes nothing."""
    existing = Path(os.path.realpath(path))
    if existing.is_file():
        return os.access(existing, os.W_OK) and os.access(existing.parent, os.W_OK | os.X_OK)
    while not os.path.exists(existing) and existing != existing.parent:
        existing = existing.parent
    return existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)


def check_folder(folder: Path, remedy: str) -> None:
    """Raises ConfigError, with the user's remedy, if a folder cannot be written; changes nothing."""
    if os.path.isfile(folder):
        raise ConfigError(f"{folder}: is a file, not a folder; {remedy}")
    if not can_be_written(folder):
        raise ConfigError(f"{folder}: cannot be written; {remedy}")
