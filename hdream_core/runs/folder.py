"""Reads and writes a run's folder: config and provenance, written once, and marks that it is done or has failed."""

from __future__ import annotations

import json
import math
import os
import platform
from pathlib import Path
from typing import NamedTuple

from hdream_core.config import legacy
from hdream_core.config.fields import Config
from hdream_core.config.files import from_dict, to_dict
from hdream_core.data.minari_layout import DatasetError, read_metadata
from hdream_core.runs.metrics import read_last
from hdream_core.spec import Spec
from hdream_core.support import provenance, untrusted
from hdream_core.support.errors import ConfigError
from hdream_core.support.files import write_atomically
from hdream_core.support.precision import pick_device, resolve_precision
from hdream_core.support.settings import flatten

MAY_CHANGE = ("train.device",)  # settings whose value may change when a run resumes


def check_same(config: Config, folder: Path, remedy: str = "choose another --folder") -> bool:
    """Checks that the folder, if it holds a run, holds one of this config; returns whether it holds a run.

    Changes nothing.

    Args:
        config: expected config.
        folder: the run's folder.
        remedy: what to do if it is another run, for the message.

    Raises:
        ConfigError: if it is a run with other settings, naming the first that differs.
    """
    if not (folder / "config.json").exists():
        return False
    saved = flatten(read_config(folder))
    for name, value in flatten(config).items():
        if name == "offline_buffer" and _same_buffer(folder, saved[name], value):
            continue
        if name not in MAY_CHANGE and saved.get(name) != value:
            raise ConfigError(f"{folder}: holds a run with {name}={saved.get(name)}, not {value}; {remedy}")
    return True


def _same_buffer(folder: Path, saved: str | None, given: str | None) -> bool:
    """Tells whether two paths lead to the same buffer. The content decides, not the location or its spelling."""
    if saved is None or given is None or saved == given:
        return saved == given
    sha256 = read_provenance(folder).get("buffer_sha256")  # absent until the run has opened its buffer
    try:
        return read_metadata(Path(given))["hdream"]["sha256"] == (
            sha256 or read_metadata(Path(saved))["hdream"]["sha256"]
        )
    except DatasetError:
        return False


def prepare(config: Config, folder: Path) -> Path:
    """Makes the folder with ``config.json`` and ``provenance.json``, or checks that it holds the same config.

    Raises:
        ConfigError: if the folder belongs to a run with other settings, naming the first that differs.
    """
    path = folder / "config.json"
    if check_same(config, folder):
        return folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        broken = [path for path in (folder, *folder.parents) if path.is_symlink() and not os.path.exists(path)]
        reason = f"{broken[0]} is a link to nothing" if broken else error.strerror
        raise ConfigError(f"{folder}: cannot make the run's folder ({reason})") from None
    commit, dirty = provenance.git_state()
    facts = {
        "git_commit": commit,
        "git_dirty": dirty,
        "package_versions": provenance.package_versions(),
        "device": provenance.device_name(config.train.device),
        "host": platform.node(),
        "precision": resolve_precision(config.train.precision, pick_device(config.train.device)),
    }
    write_atomically(folder / "provenance.json", json.dumps(facts, indent=2).encode())
    write_atomically(path, json.dumps(to_dict(config), indent=2).encode())
    return folder


def read_config(path: Path) -> Config:
    """Reads the config in a file or a run's folder; raises ConfigError if there is none or it is damaged."""
    if path.is_dir() or path.suffix != ".json":
        path = path / "config.json"
    try:
        return from_dict(untrusted.json_value(path.read_bytes()))
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError):  # a retry may mend other errors
        raise ConfigError(f"{path}: cannot be read, so {path.parent} is not a run's folder") from None
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from None


def add_provenance(folder: Path, facts: dict[str, str]) -> None:
    """Adds provenance that is known only when a run starts (render quality, buffer) to ``provenance.json``.

    Raises:
        ConfigError: if the run started with other values, such as frames of another renderer.
    """
    path = folder / "provenance.json"
    saved = read_provenance(folder) if path.exists() else {}
    for name, value in facts.items():
        if saved.get(name, value) != value:
            raise ConfigError(f"{folder}: started with {name} {saved[name]}, here it would go on with {value}")
    if not facts.items() <= saved.items():
        write_atomically(path, json.dumps(saved | facts, indent=2).encode())


def read_provenance(folder: Path) -> dict[str, str]:
    """Reads ``provenance.json``, which ``prepare`` and ``add_provenance`` wrote.

    Raises:
        ConfigError: naming the damaged value. All are texts, except ``git_dirty`` and ``package_versions``.
    """
    path = folder / "provenance.json"
    try:
        saved = untrusted.json_object(path)
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from None
    for name, value in saved.items():
        if name not in ("git_dirty", "package_versions") and not isinstance(value, str):
            raise ConfigError(f"{path}: {name} is {str(value)[:80]}; it must be a text")
    return saved


def write_spec(folder: Path, spec: Spec) -> None:
    """Writes the environment's spec, so that the agent can be loaded without the environment.

    Raises:
        ConfigError: if the run started with another spec.
    """
    path = folder / "spec.json"
    if not path.exists():
        write_atomically(path, json.dumps(spec.to_dict(), indent=2).encode())
    elif (saved := read_spec(folder, "")) != spec:
        raise ConfigError(f"{folder}: started with an environment of {saved}, but here it is {spec}")


def read_spec(folder: Path, task: str) -> Spec:
    """Reads the spec that ``write_spec`` wrote; derives it from the task for a run that is older than the file.

    Raises:
        ConfigError: naming the file, if it is damaged.
    """
    path = folder / "spec.json"
    try:
        return Spec.from_dict(untrusted.json_object(path))
    except FileNotFoundError:
        return legacy.spec_of_task(task)
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from None


class Seconds(NamedTuple):
    """Holds what a run took, in all its processes.

    Attributes:
        wall: seconds that passed.
        cpu: seconds of all threads on processor cores; NaN if that was not measured.
    """

    wall: float
    cpu: float = math.nan


def mark_done(folder: Path, took: Seconds) -> None:
    """Marks the run as complete, and writes the seconds that it took."""
    write_atomically(folder / "done", f"{took.wall:.1f} {took.cpu:.1f}\n".encode())


def mark_failed(folder: Path, status: int) -> None:
    """Marks the run as failed, with its process's exit status. The run's next process removes the mark."""
    write_atomically(folder / "failed", f"{status}\n".encode())


def clear_failed(folder: Path) -> None:
    """Removes the mark of a failure."""
    (folder / "failed").unlink(missing_ok=True)


def has_failed(folder: Path) -> bool:
    """Tells whether the run's last process ended with an error."""
    return (folder / "failed").exists()


def failure_of(folder: Path) -> int | None:
    """Returns the exit status of a failed run; None if the run did not fail or the mark is damaged."""
    try:
        return int((folder / "failed").read_text())
    except (OSError, ValueError):
        return None


def seconds(folder: Path) -> Seconds:
    """Returns what a complete run took.

    Raises:
        ConfigError: if the mark of a complete run is damaged.
    """
    path = folder / "done"
    try:
        return Seconds(*map(float, path.read_text().split()))
    except (ValueError, TypeError):
        raise ConfigError(f"{path}: must hold the seconds that the run took, and does not") from None


def is_done(folder: Path) -> bool:
    """Tells whether the run in the folder is complete."""
    return (folder / "done").exists()


def progress_of(folder: Path) -> int:
    """Returns the latest environment step in the run's metrics; 0 if there are none."""
    line = read_last(folder / "metrics.jsonl")
    return line["step"] if line else 0
