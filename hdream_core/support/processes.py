"""Helpers for several processes on one machine: cores, freed memory, children that end with their parent."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # from Linux's <sys/prctl.h>
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # from glibc's <malloc.h>
LARGEST_KEPT = 32 * 2**20  # bytes; the largest threshold that glibc accepts


def cores() -> int:
    """Returns the number of processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def die_with_parent(parent: int) -> None:
    """Asks Linux to kill this process when its parent ends, even by ``kill -9``. Does nothing elsewhere.

    Args:
        parent: process id that the parent passed on. If that process has already ended, this one ends at once.
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
    zeroed and mapped again each time.
    """
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(M_MMAP_THRESHOLD, LARGEST_KEPT)
        libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
