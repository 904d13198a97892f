"""Writes and reads result files: netCDF 4, schema version 2, written atomically and checked on write and on read.

In memory every metric is a dense array ``(method, seed, step)`` (or with ``window`` or ``log_step`` instead of
``step``), NaN where missing. ``layout`` turns it into the variables of a file. Values are raw, one for each seed;
intervals are stored with their method and the seed of resampling. ``figures`` reads only these files. Files of schema 1
are read, too.
"""

from __future__ import annotations

import contextlib
import datetime
import io
import json
import math
import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from analysis.results import layout, netcdf
from hdream_core.support import sealed, untrusted
from hdream_core.support.errors import UserError

SCHEMA_VERSION = 2
LARGEST = 2**28  # bytes of all arrays of a result together
STALE = 3600.0  # seconds; an older temporary file is a leftover
SCALES = ("paper", "reduced", "miniature", "twin")
SHIPPED = Path(__file__).parents[2] / "figures" / "data"
CONTENTS = "contents.txt"  # lists the result files that a folder must have
PAPER = "Ma et al., HarmonyDream: Task Harmonization Inside World Models, ICML 2024"
ATTRIBUTES: dict[str, type] = {
    "schema_version": int,
    "paper": str,
    "study": str,
    "command": str,
    "git_commit": str,
    "git_dirty": bool,
    "package_versions": str,
    "device": str,
    "created_utc": str,
    "scale": str,
    "preset": str,
    "task": str,
    "buffer_sha256": str,
    "wall_seconds": float,
}
FLAGS = {"git_dirty", "complete"}  # boolean attributes; netCDF stores 0 and 1
PLAIN = re.compile(r"\w[\w.=,+-]*(/\w[\w.=,+-]*)*")  # a metric's name: words with slashes between them


class ResultError(UserError, ValueError):
    """Says that a result file breaks the schema; the message names file and field."""


@dataclass
class Result:
    """Holds a study's result.

    Attributes:
        attributes: root attributes, all of ``ATTRIBUTES``.
        axes: coordinates by axis name, e.g. ``method`` (strings), ``seed``, ``step``.
        data: arrays by metric name, each with the names of its axes.
        config: full configs by method.
        notes: further facts, plain values (intervals, protocol).
    """

    attributes: dict[str, Any]
    axes: dict[str, np.ndarray]
    data: dict[str, tuple[tuple[str, ...], np.ndarray]]
    config: dict[str, Any] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)

    @property
    def methods(self) -> list[str]:
        """Returns the methods by name; none if the result has no such axis."""
        return [str(method) for method in self.axes.get("method", ())]

    def values(self, name: str) -> np.ndarray:
        """Returns the array of a metric."""
        return self.data[name][1]


def asked_for(result: Result, name: str) -> int | None:
    """Returns the number of ``segments``, ``windows`` ... that was asked for when a result was made; None if not known.

    Older files have no note ``asked``; there only a flag in the command tells it.
    """
    noted = result.notes.get("asked")
    if isinstance(noted, dict) and isinstance(noted.get(name), int):
        return noted[name]
    given = re.search(rf"--{re.escape(name)} (\d{{1,9}})\b", result.attributes["command"])
    return int(given[1]) if given else None


def fewer(result: Result, number: int, name: str) -> str:
    """Returns ``100 of 1,000 segments asked for`` if a result has fewer than that; else an empty text."""
    asked = asked_for(result, name)
    return f"{number:,} of {asked:,} {name} asked for" if asked is not None and number < asked else ""


