"""``python -m analysis.status``: the runs of a folder, as done, running, failed or waiting, with their progress."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hdream_core.runs import folder as run_folder
from hdream_core.runs.search import Found, find_runs
from hdream_core.support import commandline
from hdream_core.support.errors import STOPPED, ConfigError, exit_on_user_error
from hdream_core.support.locks import is_held

STATES = ("done", "running", "failed", "waiting", "damaged")


@dataclass(frozen=True)
class Status:
    """List runs with their state and progress."""

    runs: Path = Path("runs")
    """Folder of the runs."""


def state_of(folder: Path) -> str:
    """``done``, ``running``, ``failed`` or ``waiting``; a run that was told to stop waits."""
    if run_folder.is_done(folder):
        return "done"
    if is_held(folder / "lock"):
        return "running"
    return "failed" if run_folder.has_failed(folder) and run_folder.failure_of(folder) != STOPPED else "waiting"


def runs_beneath(root: Path) -> Found:
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


def table(root: Path) -> list[tuple[str, int, int, Path]]:
    """State, environment steps reached, steps in all and folder of every run beneath ``root``; ``damaged`` is a
    state, too.

    Raises:
        ConfigError: if there is none.
    """
    rows = []
    for folder in runs_beneath(root).folders:
        try:
            config, state = run_folder.read_config(folder), state_of(folder)
            steps = config.train.steps
            reached = steps if state == "done" else min(run_folder.progress_of(folder), steps)
            rows.append((state, reached, steps, folder))
        except ConfigError as error:
            print(f"warning: {error}", file=sys.stderr)
            rows.append(("damaged", 0, 0, folder))
    return rows


def main(args: Sequence[str] | None = None) -> None:
    """Entry point."""
    with exit_on_user_error():
        job = commandline.parse(Status, args, "python -m analysis.status")
        rows = table(job.runs)
        for state, reached, steps, folder in rows:
            print(f"{state:<8} {reached:>8} of {steps:<8} {folder}")
        counts = {state: sum(row[0] == state for row in rows) for state in STATES}
        print(", ".join(f"{count} {state}" for state, count in counts.items()))


if __name__ == "__main__":
    main()
