"""A sweep under way, as its user sees it: a bar, a result file and a figure that grow as evaluations arrive."""

from __future__ import annotations

import contextlib
import sys
import time
from dataclasses import replace

from tqdm import tqdm

from analysis.results import schema
from analysis.runs import gather, pictures, sweep
from analysis.runs.study import Plan
from hdream_core.support.errors import in_a_line
from hdream_core.support.progress import on_terminal, progress_bar

REDRAW_SECONDS = 15.0


class Reporter:
    """Keeps the bar, the result file and the figure up to date while runs go on.

    Args:
        plan: of the runs.
        sha256: of the buffer, empty online.
    """

    def __init__(self, plan: Plan, sha256: str):
        self.plan, self.sha256 = plan, sha256
        total, done = sum(run.config.train.steps for run in plan.asked), sweep.reached(plan.asked)
        off = not plan.trains
        self.bar = progress_bar(total=total, initial=done, unit="step", desc=plan.study, smoothing=0.05, disable=off)
        self.seen, self.drawn, self.told = 0, 0.0, ""

    def tick(self) -> None:
        """Called about every second; redraws when there is something new. The runs end if this raises."""
        self.bar.set_postfix_str(sweep.doing(self.plan.asked), refresh=on_terminal())
        self.bar.update(sweep.reached(self.plan.asked) - self.bar.n)
        try:
            size = sum(p.stat().st_size for run in self.plan.runs if (p := run.folder / "metrics.jsonl").exists())
        except OSError:  # a share that does not answer
            return
        if size == self.seen or time.monotonic() - self.drawn < REDRAW_SECONDS:
            return
        self.seen = size
        self.try_to_write()

    def try_to_write(self) -> None:
        """Writes the result of what is there and draws it; what is wrong is said once, for the runs are worth more."""
        try:
            self.write()
            self.told = ""
        except Exception as error:
            told = in_a_line(error)
            if told != self.told:
                with contextlib.suppress(OSError):  # the log may be on the disk that is full
                    tqdm.write(f"cannot write or draw the result yet: {told}", file=sys.stderr)
            self.told = told
        self.drawn = time.monotonic()

    def write(self) -> None:
        """Writes the result of what is there and, once there is an evaluation, draws it."""
        with self.plan.target.writing():
            if len(self.save().axes["step"]):
                pictures.draw(self.plan.study, self.plan.path, self.plan.out)

    def gather(self) -> schema.Result:
        """Makes the result of what is there, with the runs that other commands have added to the file meanwhile."""
        plan = replace(self.plan, runs=self.plan.target.planned())
        return gather.gather(plan.runs, gather.attributes(plan, self.sha256))

    def save(self) -> schema.Result:
        """Writes that result once there is an evaluation; to be called while ``target.writing`` keeps others away."""
        result = self.gather()
        if len(result.axes["step"]):
            schema.save(result, self.plan.path)
        return result
