"""A sweep under way, as its user sees it: a bar, a result file and a figure that grow as evaluations arrive."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
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
        sha256: of the buffer, empty online.
        draw: makes the figure, ``draw(path, out)``.
    """

    def __init__(self, plan: Plan, sha256: str, draw: Callable[[Path, Path], Path]):
        self.plan, self.sha256, self.draw = plan, sha256, draw
        self.figure = plan.out / f"{plan.path.stem}.png"
        total, done = sum(run.config.train.steps for run in plan.asked), sweep.reached(plan.asked)
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
        self.bar.update(sweep.reached(self.plan.asked) - self.bar.n)

    def try_to_write(self) -> None:
        """``write``; what is wrong is said and no more, for the runs are worth more than a picture of them."""
        try:
            self.write()
        except (UserError, OSError) as error:
            self.drawn = time.monotonic()
            tqdm.write(f"cannot write or draw the result yet: {error}")

    def write(self) -> results.Result:
        """Writes the result of what is there, with what other commands have added to the file meanwhile, and, once
        there is an evaluation, draws it.
        """
        path = self.plan.path
        with self.plan.target.writing():
            plan = replace(self.plan, runs=self.plan.target.planned())
            result = collect.gather(plan.runs, collect.attributes(plan, self.sha256))
            self.drawn = time.monotonic()
            if len(result.axes["step"]):
                results.save(result, path)
                with results.using(path):
                    self.draw(path, self.plan.out)
        return result
