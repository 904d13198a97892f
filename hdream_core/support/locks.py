"""Locks files between processes, on any file system.

NFS without its lock daemon, Lustre and many FUSE file systems refuse ``flock``. There a second file exists while the
lock is held, with the holder's process and host in it. A holder that died on this host is detected. One on another host
cannot be checked from here, so the message names the file to delete.
"""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

from filelock import BaseFileLock, FileLock, SoftFileLock, Timeout

from hdream_core.support.errors import PERMANENT, STOPPED, ConfigError

try:
    import fcntl
except ImportError:  # on Windows, whose locks need no such check
    fcntl = None  # type: ignore[assignment]

LOCK_SECONDS = 10.0  # a process that was just killed may take a moment to release its lock
UNSUPPORTED = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS}


class BusyError(ConfigError):
    """Reports that another process is doing the same work."""

    status = STOPPED


def file_lock(lock: Path) -> BaseFileLock:
    """Returns a lock on a file: by ``flock`` if the file system supports it, else by a file ``<lock>.held``."""
    return FileLock(lock) if _has_flock(lock) else SoftFileLock(_held(lock))


def is_held(lock: Path) -> bool:
    """Tells whether another process holds this lock of ``exclusive`` now."""
    if not lock.exists():
        return False
    try:
        guard = file_lock(lock)
        guard.acquire(timeout=0)
    except Timeout:
        return True
    except OSError as error:
        if error.errno not in PERMANENT:
            raise
        return _seems_held(lock)  # a folder of another user, or a read-only copy
    guard.release()
    return False


@contextlib.contextmanager
def exclusive(lock: Path, what: str) -> Iterator[None]:
    """Holds a lock during the block, so that no second process enters. A process that dies releases its lock.

    Args:
        lock: file to lock.
        what: what the holder of the lock does, for the message, e.g. "training this run".

    Raises:
        BusyError: if another process holds the lock.
    """
    guard = file_lock(lock)
    try:
        guard.acquire(timeout=LOCK_SECONDS)
    except Timeout:
        raise BusyError(f"{lock.parent}: another process is {what}; {_remedy(lock)}") from None
    try:
        yield
    finally:
        guard.release()


def _seems_held(lock: Path) -> bool:
    """Tells whether another process holds a lock that this one may read but not write."""
    if _held(lock).exists():
        return True
    try:
        with open(lock, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except (AttributeError, OSError):  # no flock here, or the file may not even be read
        return False
    return False


def _held(lock: Path) -> Path:
    return lock.with_name(f"{lock.name}.held")


def _has_flock(lock: Path) -> bool:
    if fcntl is None:
        return True
    with open(lock, "a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            fcntl.flock(file, fcntl.LOCK_UN)
        except OSError as error:  # held by another process, or not supported here
            return error.errno not in UNSUPPORTED
    return True


def _remedy(lock: Path) -> str:
    held_file = _held(lock)
    try:
        holder = " of host ".join(held_file.read_text().split()[:2])
    except OSError:
        return "wait for it, or stop it first"
    return f"wait for it, or stop it first; if process {holder} is gone, delete {held_file}"
