"""Checkpoints: one file of tensors and plain values, written whole or not at all, the last two kept."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from hdream_core.support import untrusted
from hdream_core.support.errors import UserError
from hdream_core.support.files import sync_folder, write_atomically

LATEST, PREVIOUS = "checkpoint.pt", "checkpoint.previous.pt"
NEXT = "checkpoint.next.pt"  # whole, but not yet in its place: there only after a kill between two renames
# After torch's own bytes: a mark, and the SHA-256 of what stands before it. torch.load takes flipped bits for weights.
MARK = b"hdream-sha256:"
DIGEST = hashlib.sha256().digest_size
# RuntimeErrors that say nothing of the file: the device's memory is full, or (newer versions tell) the device failed.
DEVICE_ERRORS = (torch.OutOfMemoryError, getattr(torch, "AcceleratorError", torch.OutOfMemoryError))


class CheckpointError(UserError, ValueError):
    """A checkpoint cannot be read; the message is one line for the user."""


class DamagedError(CheckpointError):
    """A checkpoint's file is not what was written: no later try will read it."""


def save(folder: Path, state: dict[str, Any]) -> None:
    """Writes tensors, numbers, strings and containers of them as a run's latest checkpoint; keeps the one before."""
    data = io.BytesIO()
    torch.save(state, data)
    body = data.getvalue()
    write_atomically(folder / NEXT, body + MARK + hashlib.sha256(body).digest())
    if (folder / LATEST).exists():
        os.replace(folder / LATEST, folder / PREVIOUS)
    os.replace(folder / NEXT, folder / LATEST)
    sync_folder(folder)


def load(path: Path, device: torch.device | str = "cpu") -> dict[str, Any]:
    """Reads a checkpoint without running code from it.

    Raises:
        DamagedError: naming the file, if it is not what was written.
        CheckpointError: if it is not there, or whole but of no use here.
        OSError, MemoryError: as they come, with ``DEVICE_ERRORS``; they say nothing of the file.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such checkpoint") from None
    body, whole = _body(path, data)
    try:
        untrusted.check_zip(body)
        return torch.load(io.BytesIO(body), map_location=device, weights_only=True)
    except (MemoryError, *DEVICE_ERRORS):
        raise
    except Exception as error:  # torch raises many kinds for a damaged file; all of them mean the same to a user
        if whole:
            reason = " ".join(str(error).split())[:300]
            raise CheckpointError(f"{path}: is what was written, but cannot be loaded here ({reason})") from None
        raise DamagedError(f"{path}: damaged checkpoint ({type(error).__name__})") from None


def load_run(folder: Path, device: torch.device | str = "cpu", mend: bool = False) -> dict[str, Any] | None:
    """The latest checkpoint of a run that is not damaged; None if there is none at all.

    A damaged one is named on standard error, and the one before it taken. One that only cannot be read just now is no
    reason to go back: its error is raised, and another try may go well.

    Args:
        folder: of the run.
        device: to load to.
        mend: delete damaged ones once another has been read; for the process that trains the run, which would
            otherwise keep them as the last but one.

    Raises:
        CheckpointError: if there are checkpoints and all are damaged; else as ``load``.
    """
    damaged: dict[Path, DamagedError] = {}
    for path in (folder / name for name in (LATEST, NEXT, PREVIOUS)):
        try:
            state = load(path, device) if path.exists() else None
        except DamagedError as error:
            damaged[path] = error
            continue
        if state is not None:
            for other, error in damaged.items():
                print(f"warning: {error}; going on from {path.name}", file=sys.stderr)
                if mend:
                    other.unlink()
            return state
    if damaged:
        raise CheckpointError(f"{'; '.join(map(str, damaged.values()))}; delete {folder} to start over")
    return None


@contextlib.contextmanager
def restoring(folder: Path) -> Iterator[None]:
    """Turns errors while a run's state is restored into CheckpointError."""
    try:
        yield
    except DEVICE_ERRORS:
        raise
    except (AttributeError, IndexError, KeyError, OverflowError, RuntimeError, TypeError, ValueError) as error:
        reason = f"it lacks {error}" if isinstance(error, KeyError) else " ".join(str(error).split())[:300]
        raise CheckpointError(
            f"{folder}: its checkpoint is of another version or damaged ({reason}); go on with the version that "
            f"began the run, or delete the folder to start over"
        ) from None


def _body(path: Path, data: bytes) -> tuple[bytes, bool]:
    """What torch wrote, and whether a digest bears it out; raises DamagedError if it shows another content."""
    body, mark, digest = data[: -len(MARK) - DIGEST], data[-len(MARK) - DIGEST : -DIGEST], data[-DIGEST:]
    if mark != MARK:
        return data, False  # older than the mark, or cut short: torch knows
    if hashlib.sha256(body).digest() != digest:
        raise DamagedError(f"{path}: damaged checkpoint (its content is not what was written)")
    return body, True
