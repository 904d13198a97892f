"""Finds the runs in a folder, and the state of each."""

from __future__ import annotations

import sys
from pathlib import Path

from hdream_core.runs import folder as run_folder
from hdream_core.runs.search import FoundRuns, find_runs
from hdream_core.support.errors import STOPPED, ConfigError
from hdream_core.support.locks import is_held


def state_of(folder: Path) -> str:
    """Returns ``done``, ``running``, ``failed`` or ``waiting``; a run that was stopped is waiting."""
    if run_folder.is_done(folder):
        return "done"
    if is_held(folder / "lock"):
        return "running"
    return "failed" if run_folder.has_failed(folder) and run_folder.failure_of(folder) != STOPPED else "waiting"


def runs_beneath(root: Path) -> FoundRuns:
    """Finds the runs below ``root``, with a warning for each folder that cannot be read.

    Raises:
        ConfigError: if there is none.
    """
    found = find_runs(root)
    if not found.folders:
        raise ConfigError(f"{root}: holds no runs{f' ({found.unseen[0]})' if found.unseen else ''}")
    for reason in found.unseen:
        print(f"warning: {reason}; runs there are not seen", file=sys.stderr)
    return found