def now_utc() -> str:
    """Returns the current time for ``created_utc``."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def save(result: Result, path: Path) -> Path:
    """Checks a result and writes it atomically; returns the path.

    Raises:
        ResultError: if it breaks the schema, naming the field; nothing is written then.
    """
    check(result, str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    real = Path(os.path.realpath(path))  # where a link leads
    for leftover in real.parent.glob(f".{real.name}.*.tmp"):  # from processes that were killed
        with contextlib.suppress(FileNotFoundError):
            if time.time() - leftover.stat().st_mtime > STALE:
                leftover.unlink()
    sealed.write(path, _image(result))
    return path


def _image(result: Result) -> io.BytesIO:
    groups, notes = layout.pack(result.axes, result.data, result.notes, result.attributes["task"])
    texts = {"config": result.config, "notes": notes}
    texts = {name: json.dumps(_without_nan(value), sort_keys=True, allow_nan=False) for name, value in texts.items()}
    return netcdf.image(groups, result.attributes | texts | sealed.SEAL_ATTRIBUTE)


def load(path: str | Path) -> Result:
    """Reads and checks a result file.

    Raises:
        ResultError: naming file and field.
    """
    path = Path(path)
    if not path.exists():
        kind = f"a link to nothing ({os.readlink(path)})" if path.is_symlink() else "no such result file"
        raise ResultError(f"{path}: {kind}")
    where = f"{path}: not a result file of schema {SCHEMA_VERSION}"
    with untrusted.expecting(where, ResultError), sealed.open_to_read(path) as file:
        datasets = untrusted.datasets(file)
        if (size := sum(dataset.nbytes for dataset in datasets.values())) > LARGEST:
            raise ValueError(f"its arrays claim {size} bytes, over {LARGEST}")
        about = untrusted.attributes(file, longest=untrusted.LONGEST)
        if about.get("schema_version") == 1:
            result = Result(about | {"schema_version": SCHEMA_VERSION}, *netcdf.read_schema_1(datasets))
        else:
            result = _read(about, datasets)
    check(result, str(path))
    return result


def _read(about: dict[str, Any], datasets: Mapping[str, h5py.Dataset]) -> Result:
    config, notes = (untrusted.json_value(about.pop(name)) for name in ("config", "notes"))
    for name in FLAGS & about.keys():
        about[name] = bool(about[name])
    hidden = {*sealed.SEAL_ATTRIBUTE, *(name for name in about if name.startswith("_"))}
    about = {name: value for name, value in about.items() if name not in hidden}
    axes, data, notes = layout.unpack(netcdf.read(datasets), notes)
    return Result(about, axes, data, config, notes)


def files_of(folder: Path) -> list[Path]:
    """Lists a folder's result files by name; a file that has several names by links counts once.

    Raises:
        ResultError: if there is no such folder, or a file is missing that its ``contents.txt`` names.
    """
    if not folder.is_dir():
        raise ResultError(f"{folder}: no such folder of results")
    contents = folder / CONTENTS
    expected = contents.read_text().split() if contents.exists() or folder == SHIPPED else []
    if lost := [name for name in expected if not (folder / name).exists()]:
        raise ResultError(f"{folder}: {', '.join(lost)} is missing, which {CONTENTS} there names")
    files: dict[object, Path] = {}
    for path in sorted(folder.glob("*.h5"), key=lambda path: (path.is_symlink(), path.name)):
        files.setdefault(_identity(path), path)
    return sorted(files.values())


def _identity(path: Path) -> object:
    """Returns what all names of one file share; for a broken link, the path itself."""
    try:
        status = path.stat()
    except OSError:
        return path
    return status.st_dev, status.st_ino


def using(source: str | Path) -> contextlib.AbstractContextManager[None]:
    """Turns errors in the block into a ResultError that names the file: the result lacks what the block reads."""
    return untrusted.expecting(f"{source}: not what this study writes", ResultError)


def _without_nan(value: Any) -> Any:
    """Returns a value with None for NaN, as JSON needs it."""
    if isinstance(value, dict):
        return {name: _without_nan(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def check(result: Result, where: str) -> None:
    """Raises ResultError if a result breaks the schema, naming ``where`` and the field."""
    for name, kind in ATTRIBUTES.items():
        value = result.attributes.get(name)
        if value is None:
            raise ResultError(f"{where}: attribute {name} is missing")
        if not isinstance(value, (int, float) if kind is float else kind):
            raise ResultError(f"{where}: attribute {name} is {value!r}, not of type {kind.__name__}")
    if result.attributes["schema_version"] != SCHEMA_VERSION:
        raise ResultError(
            f"{where}: schema_version is {result.attributes['schema_version']}, this code reads {SCHEMA_VERSION}"
        )
    if result.attributes["scale"] not in SCALES:
        raise ResultError(f"{where}: scale is {result.attributes['scale']!r}, must be one of {', '.join(SCALES)}")
    for name, values in result.axes.items():
        if values.ndim != 1:
            raise ResultError(f"{where}: axes/{name} has shape {values.shape}, must be a list")
    for name, value in result.attributes.items():
        if not isinstance(value, str | int | float):
            raise ResultError(f"{where}: attribute {name} is {value!r}, must be a text or a number")
    for name in result.data:
        if not PLAIN.fullmatch(name) or any(other.startswith(f"{name}/") for other in result.data):
            raise ResultError(f"{where}: data/{name} cannot be a metric's name")
    for name, (axes, values) in result.data.items():
        _check_metric(name, axes, values, result.axes, where)


def _check_metric(
    name: str, axes: tuple[str, ...], values: np.ndarray, known: Mapping[str, np.ndarray], where: str
) -> None:
    missing = [axis for axis in axes if axis not in known]
    if missing:
        raise ResultError(f"{where}: data/{name} has axis {missing[0]!r}, which is not among {', '.join(known)}")
    expected = tuple(len(known[axis]) for axis in axes)
    if values.shape != expected:
        raise ResultError(f"{where}: data/{name} has shape {values.shape}, its axes {', '.join(axes)} have {expected}")
    if values.dtype.kind not in "fiu":
        raise ResultError(f"{where}: data/{name} has dtype {values.dtype}, must be numeric")
