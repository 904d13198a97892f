"""A sweep's runs as an array of Slurm jobs, by submitit: the same plan, skipping and resuming as on one machine.

A job is one run's ordinary command. Before its time is over Slurm warns it: the run saves itself, ends, and is queued
again. What a job has reached is read from the run's folder alone, so it does not matter which command submitted it.
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
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from analysis.runs import slurm_options, sweep
from analysis.runs.slurm_job import RunJob
from analysis.runs.sweep import Run
from hdream_core.runs import folder as run_folder
from hdream_core.support.errors import BAD_INPUT, STOPPED, ConfigError
from hdream_core.support.files import write_atomically
from hdream_core.support.locks import exclusive

POLL_SECONDS = 2.0
ANSWER_SECONDS = 60  # that Slurm has for one answer
TICKET = "slurm_job"  # file in a run's folder: the job that has it
PROGRAMS = ("sbatch", "squeue", "srun")
FIRST_PATIENCE = 3  # polls without an answer at the beginning, when a user looks on
PATIENCE = 300  # and later: ten minutes and more, before the command gives up waiting
SURE_AFTER = 3  # polls in a row in which Slurm does not know a job, before it counts as ended
# Why jobs wait where nothing is amiss; any other reason is said once.
ORDINARY = ("", "None", "Priority", "Resources", "JobArrayTaskLimit", "BeginTime", "Dependency", "Prolog", "Cleaning")


def check(options: Mapping[str, Any], jobs: int) -> None:
    """Asks Slurm whether it is here and would take the jobs; submits nothing.

    Args:
        options: of ``slurm_options.checked``.
        jobs: how many.

    Raises:
        ConfigError: if there is no Slurm here, or it refuses the options, with its own words.
    """
    for program in PROGRAMS:
        if shutil.which(program) is None:
            raise ConfigError(
                f"--launcher slurm: there is no {program} here, so this is no Slurm cluster; with --plan-only the jobs "
                "are shown without one"
            )
    _queue(FIRST_PATIENCE)
    tried = _ask(["sbatch", "--test-only"], slurm_options.script(Path(), options, jobs))
    # Nodes that are down just now are "not available", too: then sbatch itself decides.
    if tried is not None and tried.returncode and not re.search("not available|busy", tried.stderr):
        raise ConfigError(f"Slurm refuses the jobs: {_words(tried.stderr)}")


def execute(planned: Sequence[Run], workers: int, tick: Callable[[], None], options: Mapping[str, Any]) -> None:
    """Has Slurm run what is not done, and calls ``tick`` every other second until it is.

    Jobs that an earlier command submitted are waited for, not submitted again. A job that ends with an error is
    submitted once more, as ``sweep.execute`` does it.

    Args:
        planned: the runs; their folders must be on a file system that the nodes share.
        workers: most jobs at once.
        tick: as of ``sweep.execute``.
        options: of ``slurm_options.checked``.

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
    told: set[str] = set()
    try:
        while tickets:
            time.sleep(POLL_SECONDS)
            known = _queue()
            told |= _tell(Counter(known[ticket] for ticket in tickets.values() if ticket in known), told)
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


def _tell(reasons: Mapping[str, int], told: Iterable[str]) -> set[str]:
    """Says why jobs wait, once for each reason that is out of the ordinary; returns these reasons."""
    new = {reason for reason in reasons if reason not in ORDINARY and reason not in told}
    for reason in sorted(new):
        tqdm.write(f"Slurm has {reasons[reason]} of the jobs wait: {reason}")
    return new


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
        marks = {run: run_folder.failure_of(run.folder) for run in chosen}
        for run in chosen:
            run_folder.prepare(run.config, run.folder)
            run_folder.clear_failed(run.folder)
        executor = slurm_options.executor(logs, {"array_parallelism": workers} | options)
        try:
            with contextlib.redirect_stderr(io.StringIO()), executor.batch():  # submitit repeats what sbatch says
                warning = options["signal_delay_s"]
                jobs = [executor.submit(RunJob(run.folder.absolute(), warning)) for run in chosen]
        except Exception as error:  # submitit raises several kinds when sbatch refuses
            _undo(logs, new, {run: mark for run, mark in marks.items() if mark is not None})
            raise ConfigError(f"Slurm refuses the jobs: {_words(str(error))}") from None
        for run, job in zip(chosen, jobs, strict=True):
            tickets[run] = str(job.job_id)
            write_atomically(run.folder / TICKET, f"{job.job_id}\n".encode())
    return tickets


