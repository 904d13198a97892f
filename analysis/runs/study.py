"""Runs the steps that all studies share: plan the runs, train them, write and draw the result."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from analysis.results import comparisons
from analysis.results.schema import Result, save
from analysis.runs import launcher, pictures
from analysis.runs.flags import (
    Job,
    OfflineStudy,
    Study,
    balances,
    check_words,
    choices,
    configs,
    decodes,
    method_of,
    named,
    resolve,
    sized,
    sizes_in_words,
)
from analysis.runs.plan import Plan, figures_folder, plan
from hdream_core.data.minari_layout import read_metadata
from hdream_core.data.offline import open_buffer
from hdream_core.data.sources import check_source
from hdream_core.runs import folder as run_folder
from hdream_core.support import commandline, places
from hdream_core.support.errors import ConfigError, exit_on_user_error
from offline_buffers.build import build

__all__ = [
    "OfflineStudy",
    "Plan",
    "Study",
    "balances",
    "configs",
    "decodes",
    "method_of",
    "named",
    "plan",
    "resolve",
    "sized",
]


def prepare_buffer(plan: Plan, read: bool = True) -> str:
    """Builds the buffer if need be, checks that it suits the runs, and returns its hash; empty if there is none.

    Args:
        plan: of the runs.
        read: whether the study itself reads the buffer. If not, it is not needed once all runs are done.
    """
    config = plan.config
    if config.offline_buffer is None:
        return ""
    if not read and all(run.done for run in plan.runs):
        return run_folder.read_provenance(plan.runs[0].folder).get("buffer_sha256", "")
    if not plan.trains:
        folder = Path(config.offline_buffer)
        return read_metadata(folder)["hdream"]["sha256"] if (folder / "data").exists() else ""
    if plan.recipe is not None:
        build(plan.recipe)
    check_source(config)
    return open_buffer(config.offline_buffer).facts["sha256"]


def train(plan: Plan) -> str:
    """Builds the buffer if need be and trains every run that is asked for; returns the buffer's hash.

    Raises:
        ConfigError: if runs are left unfinished.
    """
    sha256 = prepare_buffer(plan)
    if not all(run.done for run in plan.asked):
        plan.train("training")
    if left := sum(not run.done for run in plan.runs):
        raise ConfigError(
            f"{left} of {len(plan.runs)} runs are not finished, and this study reads trained models; have them "
            "trained, with another --launcher"
        )
    return sha256


def finish(result: Result, plan: Plan, lines: Sequence[str]) -> Path:
    """Writes the result, prints what came out, draws the figure and returns the result's path.

    Raises:
        ConfigError: if another command has meanwhile written something else there.
        PictureError: if only the figure fails, at the very end.
    """
    with plan.target.writing():
        plan.target.check_unchanged(plan.runs)
        save(comparisons.add(result), plan.path)
        return show(plan, lines)


def show(plan: Plan, lines: Sequence[str]) -> Path:
    """Prints what came out of a plan whose result is written, draws the figure and returns the result's path.

    Raises:
        PictureError: if the figure fails.
    """
    print("\n".join(lines))
    if plan.config.preset == "smoke":
        print("preset smoke is a test of the machinery: these numbers mean nothing")
    print(f"result: {plan.path}", flush=True)
    print(f"figure: {pictures.draw(plan.study, plan.path, plan.out)}")
    return plan.path


def main(flags: type[Job], run: Callable[[Job], Any], args: Sequence[str] | None = None) -> None:
    """Runs a study from the command line; errors that a user can mend are one line."""
    with exit_on_user_error():
        words = tuple(sys.argv[1:] if args is None else args)
        module = sys.modules[run.__module__]
        sizes = sizes_in_words(getattr(module, "SIZES", {}))
        about = f"{inspect.getdoc(flags)}\n\n{choices()}"
        name = f"python -m analysis.{Path(module.__file__).stem}"
        job = commandline.parse(flags, launcher.expand(words), name, sizes, description=about)
        check_words(job)
        for flag in () if job.plan_only else job.MAKES:  # fail now rather than after hours of training
            folder = figures_folder(job) if flag == "out" else getattr(job, flag)
            places.check_folder(folder, f"give another --{flag}")
        run(replace(job, words=words))
