"""Trains a sweep's runs as an array of Slurm jobs, by submitit; runs are skipped and resumed as on one machine.

A job is one run's ordinary command. Slurm warns it before its time is over; then the run saves itself, ends, and is
queued again. Progress is read only from the run's folder, so it does not matter which command submitted the job.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from analysis.runs import slurm_jobs, sweep
from analysis.runs.sweep import Run
from hdream_core.runs import folder as run_folder
from hdream_core.support.errors import BAD_INPUT, STOPPED, ConfigError
from hdream_core.support.files import write_atomically
from hdream_core.support.locks import exclusive

POLL_SECONDS = 2.0
ANSWER_SECONDS = 60  # time limit for one answer of Slurm
TICKET = "slurm_job"  # file in a run's folder with the id of its job
PROGRAMS = ("sbatch", "squeue", "srun")
FIRST_PATIENCE = 3  # polls without an answer before the command gives up, at its start
PATIENCE = 300  # the same later: ten minutes and more
SURE_AFTER = 3  # polls in a row without a job before it counts as ended
# Ordinary reasons why jobs wait; any other reason is printed once.
ORDINARY = ("", "None", "Priority", "Resources", "JobArrayTaskLimit", "BeginTime", "Dependency", "Prolog", "Cleaning")


def check(options: Mapping[str, Any], jobs: int) -> None:
    """Checks that Slurm is installed and would accept the jobs; submits nothing.

    Args:
        options: of ``slurm_jobs.checked``.
        jobs: their number.

    Raises:
        ConfigError: if there is no Slurm, or it refuses the options; then it gives Slurm's own message.
    """
    for program in PROGRAMS:
        if shutil.which(program) is None:
            raise ConfigError(
                f"--launcher slurm: there is no {program} here, so this is no Slurm cluster; with --plan-only the jobs "
                "are shown without one"
            )
    _queue(FIRST_PATIENCE)
    tried = _ask(["sbatch", "--test-only"], slurm_jobs.script(Path(), options, jobs))
    # Nodes that are down are "not available", too; then sbatch itself decides.
    if tried is not None and tried.returncode and not re.search("not available|busy", tried.stderr):
        raise ConfigError(f"Slurm refuses the jobs: {_words(tried.stderr)}")


def execute(planned: Sequence[Run], workers: int, tick: Callable[[], None], options: Mapping[str, Any]) -> None:
    """Trains what is not done on Slurm, and calls ``tick`` every other second until it is done.

    Jobs that an earlier command submitted are waited for and not submitted again. A job that ends with an error is
    submitted once more, as in ``sweep.execute``.

    Args:
        planned: the runs; their folders must be on a file system that the nodes share.
        workers: most jobs at once.
        tick: see ``sweep.execute``.
        options: of ``slurm_jobs.checked``.

    Raises:
        ConfigError: if there is no Slurm here, or it refuses the options.
        SweepError: as ``sweep.execute``.
    """
    waiting = [run for run in planned if not run.done]
    if not waiting:
        return
    tickets = _submit(waiting, workers, options)
    retried: dict[Run, int] = {}  # run to the step that it had reached
    failed: list[Run] = []
    missing = dict.fromkeys(tickets, 0)
    reported: set[str] = set()
    try:
        while tickets:
            time.sleep(POLL_SECONDS)
            known = _queue()
            reported |= _report(Counter(known[ticket] for ticket in tickets.values() if ticket in known), reported)
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
                # A run that made progress since it was last submitted may go on: nodes come and go in days.
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


def _report(reasons: Mapping[str, int], reported: set[str]) -> set[str]:
    """Prints why jobs wait, once for each unusual reason; returns these reasons."""
    new = set(reasons) - set(ORDINARY) - reported
    for reason in sorted(new):
        tqdm.write(f"{reasons[reason]} of the jobs wait in Slurm: {reason}")
    return new


def _submit(waiting: Sequence[Run], workers: int, options: Mapping[str, Any]) -> dict[Run, str]:
    """Submits the runs without a job as one array, writes each job's id to its run's folder, and returns all ids."""
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
        failed = {run: status for run in chosen if (status := run_folder.failure_of(run.folder)) is not None}
        executor = slurm_jobs.executor(logs, {"array_parallelism": workers} | options)
        for run in failed:  # before a job can fail, and so set its own mark
            run_folder.clear_failed(run.folder)
        try:
            with contextlib.redirect_stderr(io.StringIO()), executor.batch():  # submitit repeats what sbatch says
                warning = options["signal_delay_s"]
                jobs = [executor.submit(slurm_jobs.RunJob(run.folder.absolute(), warning)) for run in chosen]
        except Exception as error:  # submitit raises several kinds when sbatch refuses
            _undo(logs, new)
            for run, status in failed.items():
                run_folder.mark_failed(run.folder, status)
            raise ConfigError(f"Slurm refuses the jobs: {_words(str(error))}") from None
        for run, job in zip(chosen, jobs, strict=True):
            tickets[run] = str(job.job_id)
            write_atomically(run.folder / TICKET, f"{job.job_id}\n".encode())
    return tickets


def _undo(logs: Path, new: Sequence[Path]) -> None:
    """Removes all files of jobs that Slurm has refused.

    Args:
        logs: folder where submitit wrote what it was about to submit.
        new: folders of runs that were made for these jobs.
    """
    word = "[0-9a-f]" * 32
    for path in [*logs.glob(f"{word}.pkl"), *logs.glob(f"*submission_file_{word}.sh")]:
        if not path.is_symlink():  # a link belongs to an accepted job
            path.unlink()
    for folder in new:
        shutil.rmtree(folder, ignore_errors=True)
        with contextlib.suppress(OSError):  # a folder that is not empty
            for above in (above for above in folder.absolute().parents if logs.parent in above.parents):
                above.rmdir()


def logs_of(run: Path) -> Path:
    """Returns the folder where submitit keeps the jobs of a run; it is beside the folders of the tasks."""
    above = run.absolute().parents
    return above[min(2, len(above) - 1)] / "slurm"


def _words(said: str) -> str:
    """Returns a message of a Slurm program in one line."""
    lines = [re.sub(r"^\w+: (error|fatal): ", "", line.strip()) for line in said.strip().splitlines()]
    return "; ".join(dict.fromkeys(line for line in lines if line)) or "it does not say why"


def _ticket(run: Run) -> str | None:
    try:
        return (run.folder / TICKET).read_text().strip() or None
    except (OSError, UnicodeDecodeError):
        return None


def _ask(command: Sequence[str], given: str = "") -> subprocess.CompletedProcess[str] | None:
    """Runs a Slurm program with a text as its input; None if it takes too long.

    Raises:
        ConfigError: if the program cannot be run.
    """
    # A user's defaults for squeue could hide jobs.
    env = {name: value for name, value in os.environ.items() if not name.startswith("SQUEUE_")}
    text = {"input": given, "capture_output": True, "text": True, "errors": "replace"}
    try:
        return subprocess.run(command, check=False, timeout=ANSWER_SECONDS, env=env, **text)
    except subprocess.TimeoutExpired:
        return None
    except OSError as error:
        raise ConfigError(f"--launcher slurm: {command[0]} cannot be run here ({error.strerror})") from None


def _queue(patience: int = PATIENCE) -> dict[str, str]:
    """Returns this user's queued and running jobs, as ``array_task`` or ``job``, with the reason why they wait.

    Args:
        patience: how often Slurm is asked before the command gives up.

    Raises:
        ConfigError: if there is no Slurm, or it does not answer.
    """
    command = ["squeue", "--noheader", "--array", "--user", str(os.getuid()), "--format", "%i %r"]
    said = f"squeue does not answer within {ANSWER_SECONDS} seconds"
    for attempt in range(patience):  # a busy or restarting controller may not answer at once
        if attempt:
            time.sleep(POLL_SECONDS)
        found = _ask(command)
        if found is None:
            continue
        if found.returncode == 0:
            pairs = (line.partition(" ") for line in map(str.strip, found.stdout.splitlines()) if line)
            return {job: reason.strip() for job, _, reason in pairs}
        said = f"squeue: {_words(found.stderr)}"
    raise ConfigError(f"--launcher slurm: {said}; submitted jobs go on, and the same command waits for them again")
