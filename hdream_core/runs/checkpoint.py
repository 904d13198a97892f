"""Writes and reads checkpoints: one file of tensors and plain values, written atomically. The last two are kept."""

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
NEXT = "checkpoint.next.pt"  # complete but not yet renamed: exists only after a kill between two renames
# After torch's own bytes come a mark and the SHA-256 of those bytes. Without it torch.load would accept flipped bits.
MARK = b"hdream-sha256:"
DIGEST = hashlib.sha256().digest_size


class CheckpointError(UserError, ValueError):
    """Reports a checkpoint that cannot be read; the message is one line for the user."""


class DamagedError(CheckpointError):
    """Reports a checkpoint whose content is not what was written: a retry cannot read it either."""


def device_errors() -> tuple[type[Exception], ...]:
    """Returns the RuntimeErrors of a device that is out of memory or, in newer versions of PyTorch, failed."""
    import torch

    return torch.OutOfMemoryError, getattr(torch, "AcceleratorError", torch.OutOfMemoryError)


def save(folder: Path, state: dict[str, Any]) -> None:
    """Writes a run's latest checkpoint and keeps the one before it.

    Args:
        folder: the run's folder.
        state: tensors, numbers, strings and containers of them.
    """
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
        DamagedError: naming the file, if its content is not what was written.
        CheckpointError: if the file does not exist, or is intact but cannot be loaded here.
        OSError, MemoryError, ``device_errors()``: unchanged, because the file is not at fault.
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
    except Exception as error:  # torch raises many types for a damaged file; they all mean the same to a user
        if verified:
            reason = " ".join(str(error).split())[:300]
            raise CheckpointError(f"{path}: is intact but cannot be loaded here ({reason})") from None
        raise DamagedError(f"{path}: damaged checkpoint ({type(error).__name__})") from None


def load_run(folder: Path, device: torch.device | str = "cpu", mend: bool = False) -> dict[str, Any] | None:
    """Loads a run's latest checkpoint that is not damaged; None if the run has no checkpoint.

    For a damaged checkpoint, prints a warning and loads the one before it. A checkpoint that only cannot be read now
    raises its error, because a retry may succeed.

    Args:
        folder: the run's folder.
        device: device to load to.
        mend: delete damaged checkpoints once another was loaded. The process that trains the run needs this: its next
            ``save`` would otherwise keep a damaged one as the previous one.

    Raises:
        CheckpointError: if all checkpoints are damaged; otherwise as ``load``.
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
            f"{folder}: its checkpoint is of another version or damaged ({reason}); continue with the version that "
            f"started the run, or delete the folder to start over"
        ) from None


def _body(path: Path, data: bytes) -> tuple[bytes, bool]:
    """Returns torch's own bytes, and whether a digest confirms them; raises DamagedError if the digest differs."""
    body, mark, digest = data[: -len(MARK) - DIGEST], data[-len(MARK) - DIGEST : -DIGEST], data[-DIGEST:]
    if mark != MARK:
        return data, False  # written before there was a mark, or truncated, which torch detects
    if hashlib.sha256(body).digest() != digest:
        raise DamagedError(f"{path}: damaged checkpoint (its content is not what was written)")
    return body, True