def _undo(logs: Path, new: Sequence[Path], marks: Mapping[Run, int]) -> None:
    """Leaves no trace of jobs that Slurm has refused.

    Args:
        logs: where submitit has written what it was about to submit.
        new: folders of runs that were made for these jobs.
        marks: exit statuses of the runs that had failed before.
    """
    word = "[0-9a-f]" * 32
    for path in [*logs.glob(f"{word}.pkl"), *logs.glob(f"*submission_file_{word}.sh")]:
        if not path.is_symlink():  # that of a job which was taken
            path.unlink()
    for folder in new:
        shutil.rmtree(folder, ignore_errors=True)
        with contextlib.suppress(OSError):  # others are in them
            for above in (above for above in folder.absolute().parents if logs.parent in above.parents):
                above.rmdir()
    for run, mark in marks.items():
        if run.folder not in new:
            run_folder.mark_failed(run.folder, mark)


def logs_of(run: Path) -> Path:
    """Where submitit keeps the jobs of a run and those beside it: a folder beside those of the tasks."""
    above = run.absolute().parents
    return above[min(2, len(above) - 1)] / "slurm"


def _words(said: str) -> str:
    """What a program of Slurm said, as one line."""
    lines = [re.sub(r"^\w+: (error|fatal): ", "", line.strip()) for line in said.strip().splitlines()]
    return "; ".join(dict.fromkeys(line for line in lines if line)) or "it does not say why"


def _ticket(run: Run) -> str | None:
    try:
        return (run.folder / TICKET).read_text().strip() or None
    except (OSError, UnicodeDecodeError):
        return None


def _ask(command: Sequence[str], given: str = "") -> subprocess.CompletedProcess[str] | None:
    """Has a program of Slurm answer, with a text as its input; None if it takes too long.

    Raises:
        ConfigError: if the program is not here or cannot be run.
    """
    # A user's defaults for squeue would hide jobs.
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SQUEUE_")}
    asked = {
        "input": given,
        "capture_output": True,
        "text": True,
        "errors": "replace",
        "timeout": ANSWER_SECONDS,
        "env": clean,
    }
    try:
        return subprocess.run(command, check=False, **asked)
    except subprocess.TimeoutExpired:
        return None
    except OSError as error:
        raise ConfigError(f"--launcher slurm: {command[0]} cannot be run here ({error.strerror})") from None


def _queue(patience: int = PATIENCE) -> dict[str, str]:
    """This user's jobs that Slurm has queued or running, as ``array_task`` or ``job``, with why they wait.

    Args:
        patience: times that it is asked.

    Raises:
        ConfigError: if there is no Slurm here, or it does not answer.
    """
    command = ["squeue", "--noheader", "--array", "--user", str(os.getuid()), "--format", "%i %r"]
    said = f"squeue does not answer within {ANSWER_SECONDS} seconds"
    for attempt in range(patience):  # a busy controller may not answer at once, and one may be started anew
        if attempt:
            time.sleep(POLL_SECONDS)
        found = _ask(command)
        if found is None:
            continue
        if found.returncode == 0:
            pairs = (line.partition(" ") for line in map(str.strip, found.stdout.splitlines()) if line)
            return {job: reason.strip() for job, _, reason in pairs}
        said = f"squeue: {_words(found.stderr)}"
    raise ConfigError(f"--launcher slurm: {said}; jobs there are go on, and the same command waits for them again")
