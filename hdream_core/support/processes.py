"""Helpers for several processes on one machine: cores, locks, freed memory, children that end with their parent."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from hdream_core.support.errors import STOPPED, ConfigError

LOCK_SECONDS = 10.0  # a process that was just killed may take a moment to release its lock
PR_SET_PDEATHSIG = 1  # from Linux's <sys/prctl.h>
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # from glibc's <malloc.h>
LARGEST_KEPT = 32 * 2**20  # bytes; the largest threshold that glibc accepts


class BusyError(ConfigError):
    """Another process is doing the same work."""

    status = STOPPED


def cores() -> int:
    """Returns the number of processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def die_with_parent(parent: int) -> None:
    """Asks Linux to kill this process when its parent ends, even by ``kill -9``. Does nothing elsewhere.

    Args:
        parent: process id that the parent passed on. If that process has ended by now, this one ends at once.
    """
    if not sys.platform.startswith("linux"):
        return
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def keep_freed_memory() -> None:
    """Asks glibc to keep freed memory for later allocations. Does nothing elsewhere.

    Every update frees and allocates the same tensors. If their memory went back to the system, its pages would be
    zeroed and mapped anew each time.
    """
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(M_MMAP_THRESHOLD, LARGEST_KEPT)
        libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


def is_held(lock: Path) -> bool:
    """Tells whether another process holds this lock of ``exclusive`` now."""
    if not lock.exists():
        return False
    guard = FileLock(lock)
    try:
        guard.acquire(timeout=0)
    except Timeout:
        return True
    guard.release()
    return False


@contextlib.contextmanager
def exclusive(lock: Path, what: str) -> Iterator[None]:
    """Holds a lock while the block runs, so that no second process enters. A process that dies releases its lock.

    Args:
        lock: file to lock.
        what: what holders of the lock do, for the message, e.g. "training this run".

    Raises:
        BusyError: if another process holds the lock.
    """
    guard = FileLock(lock)
    try:
        guard.acquire(timeout=LOCK_SECONDS)
    except Timeout:
        raise BusyError(f"{lock.parent}: another process is {what}; wait for it, or stop it first") from None
    try:
        yield
    finally:
        guard.release()
