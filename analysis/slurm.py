"""A sweep's runs as an array of Slurm jobs, by submitit: the same plan, skipping and resuming as on one machine.

A job is one run's ordinary command. Before its time is over Slurm warns it: the run saves itself, ends, and is queued
again. What a job has reached is read from the run's folder alone, so it does not matter which command submitted it.
"""

from __future__ import annotations

import getpass
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from analysis import sweep
from analysis.slurm_job import RunJob
from analysis.sweep import Run
from hdream_core.runs import folder as run_folder
from hdream_core.support.errors import BAD_INPUT, STOPPED, ConfigError
from hdream_core.support.files import write_atomically
from hdream_core.support.locks import exclusive

POLL_SECONDS = 2.0
TICKET = "slurm_job"  # file in a run's folder: the job that has it
# A run that takes longer than a job (minutes) is queued again; the seconds before the job's end at which it is told to
# save itself leave time for an episode on a slow machine.
DEFAULTS = {
    "job_name": "hdream",
    "time": 24 * 60,
    "signal_delay_s": 300,
    "stderr_to_stdout": True,
    "additional_parameters": {"requeue": True},  # wherever the cluster's own default is not to
}
UNITS = {"time": "minutes", "signal_delay_s": "seconds"}
REQUEUES = 10_000
PATIENCE = 300  # polls without an answer from Slurm, ten minutes and more, before the command gives up waiting
SURE_AFTER = 3  # polls in a row in which Slurm does not know a job, before it counts as ended


def check_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Our settings of a job with the user's over them.

    Raises:
        ConfigError: if there is no Slurm here, a name is not submitit's, or the time is no number of minutes or leaves
            less than half of itself after the warning.
    """
    _queue(patience=3)
    settings = DEFAULTS | options
    with tempfile.TemporaryDirectory() as folder:
        _executor(Path(folder), settings)
    for name in ("time", "signal_delay_s"):
        if type(settings[name]) is not int:
            raise ConfigError(f"--slurm {name}={settings[name]}: must be a whole number of {UNITS[name]}")
    if 60 * settings["time"] < 2 * settings["signal_delay_s"]:
        raise ConfigError(
            f"--slurm time={settings['time']}: is under twice the {settings['signal_delay_s']} seconds before its end "
            "at which a job saves itself (signal_delay_s)"
        )
    return settings


def execute(planned: Sequence[Run], workers: int, tick: Callable[[], None], options: Mapping[str, Any]) -> None:
    """Has Slurm run what is not done, and calls ``tick`` every other second until it is.

    Jobs that an earlier command submitted are waited for, not submitted again. A job that ends with an error is
    submitted once more, as ``sweep.execute`` does it.

    Args:
        planned: the runs; their folders must be on a file system that the nodes share.
        workers: most jobs at once.
        tick: as of ``sweep.execute``.
        options: of ``check_options``; parameters of submitit's Slurm executor: partition, gpus_per_node, mem ...

    Raises:
        ConfigError: if there is no Slurm here, or it refuses the options.
        SweepError: as ``sweep.execute``.
    """
    waiting = [run for run in planned if not run.done]
    if not waiting:
        return
    tickets = _submit(waiting, workers, options)
    retried: dict[Run, int] = {}  # with the step that each had reached
    failed: list[Run] = []
    missing = dict.fromkeys(tickets, 0)
    try:
        while tickets:
            time.sleep(POLL_SECONDS)
            known = _queue()
            again = []
            for run, ticket in list(tickets.items()):
                missing[run] = 0 if ticket in known else missing.get(run, 0) + 1
                if missing[run] < (1 if run.done or run_folder.has_failed(run.folder) else SURE_AFTER):
                    continue
                del tickets[run], missing[run]
                if run.done:
                    continue
                status = run_folder.failure_of(run.folder)
                if status == STOPPED:
                    continue
                if status is None:
                    run_folder.mark_failed(run.folder, -1)  # cancelled, out of memory, or its node is gone
                # One that got on since it was last submitted may go on: nodes come and go in days.
                hopeless = status == BAD_INPUT or run.step <= retried.get(run, -1)
                (failed if hopeless else again).append(run)
            retried |= {run: run.step for run in again}
            tickets |= _submit(again, workers, options)
            tick()
    except KeyboardInterrupt:
        print(
            f"\nthe jobs go on in Slurm, and the same command waits for them again; to stop them: scancel "
            f"{' '.join(sorted({ticket.partition('_')[0] for ticket in tickets.values()}))}"
        )
        raise
    sweep.conclude(failed, planned)


def _submit(waiting: Sequence[Run], workers: int, options: Mapping[str, Any]) -> dict[Run, str]:
    """Submits those runs that no job has yet as one array, notes each one's job in its folder, and returns all jobs."""
    if not waiting:
        return {}
    logs = logs_of(waiting[0].folder)
    logs.mkdir(parents=True, exist_ok=True)
    with exclusive(logs / "lock", "submitting these runs"):  # two commands must not submit a run twice
        known = _queue()
        tickets = {run: ticket for run in waiting if (ticket := _ticket(run)) in known}
        chosen = [run for run in waiting if run not in tickets]
        if not chosen:
            return tickets
        new = [run.folder for run in chosen if not run.folder.exists()]
        for run in chosen:
            run_folder.prepare(run.config, run.folder)
            run_folder.clear_failed(run.folder)
        executor = _executor(logs, {"array_parallelism": workers} | options)
        try:
            with executor.batch():
                warning = options["signal_delay_s"]
                jobs = [executor.submit(RunJob(run.folder.absolute(), warning)) for run in chosen]
        except Exception as error:  # submitit raises several kinds when sbatch refuses
            for folder in new:
                shutil.rmtree(folder)
            raise ConfigError(f"Slurm refuses the jobs: {_last_line(error)}") from None
        for run, job in zip(chosen, jobs, strict=True):
            tickets[run] = str(job.job_id)
            write_atomically(run.folder / TICKET, f"{job.job_id}\n".encode())
    return tickets


