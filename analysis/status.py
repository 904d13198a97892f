"""Lists the runs of a folder with their state and progress: ``python -m analysis.status``."""

from __future__ import annotations

import csv
import io
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hdream_core.runs import folder as run_folder
from hdream_core.runs.metrics import read_last, read_metrics
from hdream_core.runs.search import FoundRuns, find_runs
from hdream_core.support import commandline, places
from hdream_core.support.errors import STOPPED, ConfigError, exit_on_user_error
from hdream_core.support.files import write_atomically
from hdream_core.support.locks import is_held
from hdream_core.support.words import duration

ABOUT = "List the runs of a folder with their state and progress."
STATES = ("done", "running", "failed", "waiting", "damaged")
HEAD = ("state", "step", "last line", "left", "return", "host", "folder")


@dataclass(frozen=True)
class Status:
    """List runs with their state and progress.

    Each line has the environment steps, the age of the last line of metrics, the time left at the mean pace so far if
    the run is running, the return of the last evaluation, and the machine that the run started on.
    """

    runs: Path = Path("runs")
    """Folder of the runs."""
    json: bool = False
    """Print a list of objects for programs, one for each run; times are in seconds, null means not known."""
    csv: Path | None = None
    """File for a table of all evaluations of all runs: run, step, return, success and whatever else they have."""


@dataclass(frozen=True)
class Row:
    """Holds the state of a run. Times are in seconds; None means not known."""

    state: str
    step: int
    steps: int
    folder: str
    age: float | None = None  # of the last line of metrics
    left: float | None = None  # until a running run is done
    last_return: float | None = None  # of the last evaluation
    host: str | None = None  # that it started on


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


def table(root: Path) -> list[Row]:
    """Returns a row for every run below ``root``; a run that cannot be read is ``damaged``.

    Raises:
        ConfigError: if there is none.
    """
    rows = []
    for folder in runs_beneath(root).folders:
        try:
            rows.append(_row(folder))
        except ConfigError as error:
            print(f"warning: {error}", file=sys.stderr)
            rows.append(Row("damaged", 0, 0, str(folder)))
    return rows


def _row(folder: Path) -> Row:
    config, state, metrics = run_folder.read_config(folder), state_of(folder), folder / "metrics.jsonl"
    steps = config.train.steps
    step = steps if state == "done" else min(run_folder.progress_of(folder), steps)
    written = metrics.stat().st_mtime if step and metrics.exists() else None
    age = None if written is None else max(time.time() - written, 0.0)
    left = None
    if state == "running" and written is not None:
        took = max(written - (folder / "config.json").stat().st_mtime, 0.0)
        left = took / step * (steps - step)
    last = read_last(metrics, "eval") or {}
    host = run_folder.read_provenance(folder).get("host") if (folder / "provenance.json").exists() else None
    return Row(state, step, steps, str(folder), age, left, last.get("return"), host)


def evaluations(root: Path) -> list[dict[str, Any]]:
    """Returns every evaluation of the runs below ``root``: the run's folder below it, the step, and the metrics.

    Raises:
        ConfigError: if there is no run, or metrics are damaged.
    """
    found = []
    for folder in runs_beneath(root).folders:
        for line in read_metrics(folder / "metrics.jsonl"):
            if line.pop("kind") == "eval":
                found.append({"run": str(folder.relative_to(root))} | line)
    return found


def write_csv(path: Path, table: Sequence[Mapping[str, Any]]) -> None:
    """Writes rows as CSV, with a column for every name; numbers have six digits."""
    columns = list(dict.fromkeys(name for row in table for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({n: f"{v:.6g}" if isinstance(v, float) else v for n, v in row.items()} for row in table)
    write_atomically(path, text.getvalue().encode())


def lines(rows: Sequence[Row]) -> list[str]:
    """Formats the rows as a table, with the number of runs in each state."""
    cells = [HEAD]
    for row in rows:
        ago = "-" if row.age is None else f"{duration(row.age)} ago"
        left = "-" if row.left is None else f"about {duration(row.left)}"
        last = "-" if row.last_return is None else f"{row.last_return:.4g}"
        cells.append((row.state, f"{row.step} of {row.steps}", ago, left, last, row.host or "-", row.folder))
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    text = ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
    return [*text, ", ".join(f"{sum(row.state == state for row in rows)} {state}" for state in STATES)]


def main(args: Sequence[str] | None = None) -> None:
    """Entry point."""
    with exit_on_user_error():
        job = commandline.parse(Status, args, "python -m analysis.status")
        if job.csv:
            places.check_folder(job.csv.parent, "give another --csv")
            write_csv(job.csv, evaluations(job.runs))
            print(f"written: {job.csv}")
            return
        rows = table(job.runs)
        print(json.dumps([asdict(row) for row in rows], indent=1) if job.json else "\n".join(lines(rows)))


if __name__ == "__main__":
    main()
