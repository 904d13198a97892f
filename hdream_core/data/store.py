"""Stores episodes on disk as flat rows, appended whole, and reads windows of them through the page cache.

The rows of the episode that is being played are kept in memory, and can be read like those on disk.

A store is a folder with one raw file per field and, in ``layout.json``, each field's dtype and row shape. Row 0 of an
episode is the reset frame; row t holds the frame that ``action[t]`` led to and the reward that came with it. The
list of episodes (first row, length) is not a file of the store. A checkpoint carries it, so that rows appended after
the checkpoint do not count. A window is one read per field, or one per piece where its rows are not adjacent. So a
process holds only what it requested, however large the store. The system's page cache keeps what fits, once for all
processes that read the store.
"""

from __future__ import annotations

import json
import math
import os
import re
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from hdream_core.support import untrusted
from hdream_core.support.errors import UserError
from hdream_core.support.files import write_atomically


class StoreError(UserError, ValueError):
    """Reports a store on disk that does not fit what is read from or written to it."""


@dataclass(frozen=True)
class Field:
    """Describes a row of a field: dtype and shape."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def row_bytes(self) -> int:
        """Returns the bytes of a row on disk."""
        return np.dtype(self.dtype).itemsize * int(np.prod(self.shape, dtype=np.int64))


Row = Mapping[str, np.ndarray]


class EpisodeStore:
    """Stores episodes as rows of named fields in a folder. Episodes are appended and never changed.

    Constructing a store changes nothing on disk: the first ``append`` or ``rewind`` makes the folder and its layout.

    Args:
        folder: folder of the store; need not exist.
        fields: layout of the rows; must equal the folder's, if it has one. None reads it from the folder.

    Raises:
        StoreError: if the folder's layout differs from ``fields``, or is missing and ``fields`` is None.
    """

    def __init__(self, folder: str | Path, fields: Mapping[str, Field] | None = None):
        self.folder = Path(folder)
        saved = self._layout_on_disk()
        if fields is None and saved is None:
            raise StoreError(f"{self.folder}: no layout.json, so this is not an episode store")
        self.fields: dict[str, Field] = dict(saved if fields is None else fields)
        self._check(saved)
        self.starts: list[int] = []
        self.lengths: list[int] = []
        self.running: tuple[int, list[Row]] = (0, [])  # first row of the episode that is being played, and its rows
        self._descriptors: dict[str, int] = {}
        weakref.finalize(self, _close, self._descriptors)

    def _layout_on_disk(self) -> dict[str, Field] | None:
        path = self.folder / "layout.json"
        if not path.exists():
            return None
        try:
            layout = untrusted.json_value(path.read_bytes())
            return {untrusted.plain_name(name, "a field"): _field(*kind) for name, kind in layout.items()}
        except (AttributeError, TypeError, ValueError) as error:
            raise StoreError(f"{path}: not a store's layout ({error})") from None

    def _check(self, saved: dict[str, Field] | None) -> None:
        if saved is not None and saved != self.fields:
            raise StoreError(f"{self.folder}: holds {saved}, which differs from the {self.fields} of this run")

    def _make(self) -> None:
        """Makes the folder and its layout, or checks the layout that another process has made meanwhile."""
        saved = self._layout_on_disk()
        self._check(saved)
        if saved is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            text = json.dumps({name: [f.dtype, list(f.shape)] for name, f in self.fields.items()})
            write_atomically(self.folder / "layout.json", text.encode())

    @property
    def rows(self) -> int:
        """Returns the number of rows of all episodes."""
        return self.starts[-1] + self.lengths[-1] if self.starts else 0

    @property
    def episodes(self) -> int:
        """Returns the number of episodes."""
        return len(self.starts)

    def play_on(self, row: Row) -> None:
        """Adds a row to the episode that is being played; nothing is written until ``finish``."""
        self.running[1].append(row)

    def finish(self) -> dict[str, np.ndarray]:
        """Appends the episode that was played; returns its rows by field name.

        A reader in another thread finds every row at any time: on disk, or in the list that it holds.
        """
        rows = self.running[1]
        episode = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
        self.append(episode)
        self.running = (self.rows, [])
        return episode

    def append(self, episode: Mapping[str, np.ndarray]) -> None:
        """Appends one whole episode; every array is ``(rows, ...)`` with the same number of rows.

        Raises:
            StoreError: if a field is missing, or an array's row shape differs from the layout; nothing is written then.
        """
        if set(episode) != set(self.fields):
            raise StoreError(f"episode has fields {sorted(episode)}, the store {sorted(self.fields)}")
        lengths = {len(values) for values in episode.values()}
        if len(lengths) != 1:
            raise StoreError(f"episode's fields have different numbers of rows: {sorted(lengths)}")
        for name, field in self.fields.items():
            if np.shape(episode[name])[1:] != field.shape:
                raise StoreError(f"rows of {name} have shape {np.shape(episode[name])[1:]}, the store {field.shape}")
        self._make()
        start = self.rows
        for name, field in self.fields.items():
            values = np.ascontiguousarray(episode[name], dtype=field.dtype)
            path = self.folder / f"{name}.raw"
            with open(path, "r+b" if path.exists() else "w+b") as file:
                file.seek(start * field.row_bytes)
                file.write(values.data if values.size else b"")
                file.flush()
                os.fsync(file.fileno())  # a checkpoint that lists these rows is synced, too
        self.starts.append(start)
        self.lengths.append(lengths.pop())
        if not self.running[1]:
            self.running = (self.rows, [])

    def windows(self, name: str, starts: np.ndarray, length: int) -> np.ndarray:
        """Reads rows ``s`` to ``s + length`` of a field for every start s: ``(len(starts), length, ...)``.

        Raises:
            StoreError: if the file ends before the last row.
        """
        return self.gather(name, np.asarray(starts, np.int64)[:, None] + np.arange(length))

    def gather(self, name: str, rows: np.ndarray) -> np.ndarray:
        """Reads given rows of a field, ``(B, T)`` indices: ``(B, T, ...)``. Adjacent rows of a window are one read.

        Raises:
            StoreError: if the file ends before the last row.
        """
        field, (windows, length) = self.fields[name], rows.shape
        first, running = self.running
        if running and rows.max(initial=0) >= first:
            return self._gather_running(name, rows, first, running)
        size = os.fstat(self._descriptor(name)).st_size
        if length * field.row_bytes > size:
            raise StoreError(f"{self.folder / name}.raw: {size} bytes, too few for a window of {length} rows")
        out = np.empty((windows * length, *field.shape), field.dtype)
        begins = np.ones(rows.shape, bool)  # where a piece begins: at a row that does not follow its neighbour
        begins[:, 1:] = np.diff(rows) != 1
        flat = rows.ravel()
        for begin, end in pairwise([*np.flatnonzero(begins), len(flat)]):
            self._read(name, int(flat[begin]), out[begin:end])
        return out.reshape(windows, length, *field.shape)

    def _gather_running(self, name: str, rows: np.ndarray, first: int, running: list[Row]) -> np.ndarray:
        """Reads rows of which some belong to the episode that is being played."""
        field, whole = self.fields[name], (rows < first).all(1)
        out = np.empty((*rows.shape, *field.shape), field.dtype)
        if whole.any():
            out[whole] = self.gather(name, rows[whole])
        for i in np.flatnonzero(~whole):
            stored = int((rows[i] < first).sum())  # rows of a window ascend
            if stored:
                out[i, :stored] = self.gather(name, rows[i : i + 1, :stored])[0]
            out[i, stored:] = [running[row - first][name] for row in rows[i, stored:]]
        return out

    def _read(self, name: str, start: int, out: np.ndarray) -> None:
        # Not memory-mapped: the pages of a map count as this process's memory, soon 2.8 GB with 250,000 steps.
        offset = start * self.fields[name].row_bytes
        read = os.preadv(self._descriptor(name), [out.data.cast("B")], offset) if out.size else 0
        if read != out.nbytes:
            raise StoreError(
                f"{self.folder / name}.raw: is shorter than its episodes; it ends before row {start + len(out)}"
            )

    def _descriptor(self, name: str) -> int:
        if name not in self._descriptors:
            path = self.folder / f"{name}.raw"
            if not path.exists():
                raise StoreError(f"{path}: is missing")
            self._descriptors[name] = os.open(path, os.O_RDONLY)
        return self._descriptors[name]

    def episode(self, index: int) -> dict[str, np.ndarray]:
        """Reads one episode's rows, by field name."""
        start, length = self.starts[index], self.lengths[index]
        return {name: self.windows(name, np.array([start]), length)[0] for name in self.fields}

    def position(self) -> np.ndarray:
        """Returns what a checkpoint saves: ``(episodes, 2)`` int64, each episode's first row and length."""
        return np.array([self.starts, self.lengths], np.int64).T.reshape(-1, 2)

    def set_position(self, position: np.ndarray) -> None:
        """Sets the list of episodes to a saved position; files stay as they are.

        Raises:
            StoreError: if a file does not hold all rows of the position.
        """
        position = self._checked(np.asarray(position))
        self.starts, self.lengths = ([int(x) for x in column] for column in position.T)
        self.running = (self.rows, [])
        for name, field in self.fields.items():
            path, size = self.folder / f"{name}.raw", self.rows * field.row_bytes
            size_on_disk = path.stat().st_size if path.exists() else 0
            if size_on_disk < size:
                raise StoreError(f"{path}: holds {size_on_disk} bytes, {size} are needed; rows have been lost")

    def rewind(self, position: np.ndarray) -> None:
        """Restores a saved position and truncates the files after it. Only the process that writes the store may do so.

        Raises:
            StoreError: as ``set_position``.
        """
        self.set_position(position)
        self._make()
        for name, field in self.fields.items():
            path = self.folder / f"{name}.raw"
            if path.exists():
                os.truncate(path, self.rows * field.row_bytes)

    def _checked(self, position: np.ndarray) -> np.ndarray:
        if position.ndim == 2 and position.shape[1] == 2 and position.dtype.kind == "i":
            starts, lengths = position.T
            if (lengths > 0).all() and np.array_equal(starts, np.cumsum(lengths) - lengths):
                return position
        raise StoreError(f"{self.folder}: the saved position is not a list of consecutive episodes")


def _field(dtype: str, shape: list[int]) -> Field:
    number = isinstance(dtype, str) and re.fullmatch("[<>|][biuf][1248]", dtype)
    if not number or any(type(length) is not int or length < 0 for length in shape):
        raise ValueError(f"{dtype} {shape} is not a row of numbers")
    if math.prod(shape) * np.dtype(dtype).itemsize > untrusted.LARGEST:
        raise ValueError(f"a row of {shape} {dtype} is over {untrusted.LARGEST} bytes")
    return Field(np.dtype(dtype).str, tuple(shape))


def _close(descriptors: dict[str, int]) -> None:
    for descriptor in descriptors.values():
        os.close(descriptor)
