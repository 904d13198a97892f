"""Many runs as one plan: what to run, what is done, and running the rest side by side."""

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
from hdream_core.support.errors import BAD_INPUT, STOPPED, ConfigError
from hdream_core.support.precision import pick_device
from hdream_core.support.processes import cores
from hdream_core.train import PARENT, default_folder

POLL_SECONDS = 1.0
GPU_WORKERS = 2  # runs at full size take about 10 GB each (C.5)


@dataclass(frozen=True)
class Run:
    """One member of a sweep."""

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
        """Whether the run has set up its data."""
        return (self.folder / "metrics.jsonl").exists()

    @property
    def step(self) -> int:
        """Environment steps reached so far; all of them do not mean that the run is done."""
        steps = self.config.train.steps
        return steps if self.done else min(run_folder.progress_of(self.folder), steps)


def reached(planned: Sequence[Run]) -> int:
    """Environment steps of all runs together, for a bar; a run whose metrics cannot be read just now counts as at 0."""
    total = 0
    for run in planned:
        with contextlib.suppress(ConfigError, OSError):
            total += run.step
    return total


def plan(configs: Sequence[Config], root: Path) -> list[Run]:
    """Folders for the runs, seeds before methods: after each round every method has one seed more.

    Raises:
        ConfigError: if a folder already holds a run with other settings.
    """
    ordered = sorted(configs, key=lambda config: config.seed)
    planned = [Run(config, default_folder(config, root)) for config in ordered]
    for run in planned:
        run_folder.check_same(run.config, run.folder, "give --runs another folder")  # before anything starts
    return planned


def pick_workers(asked: int, waiting: int) -> int:
    """How many runs to have going at once: what was asked, else two on a GPU, else one a processor.

    Three runs on two processors take turns rather than leave one processor idle for half of the time.
    """
    if asked:
        return min(asked, max(waiting, 1))
    if pick_device().type == "cuda":
        return max(min(GPU_WORKERS, waiting), 1)
    return waiting if cores() < waiting < 2 * cores() else max(min(cores(), waiting), 1)


def doing(planned: Sequence[Run]) -> str:
    """What takes the time, in words for a bar: runs that have not come to their first step are being set up."""
    with contextlib.suppress(ConfigError, OSError):
        waiting = [run for run in planned if not run.done]
        started = [run for run in waiting if run.started]
        if not waiting or any(run.step for run in started):
            return f"{len(planned) - len(waiting)} of {len(planned)} done"
        return "compiling, first evaluation" if started else "loading PyTorch, unpacking the buffer"
    return ""


class SweepError(RuntimeError):
    """Runs of a sweep failed, or were told to stop; the others are finished."""


def execute(planned: Sequence[Run], workers: int, tick: Callable[[], None]) -> None:
    """Runs what is not done, each in a process of its own, and calls ``tick`` about every second.

    A process that dies is started once more, after the others; not if it ended with an error that its user must mend.

    Raises:
        SweepError: after all other runs ended, naming the runs that failed and their logs, or those that were told to
            stop or are trained by another process.
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
                if process.returncode in (0, STOPPED):  # stopped by a signal, and saved: its user has a reason
                    continue
                run_folder.mark_failed(run.folder, process.returncode)
                if process.returncode != BAD_INPUT and run not in retried:
                    retried.add(run)  # out of memory, a full disk, killed: it goes on from its checkpoint
                    waiting.append(run)
                else:
                    failed.append(run)
            tick()
    finally:
        for process in running:  # interrupted: the runs resume from their checkpoints another time
            process.terminate()
        for process in running:
            process.wait()
    conclude(failed, planned)


def conclude(failed: Sequence[Run], planned: Sequence[Run]) -> None:
    """Raises SweepError unless all planned runs are done."""
    logs = "; ".join(f"{run.label} (see {run.folder / 'log.txt'})" for run in failed)
    if failed:
        raise SweepError(f"{len(failed)} of {len(planned)} runs failed: {logs}")
    if left := [run.label for run in planned if not run.done]:
        raise SweepError(
            f"{len(left)} of {len(planned)} runs were told to stop, or another process is at them: {', '.join(left)}; "
            "the same command goes on"
        )


def command(folder: Path) -> list[str]:
    """The command line that trains or resumes the run of a folder."""
    return [sys.executable, "-m", "hdream_core.train", "--config", str(folder), "--folder", str(folder), "--quiet"]


def start(run: Run) -> subprocess.Popen:
    """A process that trains or resumes a run, and ends with this one."""
    run_folder.prepare(run.config, run.folder)
    run_folder.clear_failed(run.folder)
    threads = str(run.config.train.threads or 0)
    environment = dict(os.environ) | {PARENT: str(os.getpid())}
    if threads != "0":
        environment |= {"OMP_NUM_THREADS": threads}
    with open(run.folder / "log.txt", "a") as log:
        return subprocess.Popen(command(run.folder), stdout=log, stderr=subprocess.STDOUT, env=environment)
