"""A sweep under way, as its user sees it: a bar, a result file and a figure that grow as evaluations arrive."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tqdm import tqdm

from analysis import collect, results
from analysis.sweep import Run

REDRAW_SECONDS = 15.0


class Reporter:
    """Keeps the bar, the result file and the figure up to date while runs go on.

    Args:
        study: name of the study.
        planned: its runs.
        path: of the result file.
        out: folder of the figure.
        sha256: of the buffer, empty online.
        draw: makes the figure, ``draw(path, out)``.
    """

    def __init__(
        self,
        study: str,
        planned: Sequence[Run],
        path: Path,
        out: Path,
        sha256: str,
        draw: Callable[[Path, Path], Path],
    ):
        self.study, self.planned, self.path, self.sha256, self.draw = study, planned, path, sha256, draw
        self.figure = out / f"{path.stem}.png"
        total, done = sum(run.config.train.steps for run in planned), sum(run.step for run in planned)
        self.bar = tqdm(total=total, initial=done, unit="step", desc=study, smoothing=0.05)
        self.seen, self.drawn = 0, 0.0

    def tick(self) -> None:
        """Called about every second; redraws when there is something new."""
        size = sum(p.stat().st_size for run in self.planned if (p := run.folder / "metrics.jsonl").exists())
        if size == self.seen or time.monotonic() - self.drawn < REDRAW_SECONDS:
            return
        self.seen = size
        try:
            self.write()
        except (OSError, results.ResultError) as error:  # the runs are worth more than a picture of them
            tqdm.write(f"cannot write or draw the result yet: {error}")
        self.bar.update(sum(run.step for run in self.planned) - self.bar.n)

    def write(self) -> results.Result:
        """Writes the result of what is there and, once there is an evaluation, draws it."""
        result = collect.gather(self.planned, collect.attributes(self.study, self.planned, self.sha256))
        self.drawn = time.monotonic()
        if len(result.axes["step"]):
            results.save(result, self.path)
            with results.using(self.path):
                self.draw(self.path, self.figure.parent)
        return result
