"""What documents quote: the shipped results, and how their intervals are written."""

from collections.abc import Mapping
from pathlib import Path

from analysis.results.schema import Result, load
from analysis.results.stats import Interval

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "results.md"
README = ROOT / "README.md"

Span = Interval | Mapping[str, float]


def shipped(name: str) -> Result:
    """A result file that ships."""
    return load(ROOT / f"figures/data/{name}.h5")


def flowing(path: Path) -> str:
    """A document's text in one line."""
    return " ".join(path.read_text().split())


def quote(span: Span, digits: int, signed: bool = False) -> str:
    """``0.58 [0.45, 0.74]``, or ``+0.58 [+0.45, +0.74]``."""
    mean = _fields(span)["mean"]
    return f"{mean:{'+' if signed else ''}.{digits}f} {ends(span, digits, signed)}"


def ends(span: Span, digits: int, signed: bool = False) -> str:
    """``[0.45, 0.74]``, or ``[+0.45, +0.74]``."""
    low, high = (f"{_fields(span)[end]:{'+' if signed else ''}.{digits}f}" for end in ("low", "high"))
    return f"[{low}, {high}]"


def percent(span: Span, digits: int = 0) -> str:
    """``13 % [5, 22]`` of an interval of shares."""
    mean, low, high = (100 * _fields(span)[end] for end in ("mean", "low", "high"))
    return f"{mean:.{digits}f} % [{low:.{digits}f}, {high:.{digits}f}]"


def _fields(span: Span) -> Mapping[str, float]:
    return span._asdict() if isinstance(span, Interval) else span
