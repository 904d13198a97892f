"""Finds the runs beneath a folder, also those that links lead to: each once, however many names it has."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class FoundRuns:
    """Holds the runs beneath a folder, and the places that could not be searched."""

    folders: list[Path] = field(default_factory=list)
    """Folders of the runs, sorted."""
    unseen: list[str] = field(default_factory=list)
    """Places that could not be searched, with the reason: links to nothing, and folders that may not be read."""


def find_runs(root: Path) -> FoundRuns:
    """Finds all runs beneath ``root``, which may itself be a link; changes nothing.

    A folder that several links lead to is searched once, under its own name if it lies beneath ``root``. So circular
    links do no harm.
    """
    result, seen, waiting = FoundRuns(), set(), [root]

    def note(error: OSError) -> None:
        result.unseen.append(f"{error.filename}: {error.strerror}")

    while waiting:  # links wait until everything beneath ``root`` itself was searched
        waiting.sort(key=lambda link: (len(link.parts), str(link)))  # the deepest first: sweeps nest, short cuts do not
        for name, folders, files in os.walk(waiting.pop(), onerror=note):
            folder = Path(name)
            try:
                status = os.stat(folder)
            except OSError as error:  # the folder was just removed
                note(error)
                continue
            if (identity := (status.st_dev, status.st_ino)) in seen:
                folders.clear()
                continue
            seen.add(identity)
            waiting.extend(folder / child for child in folders if (folder / child).is_symlink())
            dangling = [folder / file for file in files if not os.path.exists(folder / file)]
            result.unseen += [_describe_dangling(path) for path in sorted(dangling) if path.is_symlink()]
            if "config.json" in files:
                result.folders.append(folder)
    result.folders.sort()
    return result


def _describe_dangling(link: Path) -> str:
    return f"{link}: a link to nothing ({os.readlink(link)})"


def is_outside(path: Path, root: Path) -> bool:
    """Tells whether a path lies outside ``root`` once links to its folder are followed; a final link is not."""
    return not Path(os.path.realpath(path.parent)).is_relative_to(os.path.realpath(root))
