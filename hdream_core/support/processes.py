"""Processes beside each other on one machine: how many, and none left behind."""

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

LOCK_SECONDS = 10.0  # a process that was just killed may take a moment to let go
PR_SET_PDEATHSIG = 1  # of Linux's <sys/prctl.h>
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of glibc's <malloc.h>
LARGEST_KEPT = 32 * 2**20  # bytes; glibc takes no larger threshold


class BusyError(ConfigError):
    """Another process is at the same work."""

    status = STOPPED


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def die_with_parent(parent: int) -> None:
    """Asks Linux to end this process when its parent ends, even by ``kill -9``; elsewhere it does nothing.

    Args:
        parent: the parent's process id as the parent knew it. If it is gone by now, this process ends at once.
    """
    if not sys.platform.startswith("linux"):
        return
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def keep_freed_memory() -> None:
    """Asks glibc to keep what is freed for the next allocation; elsewhere it does nothing.

    An update frees and allocates the same tensors again. Given back to the system each time, their pages are zeroed
    and mapped anew.
    """
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(M_MMAP_THRESHOLD, LARGEST_KEPT)
        libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


def is_held(lock: Path) -> bool:
    """Whether another process is inside ``exclusive`` of this lock right now."""
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
    """Keeps a second process out while the block runs; a dead process holds no lock.

    Args:
        lock: file to lock.
        what: for the message, e.g. "training this run".

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
