"""HDF5 files with a seal: the SHA-256 checksum of their content.

libhdf5 hangs, crashes or takes all memory on some damaged files, and Python cannot catch that. So a sealed file is
compared with its checksum before libhdf5 opens it, and one without a seal is first read in a subprocess, which may
crash. The checksum is text in HDF5's own user block, which other readers skip.
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

BLOCK = 512  # bytes of the user block, the fewest that HDF5 allows
MARK = b"hdream sha256 "
SECONDS = 30  # time limit of the subprocess
MEMORY = 2**31  # bytes, memory limit of the subprocess
WHOLE = 2**26  # bytes of a file; in a larger one the subprocess reads the metadata only, no values


@contextlib.contextmanager
def writing(path: Path, **options: Any) -> Iterator[h5py.File]:
    """Builds a file in memory; when the block ends, seals it and writes it atomically.

    libhdf5 handles a full disk badly, so it never writes to the disk here.
    """
    image = io.BytesIO()
    with h5py.File(image, "w", userblock_size=BLOCK, **options) as file:
        yield file
    data = image.getbuffer()
    mark = MARK + hashlib.sha256(data[BLOCK:]).hexdigest().encode() + b"\n"
    data[: len(mark)] = mark
    write_atomically(path, data)


def create(path: Path, **options: Any) -> h5py.File:
    """Creates a file on disk, for content too large for memory, with room for a seal."""
    return h5py.File(path, "w", userblock_size=BLOCK, locking=False, **options)  # renamed into place when it is whole


def seal(path: Path) -> None:
    """Seals a file that ``create`` made and the caller has closed."""
    digest = _digest(path)
    with open(path, "r+b") as file:
        file.write(MARK + digest + b"\n")
        file.flush()
        os.fsync(file.fileno())


def open_to_read(path: Path, **options: Any) -> h5py.File:
    """Opens a file after comparing it with its seal or, if it has none, reading it in a subprocess.

    Raises:
        OSError, ValueError: with a short reason, if the file has changed or cannot be read.
    """
    with open(path, "rb") as file:
        header = file.read(len(MARK) + 64)
    if not header.startswith(MARK):
        _read_in_subprocess(path)
    elif header[len(MARK) :] != _digest(path):
        raise ValueError("it has changed since it was written: its SHA-256 does not match its seal")
    return h5py.File(path, "r", locking=False, **options)


def _digest(path: Path) -> bytes:
    with open(path, "rb") as file:
        file.seek(BLOCK)
        return hashlib.file_digest(file, "sha256").hexdigest().encode()


def _read_in_subprocess(path: Path) -> None:
    """Reads a file in a subprocess with limits of time and memory; raises ValueError if that fails."""
    command = [sys.executable, "-m", "hdream_core.support.sealed", str(path.absolute())]
    root = Path(__file__).parents[2]
    try:
        # NumPy's libraries map memory for every core, which must not count against the limit.
        env = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        process = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, cwd=root, env=env)
    except subprocess.TimeoutExpired:
        raise ValueError("damaged: reading it does not end") from None
    if process.returncode:
        lines = process.stderr.strip().splitlines()
        raise ValueError(lines[-1] if process.returncode == 1 and lines else "damaged: reading it crashes")


def _limit_memory() -> None:
    try:
        import resource
    except ImportError:  # Windows has no such limits
        return
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _read_all(path: Path) -> None:
    """Reads everything that readers of the file may read."""
    with h5py.File(path, "r", locking=False) as file:
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
        _read_all(Path(sys.argv[1]))
    except Exception as error:  # libhdf5 raises many types for a damaged file
        print(f"{type(error).__name__}: {' '.join(str(error).split())[:300]}", file=sys.stderr)
        sys.exit(1)
