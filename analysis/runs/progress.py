"""Which runs there are beneath a folder, and how each of them stands."""

from __future__ import annotations

import sys
from pathlib import Path

from hdream_core.runs import folder as run_folder
from hdream_core.runs.search import FoundRuns, find_runs
from hdream_core.support.errors import STOPPED, ConfigError
from hdream_core.support.locks import is_held


def state_of(folder: Path) -> str:
    """``done``, ``running``, ``failed`` or ``waiting``; a run that was told to stop waits."""
    if run_folder.is_done(folder):
        return "done"
    if is_held(folder / "lock"):
        return "running"
    return "failed" if run_folder.has_failed(folder) and run_folder.failure_of(folder) != STOPPED else "waiting"


def runs_beneath(root: Path) -> FoundRuns:
    """The runs beneath ``root``, with a warning for what could not be looked into: every command sees these.

    Raises:
        ConfigError: if there is none.
    """
    found = find_runs(root)
    if not found.folders:
        raise ConfigError(f"{root}: holds no runs{f' ({found.unseen[0]})' if found.unseen else ''}")
    for told in found.unseen:
        print(f"warning: {told}; a run there is not seen", file=sys.stderr)
    return found
