"""A run's folder: its config, written once, and what makes it the same run again."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from hdream_core import provenance
from hdream_core.config import Config, ConfigError
from hdream_core.logger import read_metrics
from hdream_core.precision import pick_device, resolve_precision
from hdream_core.settings import flatten, from_dict
from hdream_core.store import write_atomically

LOCK_SECONDS = 10.0  # a process that was just killed may take a moment to let go


def prepare(config: Config, folder: Path) -> Path:
    """Makes the folder with ``config.json`` and ``provenance.json``, or checks that it holds this very config.

    Raises:
        ConfigError: if the folder belongs to a run with other settings, naming the first that differs.
    """
    path = folder / "config.json"
    if path.exists():
        found, wanted = flatten(read_config(folder)), flatten(config)
        for name, value in wanted.items():
            if found[name] != value:
                raise ConfigError(
                    f"{folder}: holds a run with {name}={found[name]}, not {value}; choose another folder"
                )
        return folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{folder}: cannot make the run's folder ({error.strerror})") from None
    commit, dirty = provenance.git_state()
    facts = {
        "git_commit": commit,
        "git_dirty": dirty,
        "package_versions": provenance.package_versions(),
        "device": provenance.device_name(),
        "precision": resolve_precision(config.train.precision, pick_device()),
    }
    write_atomically(folder / "provenance.json", json.dumps(facts, indent=2).encode())
    write_atomically(path, json.dumps(dataclasses.asdict(config), indent=2).encode())
    return folder


def read_config(folder: Path) -> Config:
    """The config of a run's folder; ConfigError in one line if there is none or it is damaged."""
    path = folder / "config.json"
    try:
        return from_dict(json.loads(path.read_text()))
    except FileNotFoundError:
        raise ConfigError(f"{path}: missing, so {folder} is not a run's folder") from None
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from None


@contextlib.contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Keeps a second process out of the run; a dead process holds no lock. ConfigError if it is taken."""
    guard = FileLock(folder / "lock")
    try:
        guard.acquire(timeout=LOCK_SECONDS)
    except Timeout:
        raise ConfigError(f"{folder}: another process is training this run; wait for it, or stop it first") from None
    try:
        yield
    finally:
        guard.release()


def is_done(folder: Path) -> bool:
    """Whether the run in the folder is complete."""
    return (folder / "done").exists()


def progress_of(folder: Path) -> int:
    """The latest environment step that the run's metrics know of; 0 before the first."""
    return max((line["step"] for line in read_metrics(folder / "metrics.jsonl")), default=0)
