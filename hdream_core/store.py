"""Episodes on disk as flat rows of uint8 and float32, appended whole and read through the page cache.

A store is a folder with one raw file per field and, in ``layout.json``, each field's dtype and row shape. Row 0 of an
episode is the reset frame; row t holds the frame that ``action[t]`` led to and the reward that came with it. The
list of episodes (first row, length) is not a file of the store: a checkpoint carries it, so that what was appended
after the checkpoint never happened. Memory use does not grow with the store: rows are memory-mapped, and several
processes that read one store share its pages.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np


class StoreError(ValueError):
    """A store on disk does not fit what is read from or written to it."""


@dataclass(frozen=True)
class Field:
    """dtype and shape of one row of a field."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def row_bytes(self) -> int:
        return np.dtype(self.dtype).itemsize * int(np.prod(self.shape, dtype=np.int64))


class EpisodeStore:
    """Append-only rows of named fields.

    Args:
        folder: created if need be.
        fields: row layout; must equal what the folder already holds. None reads it from the folder.

    Raises:
        StoreError: if the folder's layout differs from ``fields``, or is missing where ``fields`` is None.
    """

    def __init__(self, folder: str | Path, fields: Mapping[str, Field] | None = None):
        self.folder = Path(folder)
        layout = self.folder / "layout.json"
        found = self._read_layout(layout) if layout.exists() else None
        if fields is None and found is None:
            raise StoreError(f"{self.folder}: no layout.json, so this is not an episode store")
        if fields is not None and found is not None and dict(fields) != found:
            raise StoreError(f"{self.folder}: holds {found}, which differs from the {dict(fields)} of this run")
        self.fields: dict[str, Field] = dict(fields or found or {})
        if found is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            text = json.dumps({name: [f.dtype, list(f.shape)] for name, f in self.fields.items()})
            write_atomically(layout, text.encode())
        self.starts: list[int] = []
        self.lengths: list[int] = []
        self._maps: dict[str, np.ndarray] = {}

    @staticmethod
    def _read_layout(path: Path) -> dict[str, Field]:
        return {name: Field(dtype, tuple(shape)) for name, (dtype, shape) in json.loads(path.read_text()).items()}

    @property
    def rows(self) -> int:
        """Rows that the episodes take."""
        return self.starts[-1] + self.lengths[-1] if self.starts else 0

    @property
    def episodes(self) -> int:
        return len(self.starts)

    def append(self, episode: Mapping[str, np.ndarray]) -> None:
        """Adds one whole episode; every array is ``(rows, ...)`` of the same number of rows.

        Raises:
            StoreError: if a field is missing, or an array's row shape differs from the layout.
        """
        if set(episode) != set(self.fields):
            raise StoreError(f"episode has fields {sorted(episode)}, the store {sorted(self.fields)}")
        lengths = {len(values) for values in episode.values()}
        if len(lengths) != 1:
            raise StoreError(f"episode's fields have different numbers of rows: {sorted(lengths)}")
        start = self.rows
        for name, field in self.fields.items():
            values = np.ascontiguousarray(episode[name], dtype=field.dtype)
            if values.shape[1:] != field.shape:
                raise StoreError(f"rows of {name} have shape {values.shape[1:]}, the store {field.shape}")
            path = self.folder / f"{name}.raw"
            with open(path, "r+b" if path.exists() else "w+b") as file:
                file.seek(start * field.row_bytes)
                file.write(values.data if values.size else b"")
        self.starts.append(start)
        self.lengths.append(lengths.pop())
        self._maps.clear()  # the files grew; map them again when next read

    def field(self, name: str) -> np.ndarray:
        """All rows of a field, ``(rows, ...)``, memory-mapped read-only."""
        if name not in self._maps:
            field = self.fields[name]
            path = self.folder / f"{name}.raw"
            needed = self.rows * field.row_bytes
            if not path.exists() or path.stat().st_size < needed:
                raise StoreError(f"{path}: is shorter than the {needed} bytes that its episodes need")
            self._maps[name] = np.memmap(path, field.dtype, "r", shape=(self.rows, *field.shape))
        return self._maps[name]

    def episode(self, index: int) -> dict[str, np.ndarray]:
        """One episode's rows by field name, views of the memory maps."""
        rows = slice(self.starts[index], self.starts[index] + self.lengths[index])
        return {name: self.field(name)[rows] for name in self.fields}

    def position(self) -> np.ndarray:
        """``(episodes, 2)`` int64 of first row and length: what a checkpoint saves."""
        return np.array([self.starts, self.lengths], np.int64).T.reshape(-1, 2)

    def rewind(self, position: np.ndarray) -> None:
        """Goes back (or, on a fresh object, forward) to a saved position and drops the rows beyond it."""
        self.starts, self.lengths = ([int(x) for x in column] for column in np.asarray(position).reshape(-1, 2).T)
        self._maps.clear()
        for name, field in self.fields.items():
            path = self.folder / f"{name}.raw"
            if path.exists() and path.stat().st_size > self.rows * field.row_bytes:
                os.truncate(path, self.rows * field.row_bytes)


def write_atomically(path: Path, data: bytes) -> None:
    """Writes under a temporary name in the same folder, syncs, then renames: readers see all of it or none."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
