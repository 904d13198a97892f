"""Shows progress: a moving bar on a terminal, one line per minute in a log file."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any, TextIO

from tqdm import tqdm

LOG_SECONDS = 60.0  # between two lines if standard error is not a terminal


class _Lines:
    """Writes each of tqdm's redrawn lines on a line of its own."""

    def __init__(self, stream: TextIO):
        self.stream, self.encoding = stream, getattr(stream, "encoding", "utf-8")

    def write(self, text: str) -> None:
        if line := text.strip():
            self.stream.write(line + "\n")

    def flush(self) -> None:
        self.stream.flush()


def progress_bar(iterable: Iterable | None = None, **options: Any) -> tqdm:
    """Returns a tqdm bar on standard error; if that is not a terminal, it writes at most one line per minute."""
    if on_terminal():
        return tqdm(iterable, **options)
    lines = _Lines(sys.stderr)
    return tqdm(iterable, file=lines, ncols=100, mininterval=LOG_SECONDS, maxinterval=LOG_SECONDS, **options)


def on_terminal() -> bool:
    """Tells whether standard error is a terminal."""
    return sys.stderr.isatty()
