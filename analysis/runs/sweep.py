"""Trains many runs side by side, skipping those that are done."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hdream_core.config.fields import Config
from hdream_core.runs import folder as run_folder
from hdream_core.support.errors import BAD_INPUT, STOPPED, ConfigError, UserError
from hdream_core.support.precision import pick_device
from hdream_core.support.processes import cores
from hdream_core.train import PARENT, default_folder

POLL_SECONDS = 1.0
GPU_WORKERS = 2  # a run at full size takes about 10 GB (C.5)


@dataclass(frozen=True)
class Run:
    """Holds one run of a sweep."""

    config: Config
    folder: Path

    @property
    def label(self) -> str:
        return f"{self.config.method}, seed {self.config.seed}"

    @property
    def done(self) -> bool:
        return run_folder.is_done(self.folder)

    @property
    def started(self) -> bool:
        """Returns whether the run has set up its data."""
        return (self.folder / "metrics.jsonl").exists()

    @property
    def step(self) -> int:
        """Returns the environment steps reached so far; a run at its last step may still be evaluating."""
        steps = self.config.train.steps
        return steps if self.done else min(run_folder.progress_of(self.folder), steps)


def reached(planned: Sequence[Run]) -> int:
    """Returns the environment steps of all runs together; a run whose metrics cannot be read counts 0."""
    total = 0
    for run in planned:
        with contextlib.suppress(ConfigError, OSError):
            total += run.step
    return total


def plan(configs: Sequence[Config], root: Path) -> list[Run]:
    """Returns the runs and their folders, all methods of one seed before the next seed.

    Raises:
        ConfigError: if a folder holds a run with other settings.
    """
    ordered = sorted(configs, key=lambda config: config.seed)
    planned = [Run(config, default_folder(config, root)) for config in ordered]
    for run in planned:
        run_folder.check_same(run.config, run.folder, "give --runs another folder")  # before anything starts
    return planned


def pick_workers(asked: int, waiting: int) -> int:
    """Returns how many runs to train at once: what was asked for, else two on a GPU, else one for each processor.

    With up to twice as many runs as processors all start at once, so that no processor is idle at the end.
    """
    if asked:
        return min(asked, max(waiting, 1))
    if pick_device().type == "cuda":
        return max(min(GPU_WORKERS, waiting), 1)
    return waiting if cores() < waiting < 2 * cores() else max(min(cores(), waiting), 1)


def doing(planned: Sequence[Run]) -> str:
    """Returns what the runs are doing, for the bar; before their first step they are set up."""
    with contextlib.suppress(ConfigError, OSError):
        waiting = [run for run in planned if not run.done]
        started = [run for run in waiting if run.started]
        if not waiting or any(run.step for run in started):
            return f"{len(planned) - len(waiting)} of {len(planned)} done"
        return "compiling, first evaluation" if started else "loading PyTorch, unpacking the buffer"
    return ""


class SweepError(UserError):
    """Says that runs of a sweep failed or were stopped; the others are finished."""

    status = 1


def execute(planned: Sequence[Run], workers: int, tick: Callable[[], None]) -> None:
    """Trains the runs that are not done, each in its own process, and calls ``tick`` about every second.

    A process that dies is started once more, after the others, unless the user must correct an error.

    Raises:
        SweepError: after all other runs ended; it names the runs that failed and their logs, or those that were stopped
            or are trained by another process.
    """
    waiting = [run for run in planned if not run.done]
    running: dict[subprocess.Popen, Run] = {}
    failed: list[Run] = []
    retried: set[Run] = set()
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                run = waiting.pop(0)
                running[start(run)] = run
            time.sleep(POLL_SECONDS)
            for process in [p for p in running if p.poll() is not None]:
                run = running.pop(process)
                if process.returncode in (0, STOPPED):  # saved and stopped by a signal of its user
                    continue
                run_folder.mark_failed(run.folder, process.returncode)
                if process.returncode != BAD_INPUT and run not in retried:
                    retried.add(run)  # e.g. out of memory or killed: it resumes from its checkpoint
                    waiting.append(run)
                else:
                    failed.append(run)
            tick()
    finally:
        for process in running:  # interrupted: the runs can be resumed from their checkpoints
            process.terminate()
        for process in running:
            process.wait()
    conclude(failed, planned)


def conclude(failed: Sequence[Run], planned: Sequence[Run]) -> None:
    """Raises SweepError unless all planned runs are done."""
    if failed:
        logs = "; ".join(f"{run.label} (see {run.folder / 'log.txt'})" for run in failed)
        raise SweepError(f"{len(failed)} of {len(planned)} runs failed: {logs}")
    if left := [run.label for run in planned if not run.done]:
        raise SweepError(
            f"{len(left)} of {len(planned)} runs were stopped, or are trained by another process: {', '.join(left)}; "
            "the same command resumes them"
        )


def command(folder: Path) -> list[str]:
    """Returns the command line that trains or resumes the run in a folder."""
    return [sys.executable, "-m", "hdream_core.train", "--config", str(folder), "--folder", str(folder), "--quiet"]


def start(run: Run) -> subprocess.Popen:
    """Starts a process that trains or resumes a run; it ends when this process ends."""
    run_folder.prepare(run.config, run.folder)
    run_folder.clear_failed(run.folder)
    environment = os.environ | {PARENT: str(os.getpid())}
    if run.config.train.threads:
        environment |= {"OMP_NUM_THREADS": str(run.config.train.threads)}
    with open(run.folder / "log.txt", "a") as log:
        return subprocess.Popen(command(run.folder), stdout=log, stderr=subprocess.STDOUT, env=environment)
