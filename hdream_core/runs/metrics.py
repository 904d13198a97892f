"""Writes and reads a run's metrics: an append-only file of JSON lines, and optionally TensorBoard events."""

from __future__ import annotations

import functools
import json
import math
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from hdream_core.support import untrusted
from hdream_core.support.errors import ConfigError

PLAIN = re.compile(r"\w[\w.=,+-]*(/\w[\w.=,+-]*)*")  # a metric's name, with or without groups
TAIL = 2**14  # bytes that ``read_last`` reads at once; a line has about two thousand


class Metrics:
    """Writes ``metrics.jsonl``: one object per line with ``step`` (environment steps), ``kind`` and named numbers.

    The lines do not depend on wall-clock time, so that a resumed run writes the same bytes as one that was never
    interrupted. Numbers that are not finite are written as null.
    """

    def __init__(self, folder: Path, tensorboard: bool = False):
        self.path = folder / "metrics.jsonl"
        self.writer: Any = None
        self.make_writer = _summary_writer(folder / "tensorboard") if tensorboard else None

    def write(self, kind: str, step: int, values: Mapping[str, float]) -> None:
        """Appends one line and syncs it to disk."""
        numbers = {name: _json_number(value) for name, value in values.items()}
        with open(self.path, "a") as file:
            file.write(json.dumps({"step": step, "kind": kind, **numbers}) + "\n")
            file.flush()
            os.fsync(file.fileno())
        if self.make_writer:
            # Made with the first line: its step tells TensorBoard which points of a killed process to discard.
            self.writer = self.writer or self.make_writer(purge_step=step)
            for name, value in numbers.items():
                if isinstance(value, float | int):
                    self.writer.add_scalar(f"{kind}/{name}", value, step)

    def close(self) -> None:
        """Writes out TensorBoard's pending events. A later line would begin a new events file."""
        if self.writer is not None:
            self.writer.close()
            self.writer = None

    def position(self) -> int:
        """Returns the number of bytes written so far; a checkpoint saves it."""
        return self.path.stat().st_size if self.path.exists() else 0

    def rewind(self, position: int) -> None:
        """Removes what was written after a checkpoint; raises ConfigError if lines from before it are missing."""
        self.path.touch()
        if self.path.stat().st_size < position:
            raise ConfigError(
                f"{self.path}: is shorter than its checkpoint says; restore the lost lines, or start over"
            )
        os.truncate(self.path, position)


def _summary_writer(folder: Path) -> Callable[..., Any]:
    """Returns a function that makes TensorBoard writers; raises ConfigError if the extra is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise ConfigError("log.tensorboard needs the extra: pip install 'hdream[tensorboard]'") from None
    return functools.partial(SummaryWriter, str(folder))


def _json_number(value: Any) -> float | int | None:
    if isinstance(value, int):
        return value
    value = float(value)
    return value if math.isfinite(value) else None


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Reads all complete lines of a ``metrics.jsonl``; skips a last line that a kill truncated.

    Raises:
        ConfigError: naming file and line, if any other line is damaged.
    """
    if not path.exists():
        return []
    lines = path.read_bytes().split(b"\n")
    return [_read_line(line, f"{path}: line {number}") for number, line in enumerate(lines[:-1], 1) if line]


def read_last(path: Path, kind: str | None = None) -> dict[str, Any] | None:
    """Reads the last complete line of a ``metrics.jsonl`` from the end of the file; None if there is none.

    Args:
        path: path of the file.
        kind: kind of the line, ``train`` or ``eval``; None takes any.

    Raises:
        ConfigError: if the line is damaged.
    """
    if not path.exists():
        return None
    with open(path, "rb") as file:
        start, tail = file.seek(0, os.SEEK_END), b""
        while True:
            lines = tail.split(b"\n")[1 if start else 0 : -1]  # without an incomplete first or last line
            for line in filter(None, reversed(lines)):
                where = "the last line" if kind is None else f"a line near the last of kind {kind}"
                record = _read_line(line, f"{path}: {where}")
                if kind in (None, record["kind"]):
                    return record
            if start == 0:
                return None
            end, start = start, max(start - TAIL, 0)
            file.seek(start)
            tail = file.read(end - start) + tail


def _is_number(value: Any) -> bool:
    return value is None or isinstance(value, float) or (isinstance(value, int) and abs(value) < 2**62)


def _read_line(line: bytes, where: str) -> dict[str, Any]:
    try:
        record = untrusted.json_value(line)
    except ValueError as error:
        raise ConfigError(f"{where} is damaged ({error})") from None
    if not isinstance(record, dict) or type(record.get("step")) is not int or not isinstance(record.get("kind"), str):
        raise ConfigError(f"{where} is damaged (no metrics with step and kind)")
    bad = [name for name, value in record.items() if name != "kind" and not _is_number(value)]
    if bad or not 0 <= record["step"] < 2**62 or any(not PLAIN.fullmatch(name) for name in record):
        raise ConfigError(f"{where} is damaged (invalid {bad[0] if bad else 'names or step'})")
    return record
