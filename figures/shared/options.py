"""What a user chooses of every figure: its width, its letters, its formats, and where its caption goes."""

from __future__ import annotations

import argparse
import contextlib
import math
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass

FORMATS = ("png", "pdf", "svg")
USUALLY = FORMATS[:2]
CAPTIONS = ("file", "inside", "none")
WIDTHS, SIZES = (1.5, 30.0), (3.0, 40.0)  # inches; points


@dataclass(frozen=True)
class Options:
    """How figures are drawn and written.

    Attributes:
        width: in inches; None leaves each figure its own.
        font_size: of the axes' labels, in points, to which all other letters are in proportion; None as for the width.
        formats: of the files, some of FORMATS.
        caption: one of CAPTIONS: in a text file beside the picture, inside of it, or nowhere.
    """

    width: float | None = None
    font_size: float | None = None
    formats: tuple[str, ...] = USUALLY
    caption: str = "file"


USUAL = Options()
_options: ContextVar[Options] = ContextVar("options")


def chosen() -> Options:
    """Returns what holds for the figure that is being drawn."""
    return _options.get(USUAL)


@contextlib.contextmanager
def using(options: Options) -> Iterator[None]:
    """Draws with some options within the block."""
    before = _options.set(options)
    try:
        yield
    finally:
        _options.reset(before)


def add_flags(parser: argparse.ArgumentParser, width: float, font_size: float) -> None:
    """Adds the flags that ``read`` reads to a parser.

    Args:
        parser: of a command that draws.
        width: that figures have without the flag, in inches.
        font_size: the same, in points.
    """
    parser.add_argument(
        "--width",
        type=_within(WIDTHS, "inches"),
        help=f"width in inches ({width:g}); a column is 3.25, a page 6.75 in the paper's layout",
    )
    parser.add_argument(
        "--font-size", type=_within(SIZES, "points"), help=f"size of the axes' labels in points ({font_size:g})"
    )
    parser.add_argument("--format", nargs="+", choices=FORMATS, default=USUALLY, help="formats of the files (png pdf)")
    parser.add_argument(
        "--caption",
        choices=CAPTIONS,
        default="file",
        help="where the caption goes: a text file beside the picture, inside of it, or nowhere (%(default)s)",
    )


def read(given: argparse.Namespace) -> Options:
    """Returns the options that a command line gives."""
    return Options(given.width, given.font_size, tuple(dict.fromkeys(given.format)), given.caption)


def _within(ends: tuple[float, float], unit: str) -> Callable[[str], float]:
    def number(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not ends[0] <= value <= ends[1]:
            raise argparse.ArgumentTypeError(f"{text!r} must be a number of {unit} from {ends[0]:g} to {ends[1]:g}")
        return value

    return number