def logs_of(run: Path) -> Path:
    """Where submitit keeps the jobs of a run and those beside it: a folder beside those of the tasks."""
    above = run.absolute().parents
    return above[min(2, len(above) - 1)] / "slurm"


def _executor(logs: Path, options: Mapping[str, Any]) -> Any:
    try:
        import submitit
    except ImportError:
        raise ConfigError("--launcher slurm needs submitit; install hdream[cluster]") from None
    try:
        executor = submitit.SlurmExecutor(logs, max_num_timeout=REQUEUES)
        executor.update_parameters(**options)
    except RuntimeError as error:
        raise ConfigError(f"--launcher slurm: {_last_line(error)}") from None
    except (NameError, TypeError, ValueError) as error:
        raise ConfigError(f"--slurm: {str(error).strip().splitlines()[0]}") from None
    return executor


def _last_line(error: Exception) -> str:
    return str(error).strip().splitlines()[-1]


def _ticket(run: Run) -> str | None:
    try:
        return (run.folder / TICKET).read_text().strip() or None
    except (OSError, UnicodeDecodeError):
        return None


def _queue(patience: int = PATIENCE) -> set[str]:
    """This user's jobs that Slurm has queued or running, as ``array_task`` or ``job``.

    Args:
        patience: times that it is asked.

    Raises:
        ConfigError: if there is no Slurm here.
    """
    command = ["squeue", "--noheader", "--array", "--user", getpass.getuser(), "--format", "%i"]
    said = "squeue does not answer"
    for _ in range(patience):  # a busy controller may not answer at once, and one may be started anew
        try:
            found = subprocess.run(command, capture_output=True, text=True, timeout=60)
        except FileNotFoundError:
            raise ConfigError("--launcher slurm: there is no squeue here, so this is no Slurm cluster") from None
        except subprocess.TimeoutExpired:
            continue
        if found.returncode == 0:
            return set(found.stdout.split())
        said = (found.stderr.strip().splitlines() or [said])[-1]
        time.sleep(POLL_SECONDS)
    raise ConfigError(f"--launcher slurm: {said}; jobs there are go on, and the same command waits for them again")
