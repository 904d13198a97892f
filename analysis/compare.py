"""A sweep whose result is its runs' own curves: trained, collected and redrawn while it goes on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from analysis import collect, study
from analysis.reporter import Reporter
from analysis.results import Result


def run(
    job: study.Study, plan: study.Plan, draw: Callable[[Path, Path], Path], lines: Callable[[Result], Sequence[str]]
) -> Path:
    """Runs what is left of a plan and returns the result file, which exists from the first evaluation on.

    Args:
        job: folders, and whether only the plan is wanted.
        plan: the runs.
        draw: makes the figure of a result file, ``draw(path, out)``.
        lines: what to print in the end.
    """
    path = collect.save_path(job.results, plan.study, plan.runs)
    if job.plan_only:
        return path
    for folder in (job.results, job.out):
        folder.mkdir(parents=True, exist_ok=True)
    sha256 = study.prepare_buffer(plan)
    reporter = Reporter(plan.study, plan.runs, path, job.out, sha256, draw)
    with reporter.bar:
        plan.launch(plan.runs, plan.workers, reporter.tick)
    print("\n".join(lines(reporter.write())))
    print(f"result: {path}\nfigure: {reporter.figure}")
    return path
