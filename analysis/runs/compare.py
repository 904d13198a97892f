"""A sweep whose result is its runs' own curves: trained, collected and redrawn while it goes on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from analysis.results.schema import Result
from analysis.runs import study
from analysis.runs.reporter import Reporter
from hdream_core.support.errors import ConfigError


def run(job: study.Study, plan: study.Plan, lines: Callable[[Result], Sequence[str]]) -> Path:
    """Runs what is left of a plan and returns the result file, which exists from the first evaluation on.

    Args:
        job: the folder of the runs, and whether only the plan is wanted.
        plan: the runs.
        lines: what to print in the end.

    Raises:
        ConfigError: if no run has evaluated yet, and none is to be trained.
        SweepError: if runs failed or were told to stop; the result of the others is written.
        PictureError: if the figure alone fails, at the very end.
    """
    if job.plan_only:
        return plan.path
    if plan.trains:  # better now than after hours
        for folder in (job.results, plan.out):
            folder.mkdir(parents=True, exist_ok=True)
    reporter = Reporter(plan, study.prepare_buffer(plan, read=False))
    with reporter.bar:
        try:
            plan.launch(plan.asked, plan.workers, reporter.tick)
        except Exception:  # a run failed: what the others have reached is worth keeping; Ctrl-C is in a hurry
            reporter.try_to_write()
            raise
    if not len(reporter.gather().axes["step"]):
        raise ConfigError(f"{job.runs}: no run has evaluated yet, so there is no result")
    with plan.target.writing():
        return study.show(plan, lines(reporter.save()))
