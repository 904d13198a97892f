"""Checkpoints: one file of tensors and plain values, written atomically; the last two are kept."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hdream_core.support import untrusted
from hdream_core.support.errors import UserError
from hdream_core.support.files import sync_folder, write_atomically

if TYPE_CHECKING:
    import torch

LATEST, PREVIOUS = "checkpoint.pt", "checkpoint.previous.pt"
NEXT = "checkpoint.next.pt"  # complete, but not yet renamed: exists only after a kill between two renames
# After torch's own bytes come a mark and the SHA-256 of those bytes: torch.load would load flipped bits as weights.
MARK = b"hdream-sha256:"
DIGEST = hashlib.sha256().digest_size


class CheckpointError(UserError, ValueError):
    """A checkpoint cannot be read; the message is one line for the user."""


class DamagedError(CheckpointError):
    """A checkpoint's file is not what was written: no later attempt can read it."""


def device_errors() -> tuple[type[Exception], ...]:
    """Returns RuntimeErrors that are no file's fault: the device is out of memory or, as newer versions say, failed."""
    import torch

    return torch.OutOfMemoryError, getattr(torch, "AcceleratorError", torch.OutOfMemoryError)


def save(folder: Path, state: dict[str, Any]) -> None:
    """Writes a run's latest checkpoint, of tensors, numbers, strings and containers of them; keeps the one before."""
    import torch

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
        CheckpointError: if it does not exist, or is intact but cannot be loaded here.
        OSError, MemoryError: unchanged, as ``device_errors()``, since the file is not at fault.
    """
    import torch

    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such checkpoint") from None
    body, verified = _body(path, data)
    try:
        untrusted.check_zip(body)
        return torch.load(io.BytesIO(body), map_location=device, weights_only=True)
    except (MemoryError, *device_errors()):
        raise
    except Exception as error:  # torch raises many types for a damaged file; all of them mean the same to a user
        if verified:
            reason = " ".join(str(error).split())[:300]
            raise CheckpointError(f"{path}: is intact, but cannot be loaded here ({reason})") from None
        raise DamagedError(f"{path}: damaged checkpoint ({type(error).__name__})") from None


def load_run(folder: Path, device: torch.device | str = "cpu", mend: bool = False) -> dict[str, Any] | None:
    """Loads a run's latest checkpoint that is not damaged; None if the run has no checkpoint.

    For a damaged one it prints a warning and loads the one before. If one merely cannot be read now, its error is
    raised instead of going back, since a retry may succeed.

    Args:
        folder: the run's folder.
        device: device to load to.
        mend: delete damaged checkpoints once another was loaded. For the process that trains the run, whose next
            ``save`` would otherwise keep a damaged one as the previous one.

    Raises:
        CheckpointError: if all checkpoints are damaged; else as ``load``.
    """
    damaged: dict[Path, DamagedError] = {}
    for path in (folder / name for name in (LATEST, NEXT, PREVIOUS)):
        try:
            state = load(path, device) if path.exists() else None
        except DamagedError as error:
            damaged[path] = error
            continue
        if state is not None:
            for damaged_path, error in damaged.items():
                print(f"warning: {error}; going on from {path.name}", file=sys.stderr)
                if mend:
                    damaged_path.unlink()
            return state
    if damaged:
        raise CheckpointError(f"{'; '.join(map(str, damaged.values()))}; delete {folder} to start over")
    return None


@contextlib.contextmanager
def restoring(folder: Path) -> Iterator[None]:
    """Turns errors while a run's state is restored into CheckpointError."""
    try:
        yield
    except device_errors():
        raise
    except (AttributeError, IndexError, KeyError, OverflowError, RuntimeError, TypeError, ValueError) as error:
        reason = f"it lacks {error}" if isinstance(error, KeyError) else " ".join(str(error).split())[:300]
        raise CheckpointError(
            f"{folder}: its checkpoint is of another version or damaged ({reason}); go on with the version that "
            f"began the run, or delete the folder to start over"
        ) from None


def _body(path: Path, data: bytes) -> tuple[bytes, bool]:
    """Returns torch's own bytes, and whether a digest confirms them; DamagedError if it does not match."""
    body, mark, digest = data[: -len(MARK) - DIGEST], data[-len(MARK) - DIGEST : -DIGEST], data[-DIGEST:]
    if mark != MARK:
        return data, False  # from before there was a mark, or cut short, which torch detects
    if hashlib.sha256(body).digest() != digest:
        raise DamagedError(f"{path}: damaged checkpoint (its content is not what was written)")
    return body, True
