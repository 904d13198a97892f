"""The result files: netCDF 4 in HDF5, schema version 2, written whole and checked on write and on read.

In memory every metric is a dense array ``(method, seed, step)`` (or with ``window`` or ``log_step`` in the place of
``step``), NaN where missing. ``layout`` says what the file makes of it. Raw per-seed values always; intervals are
stored beside them with their method and the seed of resampling. ``figures`` reads these files and nothing else. Files
of schema 1 are read, too (``schema1``).
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

from analysis.results import layout, netcdf, schema1
from hdream_core.support import sealed, untrusted
from hdream_core.support.errors import UserError

SCHEMA_VERSION = 2
LARGEST = 2**28  # bytes of all arrays of a result together
STALE = 3600.0  # seconds after which nobody is still writing a result
SCALES = ("paper", "reduced", "miniature", "twin")
SHIPPED = Path(__file__).parents[2] / "figures" / "data"
CONTENTS = "contents.txt"  # names the result files that a folder must hold, one a line
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
FLAGS = {"git_dirty", "complete"}  # attributes that are booleans, which netCDF has not


# A metric's name, perhaps in groups.
PLAIN = re.compile(r"\w[\w.=,+-]*(/\w[\w.=,+-]*)*")


class ResultError(UserError, ValueError):
    """A result file breaks the schema; the message names file and field."""


@dataclass
class Result:
    """One study's result in memory.

    Attributes:
        attributes: root attributes, all of ``ATTRIBUTES``.
        axes: coordinates by axis name, e.g. ``method`` (strings), ``seed``, ``step``.
        data: arrays by metric name, each with the names of its axes.
        config: full configs by method.
        notes: further facts of the study, plain values (intervals, protocol).
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
    """How many of something the command that made a result asked for: ``segments``, ``windows`` ...; None if not known.

    Files from before the note ``asked`` tell it only where the command has a flag for it.
    """
    noted = result.notes.get("asked")
    if isinstance(noted, dict) and isinstance(noted.get(name), int):
        return noted[name]
    given = re.search(rf"--{re.escape(name)} (\d{{1,9}})\b", result.attributes["command"])
    return int(given[1]) if given else None


def fewer(result: Result, number: int, name: str) -> str:
    """``100 of 1,000 segments asked for`` where a result has fewer than that; else nothing."""
    asked = asked_for(result, name)
    return f"{number:,} of {asked:,} {name} asked for" if asked is not None and number < asked else ""


def now_utc() -> str:
    """The current time for ``created_utc``."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def save(result: Result, path: Path) -> Path:
    """Checks the result and writes it under a temporary name, then renames.

    Raises:
        ResultError: naming the field that breaks the schema; nothing is written then.
    """
    check(result, str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    real = Path(os.path.realpath(path))  # where a link leads
    for left in real.parent.glob(f".{real.name}.*.tmp"):  # of processes that were killed while they wrote
        with contextlib.suppress(FileNotFoundError):
            if time.time() - left.stat().st_mtime > STALE:
                left.unlink()
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
        found = untrusted.datasets(file)
        if (size := sum(dataset.nbytes for dataset in found.values())) > LARGEST:
            raise ValueError(f"its arrays claim {size} bytes, over {LARGEST}")
        about = untrusted.attributes(file, longest=untrusted.LONGEST)
        result = _read_first(about, found) if about.get("schema_version") == 1 else _read(about, found)
    check(result, str(path))
    return result


def _read(about: dict[str, Any], found: Mapping[str, h5py.Dataset]) -> Result:
    config, notes = (untrusted.json_value(about.pop(name)) for name in ("config", "notes"))
    for name in FLAGS & about.keys():
        about[name] = bool(about[name])
    about = {
        name: value for name, value in about.items() if name not in sealed.SEAL_ATTRIBUTE and not name.startswith("_")
    }
    axes, data, notes = layout.unpack(netcdf.read(found), notes)
    return Result(about, axes, data, config, notes)


def _read_first(about: dict[str, Any], found: Mapping[str, h5py.Dataset]) -> Result:
    return Result(about | {"schema_version": SCHEMA_VERSION}, *schema1.read(found))


def files_of(folder: Path) -> list[Path]:
    """Lists a folder's result files by name; a file that links give several names counts once, by its own.

    Raises:
        ResultError: if there is no such folder, or a file is missing that its ``contents.txt`` names.
    """
    if not folder.is_dir():
        raise ResultError(f"{folder}: no such folder of results")
    contents = folder / CONTENTS
    expected = contents.read_text().split() if contents.exists() or folder == SHIPPED else []
    if lost := [name for name in expected if not (folder / name).exists()]:
        raise ResultError(f"{folder}: {', '.join(lost)} is missing, which {CONTENTS} there names")
    found: dict[object, Path] = {}
    for path in sorted(folder.glob("*.h5"), key=lambda path: (path.is_symlink(), path.name)):
        found.setdefault(_identity(path), path)
    return sorted(found.values())


def _identity(path: Path) -> object:
    """What two names of one file share; of a link that leads to nothing, itself."""
    try:
        status = path.stat()
    except OSError:
        return path
    return status.st_dev, status.st_ino


def using(source: str | Path) -> contextlib.AbstractContextManager[None]:
    """Raises ResultError, naming the file, where what is done with a result needs more of it than the schema asks."""
    return untrusted.expecting(f"{source}: not what this study writes", ResultError)


def _without_nan(value: Any) -> Any:
    """JSON has no NaN: null stands for it."""
    if isinstance(value, dict):
        return {name: _without_nan(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def check(result: Result, where: str) -> None:
    """Raises ResultError, naming ``where`` and the field, unless the result fits the schema."""
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
