"""Defines the Slurm job of a run: the run's ordinary command, stopped in time to save itself."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from analysis.runs import sweep
from analysis.runs.sweep import Run
from hdream_core.runs import folder as run_folder


class RunJob:
    """Trains one run. When the job's time is nearly over, submitit calls ``checkpoint`` and queues what it returns.

    Args:
        folder: of the run.
        warning: seconds between the warning and the end of the job.
    """

    def __init__(self, folder: Path, warning: int):
        self.folder, self.warning = folder, warning
        self._process: subprocess.Popen | None = None

    def __call__(self) -> int:
        """Trains in another process, so that this one can wait for signals; returns its exit status."""
        if run_folder.is_done(self.folder):
            return 0
        self._process = sweep.start(Run(run_folder.read_config(self.folder), self.folder))
        while (status := self._process.poll()) is None:
            time.sleep(0.5)
        if status:  # also STOPPED, so that the job is not submitted again
            run_folder.mark_failed(self.folder, status)
        return status

    def checkpoint(self) -> Any:
        """Tells the run to save itself, waits while there is time, and asks to be queued again."""
        from submitit.helpers import DelayedSubmission

        if self._process is not None:
            self._process.send_signal(signal.SIGUSR1)
            deadline = time.monotonic() + 0.9 * self.warning
            # Popen.wait could deadlock: the interrupted code may hold its lock.
            while time.monotonic() < deadline and not _has_ended(self._process.pid):
                time.sleep(0.2)
        return DelayedSubmission(RunJob(self.folder, self.warning))


def _has_ended(pid: int) -> bool:
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None
    except ChildProcessError:
        return True
