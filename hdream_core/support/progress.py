"""Progress bars: moving ones on a terminal, a line a minute in a log file."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any, TextIO

from tqdm import tqdm

LOG_SECONDS = 60.0  # between two lines where standard error is no terminal


class _Lines:
    """Writes what tqdm draws over itself as lines of their own."""

    def __init__(self, stream: TextIO):
        self.stream, self.encoding = stream, getattr(stream, "encoding", "utf-8")

    def write(self, text: str) -> None:
        if line := text.strip():
            self.stream.write(line + "\n")

    def flush(self) -> None:
        self.stream.flush()


def progress_bar(iterable: Iterable | None = None, **options: Any) -> tqdm:
    """Returns a tqdm bar on standard error; where that is no terminal, one that writes a line a minute at most."""
    if on_terminal():
        return tqdm(iterable, **options)
    lines = _Lines(sys.stderr)
    return tqdm(iterable, file=lines, ncols=100, mininterval=LOG_SECONDS, maxinterval=LOG_SECONDS, **options)


def on_terminal() -> bool:
    """Returns whether standard error is a terminal."""
    return sys.stderr.isatty()
