"""Chooses where a sweep's runs are trained: on this machine, on a Slurm cluster, or nowhere."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, Literal

from analysis.runs import slurm, slurm_options, sweep
from hdream_core.support import untrusted
from hdream_core.support.errors import ConfigError

Launch = Callable[[Sequence[sweep.Run], int, Callable[[], None]], None]
"""``launch(planned, workers, tick)`` returns when all runs are done; see ``sweep.execute``."""
FLAG = "--slurm-"
MOST_WORKERS = 4096


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
            options = slurm_options.checked(dict(map(setting, settings)))
            if waiting and not plan_only:
                slurm.check(options, waiting)
            return asked or max(waiting, 1), functools.partial(slurm.execute, options=options)
        case _:
            return sweep.pick_workers(asked, waiting), sweep.execute


def preview(settings: Sequence[str], workers: int, planned: Sequence[sweep.Run]) -> str:
    """Returns what ``--launcher slurm`` would submit: parameters, command and script.

    Args:
        settings: name=value for Slurm.
        workers: most jobs at once.
        planned: all runs.
    """
    waiting = [run.folder.absolute() for run in planned if not run.done]
    options = {"array_parallelism": workers} | slurm_options.checked(dict(map(setting, settings)))
    logs = slurm.logs_of(planned[0].folder)
    return slurm_options.preview(logs, options, len(waiting), sweep.command(waiting[0]) if waiting else [])


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
    rest, settings, left = [], [], list(words)
    while left:
        word = left.pop(0)
        if not word.startswith(FLAG):
            rest.append(word)
            continue
        name, equals, value = word.removeprefix(FLAG).partition("=")
        if not equals:
            if not left or left[0].startswith("--"):
                raise ConfigError(f"{word}: a value is missing")
            value = left.pop(0)
        settings.append(f"{name.replace('-', '_')}={value}")
    if settings and "--slurm" in rest:
        at = rest.index("--slurm") + 1
        return rest[:at] + settings + rest[at:]
    return [*rest, "--slurm", *settings] if settings else rest
