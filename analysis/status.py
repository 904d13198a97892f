"""``python -m analysis.status``: the runs of a folder, as done, running, failed or waiting, with their progress."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from analysis.runs.progress import runs_beneath, state_of
from hdream_core.runs import folder as run_folder
from hdream_core.support import commandline
from hdream_core.support.errors import ConfigError, exit_on_user_error

STATES = ("done", "running", "failed", "waiting", "damaged")


@dataclass(frozen=True)
class Status:
    """List runs with their state and progress."""

    runs: Path = Path("runs")
    """Folder of the runs."""


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
