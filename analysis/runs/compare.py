"""Trains the runs of a study of learning curves; the result file and the figure grow as evaluations arrive."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from analysis.results import schema
from analysis.runs import gather, pictures, study
from hdream_core.support.errors import ConfigError, in_a_line

REDRAW_SECONDS = 15.0


def run(job: study.Study, plan: study.Plan, lines: Callable[[schema.Result], Sequence[str]]) -> Path:
    """Trains what is left of a plan; returns the result file, which exists from the first evaluation on.

    Args:
        job: the study's flags.
        plan: of the runs.
        lines: formats what is printed in the end.

    Raises:
        ConfigError: if no run has evaluated yet, and none is to be trained.
        SweepError: if runs failed or were stopped; the result of the others is written.
        PictureError: if only the figure fails, at the very end.
    """
    if job.plan_only:
        return plan.path
    if plan.trains:  # fail now rather than after hours
        for folder in (job.results, plan.out):
            folder.mkdir(parents=True, exist_ok=True)
    reporter = Reporter(plan, study.prepare_buffer(plan, read=False))
    try:
        plan.train(plan.study, reporter.tick)
    except Exception:  # a run failed: keep what the others have reached; Ctrl-C is not caught
        reporter.try_to_write()
        raise
    if not len(reporter.gather().axes["step"]):
        raise ConfigError(f"{job.runs}: no run has evaluated yet, so there is no result")
    with plan.target.writing():
        return study.show(plan, lines(reporter.save()))


class Reporter:
    """Keeps the result file and the figure up to date while runs train.

    Args:
        plan: of the runs.
        sha256: of the buffer, empty online.
    """

    def __init__(self, plan: study.Plan, sha256: str):
        self.plan, self.sha256 = plan, sha256
        self._size, self._drawn_at, self._problem = 0, 0.0, ""

    def tick(self) -> None:
        """Redraws if there is something new. It is called about every second."""
        try:
            size = sum(p.stat().st_size for run in self.plan.runs if (p := run.folder / "metrics.jsonl").exists())
        except OSError:  # a network share that does not answer
            return
        if size != self._size and time.monotonic() - self._drawn_at >= REDRAW_SECONDS:
            self._size = size
            self.try_to_write()

    def try_to_write(self) -> None:
        """Writes and draws the result so far. A problem is reported once and ends no run."""
        problem = ""
        try:
            with self.plan.target.writing():
                if len(self.save().axes["step"]):
                    pictures.draw(self.plan.study, self.plan.path, self.plan.out)
        except Exception as error:
            problem = in_a_line(error)
            if problem != self._problem:
                with contextlib.suppress(OSError):  # the log may be on the disk that is full
                    tqdm.write(f"cannot write or draw the result yet: {problem}", file=sys.stderr)
        self._problem, self._drawn_at = problem, time.monotonic()

    def gather(self) -> schema.Result:
        """Makes the result so far, with the runs that other commands have meanwhile added to the file."""
        plan = replace(self.plan, runs=self.plan.target.planned())
        return gather.gather(plan.runs, gather.attributes(plan, self.sha256))

    def save(self) -> schema.Result:
        """Makes the result so far and writes it if it has an evaluation; call it within ``target.writing``."""
        result = self.gather()
        if len(result.axes["step"]):
            schema.save(result, self.plan.path)
        return result
