"""HDF5 files with a seal: before the data, as text, the SHA-256 of all of it.

libhdf5 hangs, crashes or takes all memory on some damaged files, where this process could not get a word in. So a
sealed file is compared with its seal before libhdf5 sees it, and one without a seal is first read by a process that may
die. The seal stands in HDF5's own user block, which other readers skip.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py

from hdream_core.support import untrusted
from hdream_core.support.files import write_atomically

BLOCK = 512  # bytes of the user block; HDF5 takes no smaller one
MARK = b"hdream sha256 "
SECONDS = 30  # that the process which may die has
MEMORY = 2**31  # bytes that it may take
WHOLE = 2**26  # bytes up to which it reads all values, not just what describes them


@contextlib.contextmanager
def writing(path: Path, **options: Any) -> Iterator[h5py.File]:
    """A file that is written in memory and, when the block ends, appears under its name, sealed and whole.

    libhdf5 does not take a full disk well, so it never meets one here.
    """
    image = io.BytesIO()
    with h5py.File(image, "w", userblock_size=BLOCK, **options) as file:
        yield file
    data = image.getbuffer()
    mark = MARK + hashlib.sha256(data[BLOCK:]).hexdigest().encode() + b"\n"
    data[: len(mark)] = mark
    write_atomically(path, data)


def create(path: Path, **options: Any) -> h5py.File:
    """A new file to write on disk, if it is too large for memory, with room for a seal."""
    return h5py.File(path, "w", userblock_size=BLOCK, **options)


def seal(path: Path) -> None:
    """Seals a file of ``create`` that has been closed."""
    digest = _digest(path)
    with open(path, "r+b") as file:
        file.write(MARK + digest + b"\n")
        file.flush()
        os.fsync(file.fileno())


def open_to_read(path: Path, **options: Any) -> h5py.File:
    """Opens a file that is what was written, or at least can be read.

    Raises:
        OSError, ValueError: with a short reason, if it is neither.
    """
    with open(path, "rb") as file:
        start = file.read(len(MARK) + 64)
    if not start.startswith(MARK):
        _try_out(path)
    elif start[len(MARK) :] != _digest(path):
        raise ValueError("it has changed since it was written: its SHA-256 is another")
    return h5py.File(path, "r", **options)


def _digest(path: Path) -> bytes:
    with open(path, "rb") as file:
        file.seek(BLOCK)
        return hashlib.file_digest(file, "sha256").hexdigest().encode()


def _try_out(path: Path) -> None:
    """Reads a file in a process of its own, with limits; ValueError if that does not end well."""
    command = [sys.executable, "-m", "hdream_core.support.sealed", str(path.absolute())]
    root = Path(__file__).parents[2]
    try:
        # NumPy's libraries map memory for every processor, which must not count against the file.
        alone = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, cwd=root, env=alone)
    except subprocess.TimeoutExpired:
        raise ValueError("damaged: reading it does not end") from None
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise ValueError(said[-1] if done.returncode == 1 and said else "damaged: reading it crashes")


def _limit_memory() -> None:
    try:
        import resource
    except ImportError:  # Windows has no such limits
        return
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _walk(path: Path) -> None:
    """Reads everything that readers of the file may look at."""
    with h5py.File(path, "r") as file:
        dict(file.attrs)
        for dataset in untrusted.datasets(file).values():
            dict(dataset.attrs)
            dict(dataset.parent.attrs)
            [dimension.label for dimension in dataset.dims]
            if path.stat().st_size > WHOLE:
                continue
            if h5py.check_string_dtype(dataset.dtype) is None:
                untrusted.array(dataset)
            elif dataset.shape == ():
                untrusted.text(dataset)
            else:
                untrusted.strings(dataset)


if __name__ == "__main__":
    _limit_memory()
    try:
        _walk(Path(sys.argv[1]))
    except Exception as error:  # whatever libhdf5 makes of it
        print(f"{type(error).__name__}: {' '.join(str(error).split())[:300]}", file=sys.stderr)
        sys.exit(1)
