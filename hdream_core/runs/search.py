"""Finds the runs beneath a folder, also those that links lead to: each once, whatever the number of its names."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Found:
    """The runs beneath a folder, and where there may be more."""

    folders: list[Path] = field(default_factory=list)
    """Folders of the runs, sorted."""
    unseen: list[str] = field(default_factory=list)
    """What could not be looked into, with the reason: links to nothing, and folders that may not be read."""


def find_runs(root: Path) -> Found:
    """Finds all runs beneath ``root``, which may itself be a link; nothing is changed.

    A folder that several links lead to is looked into once, under its own name if it lies beneath ``root``. So links
    that go round in a circle do no harm.
    """
    found, seen, waiting = Found(), set(), [root]

    def note(error: OSError) -> None:
        found.unseen.append(f"{error.filename}: {error.strerror}")

    while waiting:  # links wait until all that lies beneath ``root`` itself was seen
        waiting.sort(key=lambda link: (len(link.parts), str(link)))  # where a sweep looks is deeper than a short cut
        for name, folders, files in os.walk(waiting.pop(), onerror=note):
            folder = Path(name)
            try:
                status = os.stat(folder)
            except OSError as error:  # removed a moment ago
                note(error)
                continue
            if (mark := (status.st_dev, status.st_ino)) in seen:
                folders.clear()
                continue
            seen.add(mark)
            waiting.extend(folder / one for one in folders if (folder / one).is_symlink())
            dangling = [folder / one for one in files if not os.path.exists(folder / one)]
            found.unseen += [_to_nothing(path) for path in sorted(dangling) if path.is_symlink()]
            if "config.json" in files:
                found.folders.append(folder)
    found.folders.sort()
    return found


def _to_nothing(link: Path) -> str:
    return f"{link}: a link to nothing ({os.readlink(link)})"


def elsewhere(path: Path, root: Path) -> bool:
    """Tells whether a path lies outside ``root`` once the links on the way to it are followed; its own is not."""
    return not Path(os.path.realpath(path.parent)).is_relative_to(os.path.realpath(root))
