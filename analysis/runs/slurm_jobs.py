"""Defines the Slurm jobs of a sweep: their parameters, their script for sbatch, and what a job does.

A job is a run's ordinary command, stopped in time to save itself. Nothing here calls Slurm, so a plan can be shown on a
machine without it.
"""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from analysis.runs import sweep
from analysis.runs.sweep import Run
from hdream_core.runs import folder as run_folder
from hdream_core.support.errors import ConfigError

# ``time`` is in minutes; a run that takes longer is queued again. ``signal_delay_s`` is the time before the job's end
# at which a run is told to save itself. It leaves time for an episode on a slow machine.
DEFAULTS = {
    "job_name": "hdream",
    "time": 24 * 60,
    "signal_delay_s": 300,
    "stderr_to_stdout": True,
    "additional_parameters": {"requeue": True},  # whatever the cluster's own default is
}
UNITS = {"time": "minutes", "signal_delay_s": "seconds"}
COUNTS = ("array_parallelism", "cpus_per_gpu", "cpus_per_task")
LISTS = ("setup", "teardown", "srun_args")
ONES = ("nodes", "ntasks_per_node", "ntasks")  # a run is one process
OURS = ("array", "output", "error", "open_mode", "signal")
REQUEUES = 10_000
LOG_LEVEL = "SUBMITIT_LOG_LEVEL"


def checked(options: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the default settings of a job, overridden by the user's.

    Raises:
        ConfigError: naming a parameter that submitit does not know or that has a value of another kind, or if the time
            leaves less than half of itself after the warning.
    """
    settings = DEFAULTS | options
    if isinstance(further := settings["additional_parameters"], Mapping):
        settings["additional_parameters"] = DEFAULTS["additional_parameters"] | further
    for name, value in [*settings.items(), *further_of(settings)]:
        if expected := _expected(name, value):
            raise ConfigError(f"--slurm {name}={value}: {expected}")
    if 60 * settings["time"] < 2 * settings["signal_delay_s"]:
        raise ConfigError(
            f"--slurm time={settings['time']}: is under twice the {settings['signal_delay_s']} seconds before its end "
            "at which a job saves itself (signal_delay_s)"
        )
    executor(Path(), settings)
    return settings


def further_of(settings: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Returns the name, as submitit spells it, and the value of each additional parameter."""
    further = settings["additional_parameters"]
    return [(name.replace("-", "_"), value) for name, value in further.items()] if isinstance(further, Mapping) else []


def _expected(name: str, value: Any) -> str:
    """Returns what a parameter must be; empty if it is right, or if only Slurm can tell."""
    count = type(value) is int and value > 0
    if name in OURS:
        return "a sweep sets it itself"
    if name in UNITS:
        return "" if count else f"must be a whole number of {UNITS[name]}"
    if name in COUNTS:
        return "" if count else "must be a whole number, 1 or more"
    if name in ONES:
        return "" if count and value == 1 else "must be 1, since a run is one process"
    if name in LISTS:
        good = isinstance(value, list) and all(isinstance(item, str) for item in value)
        return "" if good else 'must be a list of texts in JSON, such as ["module load cuda"]'
    if name == "additional_parameters":
        return "" if isinstance(value, Mapping) else 'must be an object in JSON, such as {"qos": "high"}'
    word = isinstance(value, str) and value != "" and value.isprintable()
    return "" if word or isinstance(value, int | float) else "must be one value on one line"


def executor(logs: Path, settings: Mapping[str, Any]) -> Any:
    """Makes submitit's executor, which writes the scripts and submits them; this function writes nothing.

    Args:
        logs: folder that it will write to.
        settings: its parameters.

    Raises:
        ConfigError: if submitit is not installed, or refuses a parameter.
    """
    try:
        submitit = _import_submitit()
    except ImportError:
        raise ConfigError("--launcher slurm needs submitit; install hdream[cluster]") from None

    class Executor(submitit.SlurmExecutor):
        @classmethod
        def affinity(cls) -> int:
            return 2  # submitit would look for srun, which a plan does not need

    try:
        made = Executor(logs, max_num_timeout=REQUEUES)
        made.update_parameters(**settings)
    except (NameError, RuntimeError, TypeError, ValueError) as error:
        raise ConfigError(f"--slurm: {str(error).strip().splitlines()[0]}") from None
    return made


def script(logs: Path, settings: Mapping[str, Any], jobs: int) -> str:
    """Returns the text that sbatch is given for an array of ``jobs``; for one job there is no array."""
    made = executor(logs, settings)
    if jobs > 1:
        made.parameters["map_count"] = jobs
    return made._make_submission_file_text(made._submitit_command_str, "")


def _import_submitit() -> ModuleType:
    """Imports submitit without its logging.

    By default the import closes the log handlers of all other packages, one of which also closes standard error.
    """
    given = os.environ.get(LOG_LEVEL)
    os.environ[LOG_LEVEL] = given or "NOCONFIG"
    try:
        return importlib.import_module("submitit")
    finally:
        if not given:
            del os.environ[LOG_LEVEL]  # jobs log as submitit does by itself


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
        if self._process is not None:
            self._process.send_signal(signal.SIGUSR1)
            deadline = time.monotonic() + 0.9 * self.warning
            # Popen.wait could deadlock: the interrupted code may hold its lock.
            while time.monotonic() < deadline and not _has_ended(self._process.pid):
                time.sleep(0.2)
        return _import_submitit().helpers.DelayedSubmission(RunJob(self.folder, self.warning))


def _has_ended(pid: int) -> bool:
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None
    except ChildProcessError:
        return True
