"""Stores episodes on disk as flat rows, appended whole, and reads windows of them through the page cache.

A store is a folder with one raw file per field and, in ``layout.json``, each field's dtype and row shape. Row 0 of an
episode is the reset frame; row t holds the frame that ``action[t]`` led to and the reward that came with it. The
list of episodes (first row, length) is not a file of the store: a checkpoint carries it, so that what was appended
after the checkpoint never happened. A window is one read per field (one per piece, where its rows lie apart), so a
process holds what it asked for and no more, however large the store; the system's page cache keeps what fits, once for
all processes that read the store.
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
    """Says that a store on disk does not fit what is read from or written to it."""


@dataclass(frozen=True)
class Field:
    """Describes one row of a field: dtype and shape."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def row_bytes(self) -> int:
        """Returns the bytes that a row takes on disk."""
        return np.dtype(self.dtype).itemsize * int(np.prod(self.shape, dtype=np.int64))


class EpisodeStore:
    """Keeps episodes as rows of named fields in a folder; they are appended, never changed.

    Constructing one changes nothing on disk: the first ``append`` or ``rewind`` makes the folder and its layout.

    Args:
        folder: of the store; need not exist.
        fields: row layout; must equal what the folder already holds. None reads it from the folder.

    Raises:
        StoreError: if the folder's layout differs from ``fields``, or is missing where ``fields`` is None.
    """

    def __init__(self, folder: str | Path, fields: Mapping[str, Field] | None = None):
        self.folder = Path(folder)
        found = self._layout_on_disk()
        if fields is None and found is None:
            raise StoreError(f"{self.folder}: no layout.json, so this is not an episode store")
        self.fields: dict[str, Field] = dict(found if fields is None else fields)
        self._check(found)
        self.starts: list[int] = []
        self.lengths: list[int] = []
        self._descriptors: dict[str, int] = {}
        weakref.finalize(self, _close, self._descriptors)

    def _layout_on_disk(self) -> dict[str, Field] | None:
        path = self.folder / "layout.json"
        if not path.exists():
            return None
        try:
            found = untrusted.json_value(path.read_bytes())
            return {untrusted.plain_name(name, "a field"): _field(*kind) for name, kind in found.items()}
        except (AttributeError, TypeError, ValueError) as error:
            raise StoreError(f"{path}: not a store's layout ({error})") from None

    def _check(self, found: dict[str, Field] | None) -> None:
        if found is not None and found != self.fields:
            raise StoreError(f"{self.folder}: holds {found}, which differs from the {self.fields} of this run")

    def _make(self) -> None:
        """Makes the folder and its layout, or checks the layout that somebody has made since."""
        found = self._layout_on_disk()
        self._check(found)
        if found is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            text = json.dumps({name: [f.dtype, list(f.shape)] for name, f in self.fields.items()})
            write_atomically(self.folder / "layout.json", text.encode())

    @property
    def rows(self) -> int:
        """Counts the rows that the episodes take."""
        return self.starts[-1] + self.lengths[-1] if self.starts else 0

    @property
    def episodes(self) -> int:
        """Counts the episodes."""
        return len(self.starts)

    def append(self, episode: Mapping[str, np.ndarray]) -> None:
        """Adds one whole episode; every array is ``(rows, ...)`` of the same number of rows.

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
                os.fsync(file.fileno())  # a checkpoint that counts on these rows is synced, too
        self.starts.append(start)
        self.lengths.append(lengths.pop())

    def windows(self, name: str, starts: np.ndarray, length: int) -> np.ndarray:
        """Reads rows ``s`` to ``s + length`` of a field for every start s: ``(len(starts), length, ...)``.

        Raises:
            StoreError: if the file ends before the last of them.
        """
        return self.gather(name, np.asarray(starts, np.int64)[:, None] + np.arange(length))

    def gather(self, name: str, rows: np.ndarray) -> np.ndarray:
        """Reads any rows of a field, ``(B, T)`` indices: ``(B, T, ...)``. Rows of a window that adjoin are one read.

        Raises:
            StoreError: if the file ends before the last of them.
        """
        field, (windows, length) = self.fields[name], rows.shape
        size = os.fstat(self._descriptor(name)).st_size
        if length * field.row_bytes > size:
            raise StoreError(f"{self.folder / name}.raw: {size} bytes, too few for a window of {length} rows")
        out = np.empty((windows * length, *field.shape), field.dtype)
        begins = np.ones(rows.shape, bool)  # a piece: where a row is not the one after its neighbour
        begins[:, 1:] = np.diff(rows) != 1
        flat = rows.ravel()
        for begin, end in pairwise([*np.flatnonzero(begins), len(flat)]):
            self._read(name, int(flat[begin]), out[begin:end])
        return out.reshape(windows, length, *field.shape)

    def _read(self, name: str, start: int, out: np.ndarray) -> None:
        # Not memory-mapped: the pages of a map count as this process's memory, 2.8 GB soon with 250,000 steps.
        offset = start * self.fields[name].row_bytes
        got = os.preadv(self._descriptor(name), [out.data.cast("B")], offset) if out.size else 0
        if got != out.nbytes:
            raise StoreError(
                f"{self.folder / name}.raw: is shorter than its episodes, it ends before row {start + len(out)}"
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

    def read_to(self, position: np.ndarray) -> None:
        """Takes the episodes of a saved position as those that are there; files stay as they are.

        Raises:
            StoreError: if a file does not hold all the rows of the position.
        """
        position = self._checked(np.asarray(position))
        self.starts, self.lengths = ([int(x) for x in column] for column in position.T)
        for name, field in self.fields.items():
            path, size = self.folder / f"{name}.raw", self.rows * field.row_bytes
            found = path.stat().st_size if path.exists() else 0
            if found < size:
                raise StoreError(f"{path}: holds {found} bytes, {size} are needed; rows have been lost")

    def rewind(self, position: np.ndarray) -> None:
        """Goes back to a saved position and cuts off the rows beyond it, for who writes here; else as ``read_to``."""
        self.read_to(position)
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
        raise StoreError(f"{self.folder}: the saved position is no list of episodes that lie one after the other")


def _field(dtype: str, shape: list[int]) -> Field:
    number = isinstance(dtype, str) and re.fullmatch("[<>|][biuf][1248]", dtype)
    if not number or any(type(length) is not int or length < 0 for length in shape):
        raise ValueError(f"{dtype} {shape} is no row of numbers")
    if math.prod(shape) * np.dtype(dtype).itemsize > untrusted.LARGEST:
        raise ValueError(f"a row of {shape} {dtype} is over {untrusted.LARGEST} bytes")
    return Field(np.dtype(dtype).str, tuple(shape))


def _close(descriptors: dict[str, int]) -> None:
    for descriptor in descriptors.values():
        os.close(descriptor)
