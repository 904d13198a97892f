"""Writes and opens HDF5 files with a seal: the SHA-256 checksum of their content.

libhdf5 hangs, crashes or takes all memory on some damaged files, and Python cannot catch that. So a sealed file is
compared with its checksum before libhdf5 opens it. A file without a seal is first read in a subprocess, which may
crash. The checksum is a line of text after the end of the HDF5 content, which other readers ignore. HDF5 truncates it
when it changes a file, so an attribute of the root records that there was one. Older files have the seal in front, in
HDF5's own user block.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import h5py

from hdream_core.support import untrusted
from hdream_core.support.files import write_atomically

MARK = b"hdream sha256 "
LINE = len(MARK) + 64 + 1  # bytes of a seal
SEAL_ATTRIBUTE = {"seal": "SHA-256, after the end of the HDF5 content"}  # of the root
CHANGED = "it has changed since it was written"
BLOCK = 512  # bytes of the user block of older files
SIGNATURE = b"\x89HDF\r\n\x1a\n"
END_AT = {0: 40, 1: 44, 2: 28, 3: 28}  # by version of the superblock: offset of the number of bytes of content
SECONDS = 30  # time limit of the subprocess
MEMORY = 2**31  # bytes, memory limit of the subprocess
WHOLE = 2**26  # bytes; of a larger file the subprocess reads only the metadata, no values


@contextlib.contextmanager
def writing(path: Path, **options: Any) -> Iterator[h5py.File]:
    """Builds a file in memory; when the block ends, seals it and writes it atomically.

    libhdf5 handles a full disk badly, so it never writes to the disk here.
    """
    image = io.BytesIO()
    with h5py.File(image, "w", **options) as file:
        file.attrs.update(SEAL_ATTRIBUTE)
        yield file
    write(path, image)


def write(path: Path, image: io.BytesIO) -> None:
    """Seals an HDF5 file in memory, whose root has ``SEAL_ATTRIBUTE``, and writes it atomically."""
    line = _line(hashlib.sha256(image.getbuffer()))
    image.seek(0, os.SEEK_END)
    image.write(line)
    write_atomically(path, image.getbuffer())


def create(path: Path, **options: Any) -> h5py.File:
    """Creates a file on disk, for content too large for memory. Call ``seal`` when it is closed."""
    file = h5py.File(path, "w", locking=False, **options)  # the caller renames it when it is complete
    file.attrs.update(SEAL_ATTRIBUTE)
    return file


def seal(path: Path) -> None:
    """Seals a closed file; replaces an earlier seal."""
    with open(path, "r+b") as file:
        end, size = _end(file), file.seek(0, os.SEEK_END)
        if end is None or end > size:
            raise ValueError(f"{path}: not a complete HDF5 file that begins at its first byte")
        file.truncate(end)
        digest = _digest(file, 0, end)
        file.seek(end)
        file.write(_line(digest))
        file.flush()
        os.fsync(file.fileno())


def open_to_read(path: Path, **options: Any) -> h5py.File:
    """Opens a file after comparing it with its seal or, if it has none, reading it in a subprocess.

    Raises:
        OSError, ValueError: with a short reason, if the file has changed or cannot be read.
    """
    sealed = _is_sealed(path)
    if not sealed:
        _read_in_subprocess(path)
    file = h5py.File(path, "r", locking=False, **options)
    if not sealed and SEAL_ATTRIBUTE.keys() & file.attrs.keys():
        file.close()
        raise ValueError(f"{CHANGED}: its seal is missing")
    return file


def _is_sealed(path: Path) -> bool:
    """Tells whether a file has a seal; raises ValueError if the seal does not match or the file is truncated."""
    with open(path, "rb") as file:
        front = file.read(LINE - 1)
        size = file.seek(0, os.SEEK_END)
        if front.startswith(MARK):
            line, expected = front + b"\n", _line(_digest(file, BLOCK, size))
        elif (end := _end(file)) is None or end == size:
            return False
        elif end > size:
            raise ValueError(f"{CHANGED}: its end is missing")
        else:
            expected = _line(_digest(file, 0, end))
            line = file.read(LINE + 1)
    if line != expected:
        raise ValueError(f"{CHANGED}: its SHA-256 does not match its seal")
    return True


def _end(file: BinaryIO) -> int | None:
    """Returns the bytes of HDF5 content according to the superblock; None if the file begins with no known one."""
    file.seek(0)
    head = file.read(64).ljust(64, b"\0")
    at = END_AT.get(head[len(SIGNATURE)])
    return struct.unpack_from("<Q", head, at)[0] if head.startswith(SIGNATURE) and at else None


def _digest(file: BinaryIO, start: int, end: int) -> Any:
    """Computes the SHA-256 of a part of a file."""
    digest, left = hashlib.sha256(), end - start
    file.seek(start)
    while left > 0 and (piece := file.read(min(left, 2**20))):
        digest.update(piece)
        left -= len(piece)
    return digest


def _line(digest: Any) -> bytes:
    """Formats a seal."""
    return MARK + digest.hexdigest().encode() + b"\n"


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
