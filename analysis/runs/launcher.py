"""Chooses where a sweep's runs are trained: on this machine, on a Slurm cluster, or nowhere."""

from __future__ import annotations

import functools
import shlex
from collections.abc import Callable, Sequence
from typing import Any, Literal

from analysis.runs import slurm, slurm_jobs, sweep
from hdream_core.support import untrusted
from hdream_core.support.errors import ConfigError

Launch = Callable[[Sequence[sweep.Run], int, Callable[[], None]], None]
"""``launch(planned, workers, tick)`` returns when all runs are done; see ``sweep.execute``."""
FLAG = "--slurm-"
MOST_WORKERS = 4096
# What a plan shows of a job, and the parameters that may set it.
SHOWN = {
    "partition": ("partition",),
    "time": ("time",),
    "memory": ("mem", "mem_per_cpu", "mem_per_gpu"),
    "CPUs": ("cpus_per_task", "cpus_per_gpu"),
    "GPUs": ("gpus_per_node", "gpus_per_task", "num_gpus", "gres"),
}


def pick(
    name: Literal["local", "slurm", "none"], settings: Sequence[str], asked: int, waiting: int, plan_only: bool = False
) -> tuple[int, Launch]:
    """Returns how many runs are trained at once, and the function that trains them.

    Args:
        name: of the launcher.
        settings: name=value for Slurm.
        asked: number of workers; 0 leaves it to the launcher.
        waiting: runs that are not done.
        plan_only: whether nothing will be trained, so that Slurm need not be here.

    Raises:
        ConfigError: if there are settings for Slurm without it, one is not name=value, or Slurm refuses them.
    """
    if settings and name != "slurm":
        raise ConfigError(f"{FLAG}{settings[0].partition('=')[0]} is for --launcher slurm")
    if not 0 <= asked <= MOST_WORKERS:
        raise ConfigError(f"--workers is {asked}; it must be from 0 to {MOST_WORKERS}")
    match name:
        case "none":
            return 1, lambda planned, workers, tick: None
        case "slurm":
            options = slurm_jobs.checked(dict(map(setting, settings)))
            if waiting and not plan_only:
                slurm.check(options, waiting)
            return asked or max(waiting, 1), functools.partial(slurm.execute, options=options)
        case _:
            return sweep.pick_workers(asked, waiting), sweep.execute


def preview(settings: Sequence[str], workers: int, planned: Sequence[sweep.Run]) -> str:
    """Returns what ``--launcher slurm`` would submit: parameters, command of the first job, and script.

    Args:
        settings: name=value for Slurm.
        workers: most jobs at once.
        planned: all runs; those that are not done are one job each.
    """
    waiting = [run.folder.absolute() for run in planned if not run.done]
    if not waiting:
        return "Slurm: every run is done, so no job would be submitted"
    options = {"array_parallelism": workers} | slurm_jobs.checked(dict(map(setting, settings)))
    jobs, given = len(waiting), options | dict(slurm_jobs.further_of(options))
    at_once = min(jobs, options["array_parallelism"])
    lines = [f"Slurm: {f'an array of {jobs} jobs, at most {at_once} at once' if jobs > 1 else 'one job'}, each:"]
    for label, names in SHOWN.items():
        pairs = [(name, given[name]) for name in names if name in given]
        values = [f"{name}={value}" if len(names) > 1 else f"{value}" for name, value in pairs]
        unit = f" {slurm_jobs.UNITS[label]}" if label in slurm_jobs.UNITS else ""
        lines.append(f"  {label:<10} {', '.join(values) or 'as the cluster has it'}{unit}")
    lines += [f"  {'command':<10} {shlex.join(sweep.command(waiting[0]))}", "Its script for sbatch:"]
    script = slurm_jobs.script(slurm.logs_of(waiting[0]), options, jobs)
    return "\n".join(lines + [f"  {line}".rstrip() for line in script.strip().splitlines()])


def setting(text: str) -> tuple[str, Any]:
    """Parses ``name=value``; the value is a number, true or false, JSON for a list or an object, or a text."""
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise ConfigError(f"--slurm {text}: expected name=value, e.g. partition=gpu")
    if value.lower() in ("true", "false"):
        return name, value.lower() == "true"
    if value[:1] in ("[", "{"):  # setup, srun_args, additional_parameters
        try:
            return name, untrusted.json_value(value)
        except ValueError as error:
            raise ConfigError(f"--slurm {name}={value}: a list or an object must be JSON ({error})") from None
    return name, int(value) if value.isdecimal() else value


def expand(words: Sequence[str]) -> list[str]:
    """Returns a command line with every ``--slurm-NAME VALUE`` turned into a value of ``--slurm``.

    Raises:
        ConfigError: if such a flag has no value.
    """
    rest, settings, left = [], [], iter(words)
    for word in left:
        if not word.startswith(FLAG):
            rest.append(word)
            continue
        name, equals, value = word.removeprefix(FLAG).partition("=")
        if not equals and (value := next(left, "--")).startswith("--"):
            raise ConfigError(f"{word}: a value is missing")
        settings.append(f"{name.replace('-', '_')}={value}")
    if settings and "--slurm" not in rest:
        rest.append("--slurm")
    at = rest.index("--slurm") + 1 if settings else 0
    return rest[:at] + settings + rest[at:]
