"""A sweep under way, as its user sees it: a bar, a result file and a figure that grow as evaluations arrive."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from tqdm import tqdm

from analysis import collect, results, sweep
from analysis.study import Plan
from hdream_core.support.errors import UserError
from hdream_core.support.progress import progress_bar

REDRAW_SECONDS = 15.0


class Reporter:
    """Keeps the bar, the result file and the figure up to date while runs go on.

    Args:
        plan: of the runs.
        path: of the result file.
        out: folder of the figure.
        sha256: of the buffer, empty online.
        draw: makes the figure, ``draw(path, out)``.
    """

    def __init__(self, plan: Plan, path: Path, out: Path, sha256: str, draw: Callable[[Path, Path], Path]):
        self.plan, self.path, self.sha256, self.draw = plan, path, sha256, draw
        self.figure = out / f"{path.stem}.png"
        total, done = sum(run.config.train.steps for run in plan.runs), sweep.reached(plan.runs)
        off = not plan.trains
        self.bar = progress_bar(total=total, initial=done, unit="step", desc=plan.study, smoothing=0.05, disable=off)
        self.seen, self.drawn = 0, 0.0

    def tick(self) -> None:
        """Called about every second; redraws when there is something new. The runs end if this raises."""
        try:
            size = sum(p.stat().st_size for run in self.plan.runs if (p := run.folder / "metrics.jsonl").exists())
        except OSError:  # a share that does not answer
            return
        if size == self.seen or time.monotonic() - self.drawn < REDRAW_SECONDS:
            return
        self.seen = size
        self.try_to_write()
        self.bar.update(sweep.reached(self.plan.runs) - self.bar.n)

    def try_to_write(self) -> None:
        """``write``; what is wrong is said and no more, for the runs are worth more than a picture of them."""
        try:
            self.write()
        except (UserError, OSError) as error:
            self.drawn = time.monotonic()
            tqdm.write(f"cannot write or draw the result yet: {error}")

    def write(self) -> results.Result:
        """Writes the result of what is there and, once there is an evaluation, draws it."""
        result = collect.gather(self.plan.runs, collect.attributes(self.plan, self.sha256))
        self.drawn = time.monotonic()
        if len(result.axes["step"]):
            results.save(result, self.path)
            with results.using(self.path):
                self.draw(self.path, self.figure.parent)
        return result
