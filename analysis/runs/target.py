"""Decides what a command may do to a result file that exists: it adds to the file, or it is refused.

A result is a grid of methods and seeds with one set of settings: those of its runs, and the study's own flags. A
command with the same settings adds its methods and seeds to the file. The file's runs must be in the runs folder. Every
other command is refused before anything is trained, unless it has --replace.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from analysis.results.schema import Result, ResultError, load
from analysis.runs import sweep
from hdream_core.config.fields import Config
from hdream_core.config.files import from_dict
from hdream_core.data.minari_layout import DatasetError, read_metadata
from hdream_core.runs.folder import MAY_CHANGE
from hdream_core.support.commandline import flag_of
from hdream_core.support.errors import ConfigError
from hdream_core.support.locks import exclusive
from hdream_core.support.settings import flatten

REMEDY = "it stays as it is: give --results another folder, or add --replace"
FREE = (*MAY_CHANGE, "seed", "offline_buffer")  # settings that may differ within a result; buffers have a hash
ASKED = "asked"  # the note with the study's own flags

Grid = Callable[[Sequence[str], Sequence[int]], list[Config]]
Cell = tuple[str, int]  # method and seed


@dataclass(frozen=True)
class Target:
    """Describes the result file that a command writes.

    Attributes:
        path: of the file.
        methods, seeds: that the command asks for.
        grid: returns the configs of methods and seeds with the command's settings.
        runs: folder of the runs.
        own: the study's own flags by name.
        command: that is stored in the file.
        replace: whether the file may be replaced.
        fixed: whether a result with other methods is another result, and not a larger one.
    """

    path: Path
    methods: tuple[str, ...]
    seeds: tuple[int, ...]
    grid: Grid
    runs: Path
    own: Mapping[str, Any]
    command: str
    replace: bool = False
    fixed: bool = False

    def planned(self) -> list[sweep.Run]:
        """Returns the runs of the result: those asked for, and those that the file holds already.

        Raises:
            ConfigError: if the file holds something that this command would not make.
        """
        old = None if self.replace else read(self.path)
        if old is None:
            return sweep.plan(self.grid(self.methods, self.seeds), self.runs)
        seeds = sorted({*self.seeds, *map(int, old.axes["seed"])})
        planned = sweep.plan(self._checked(old, self._methods(old), seeds), self.runs)
        self._check_runs(old, planned)
        return planned

    def asks(self, run: sweep.Run) -> bool:
        """Whether the command asks for this run."""
        return run.config.method in self.methods and run.config.seed in self.seeds

    def full_command(self) -> str:
        """Returns the commands that make the file: this one, after those whose runs it does not ask for."""
        old = None if self.replace else read(self.path)
        if old is None or set(cells(old)) <= {(m, s) for m in self.methods for s in self.seeds}:
            return self.command
        before = str(old.attributes["command"])
        return before if self.command in before.split(" && ") else f"{before} && {self.command}"

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Locks the file against other commands within the block."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with exclusive(self.path.with_name(f".{self.path.name}.lock"), f"writing {self.path.name}"):
            yield

    def check_unchanged(self, planned: Sequence[sweep.Run]) -> None:
        """Raises ConfigError if another command has meanwhile added runs to the file."""
        if self.replace:
            return
        ours = [run.label for run in planned]
        if new := [run.label for run in self.planned() if run.label not in ours]:
            raise ConfigError(
                f"{self.path}: another command has added {new[0]} meanwhile; give this command again, which "
                "makes the result of both"
            )

    def _methods(self, old: Result) -> list[str]:
        """Returns the methods of the file, and then the others that were asked for."""
        merged = list(dict.fromkeys((*old.methods, *self.methods)))
        order = [merged.index(method) for method in self.methods]
        if order != sorted(order) or (self.fixed and old.methods != list(self.methods)):
            self._refuse(f"a result of {' '.join(old.methods)}, in this order, not of {' '.join(self.methods)}")
        return merged

    def _checked(self, old: Result, methods: Sequence[str], seeds: Sequence[int]) -> list[Config]:
        """Returns the configs of a grid if the file has the same settings."""
        try:
            wanted = self.grid(methods, seeds)
            before = {method: flatten(from_dict(config)) for method, config in old.config.items()}
        except ConfigError as error:
            raise ConfigError(
                f"{self.path}: holds a result that this version cannot add to ({error}); {REMEDY}"
            ) from None
        mode = "offline" if wanted[0].offline_buffer else "online"
        if (saved_mode := old.attributes.get("mode", mode)) != mode:
            self._refuse(f"an {saved_mode} result, not an {mode} one")
        for config in wanted:
            for name, value in flatten(config).items():
                saved = before.get(config.method, {}).get(name, value)
                if name not in FREE and saved != value:
                    self._refuse(f"a result with {name}={saved}, not {value} (whose runs need another --runs, too)")
        self._check_buffer(old, wanted[0])
        self._check_own(old)
        return wanted

    def _check_buffer(self, old: Result, config: Config) -> None:
        held = old.attributes["buffer_sha256"]
        with contextlib.suppress(DatasetError):  # a buffer that is not built yet
            now = read_metadata(Path(config.offline_buffer))["hdream"]["sha256"] if config.offline_buffer else ""
            if held and now and held != now:
                self._refuse(
                    f"a result on another buffer (sha256 {held[:12]}) than {config.offline_buffer} ({now[:12]})"
                )

    def _check_own(self, old: Result) -> None:
        held = old.notes.get(ASKED)
        if self.own and not isinstance(held, dict):
            flags = ", ".join(map(flag_of, self.own))
            self._refuse(f"a result of an older version, which does not say what it was made with ({flags})")
        for name, value in self.own.items():
            if held.get(name) != value:
                self._refuse(f"a result with {flag_of(name)} {held.get(name)}, not {value}")

    def _check_runs(self, old: Result, planned: Sequence[sweep.Run]) -> None:
        """Checks that the runs folder has all that the file holds, and that the grid will be complete."""
        held = cells(old)
        for run in planned:
            cell = run.config.method, run.config.seed
            if cell in held:
                needed = run.config.train.steps if old.attributes.get("complete", True) else held[cell]
                if not (run.done or run.step >= needed):
                    self._refuse(f"a result of {run.label} at step {needed}, but {run.folder} is at step {run.step}")
            elif not (self.asks(run) or run.done):
                self._refuse(
                    f"a result to which {' '.join(self.methods)} with --seeds {' '.join(map(str, self.seeds))} does "
                    f"not add a whole row or column: {run.label} would be missing, and is not in {self.runs}"
                )

    def _refuse(self, holds: str) -> None:
        raise ConfigError(f"{self.path}: holds {holds}; {REMEDY}")


def read(path: Path) -> Result | None:
    """Reads a result file if it exists.

    Raises:
        ResultError: if it is damaged or has no methods and seeds; the message says what to do.
    """
    if not path.exists():
        return None
    try:
        found = load(path)
        if missing := [axis for axis in ("method", "seed") if axis not in found.axes]:
            raise ResultError(f"{path}: has no axis {missing[0]}")
    except ResultError as error:
        raise ResultError(f"{error}; {REMEDY}") from None
    return found


def cells(found: Result) -> dict[Cell, int]:
    """Returns the methods and seeds that a result has values for, each with the step of the last evaluation, or 0."""
    steps, held = found.axes.get("step", np.zeros(0, np.int64)), {}
    for axes, values in found.data.values():
        if axes[:2] != ("method", "seed"):
            continue
        for i, j in np.argwhere(np.isfinite(values).any(tuple(range(2, values.ndim)))):
            cell = str(found.axes["method"][i]), int(found.axes["seed"][j])
            at = np.flatnonzero(np.isfinite(values[i, j])) if axes[2:] == ("step",) else []
            held[cell] = max(held.get(cell, 0), int(steps[at[-1]]) if len(at) else 0)
    return held
