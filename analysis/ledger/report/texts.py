"""Writes numbers, names and table rows as a page has them: the filters of templates."""

from __future__ import annotations

from collections.abc import Mapping

from analysis.ledger.report.values import Difference
from analysis.results.stats import Interval, known, read_interval
from analysis.results.tasks import task_facts

Span = Interval | Mapping[str, float | None]
NAMES = {
    "lever_pull": "Lever Pull",
    "handle_pull_side": "Handle Pull Side",
    "hammer": "Hammer",
    "mini_lever": "The miniature",
}
VARIANTS = {
    "harmony": "HarmonyDream",
    "harmony,w_d=1": "w_d fixed to 1",
    "unrectified": "unrectified",
    "uw": "uncertainty weighting",
    "dwa": "DWA",
    "nashmtl": "NashMTL",
}


def _read(span: Span) -> Interval:
    return span if isinstance(span, Interval) else read_interval(span)


def ends(span: Span, digits: int, signed: bool = False) -> str:
    """Writes ``[0.45, 0.74]``, or ``[+0.45, +0.74]``; nothing where there is no interval."""
    plus, (_, low, high) = "+" if signed else "", _read(span)
    return f"[{low:{plus}.{digits}f}, {high:{plus}.{digits}f}]" if known(low) and known(high) else ""


def interval(span: Span, digits: int, signed: bool = False) -> str:
    """Writes ``0.58 [0.45, 0.74]``, or ``+0.58 [+0.45, +0.74]``; the mean alone where there is no interval."""
    return f"{_read(span).mean:{'+' if signed else ''}.{digits}f} {ends(span, digits, signed)}".rstrip()


def mean(span: Span, digits: int) -> str:
    """Writes ``0.58``, the mean of an interval."""
    return f"{_read(span).mean:.{digits}f}"


def percent(span: Span, digits: int = 0) -> str:
    """Writes ``13 % [5, 22]`` of an interval of shares."""
    hundred = Interval(*(100 * end for end in _read(span)))
    return f"{hundred.mean:.{digits}f} % {ends(hundred, digits)}".rstrip()


def gap(found: Difference, digits: int) -> str:
    """Writes ``+0.08 [-0.36, +0.51] [-0.14, +0.33]``, over seeds and over episodes; bold if no interval has zero."""
    over = ends(found.episodes, digits, True) if found.episodes else ""
    text = f"{interval(found.seeds, digits, True)} {over}".rstrip()
    return f"**{text}**" if found.sign else text


def task(name: str) -> str:
    """Names a task within a sentence: ``Lever Pull``, ``the miniature``."""
    return NAMES.get(name, name.replace("_", " ").title()).replace("The", "the")


def variant(name: str) -> str:
    """Names a variant: ``w_r = 10``, ``HarmonyDream``."""
    return VARIANTS.get(name) or name.replace("=", " = ").replace(",", ", ")


def thing(name: str, of: str) -> str:
    """Names an object of a task."""
    return task_facts(of).called(name)


def row(*cells: object) -> str:
    """Writes a row of a table."""
    return f"| {' | '.join(map(str, cells))} |"


def head(*names: str) -> str:
    """Writes the head of a table."""
    return f"{row(*names)}\n{'|---' * len(names)}|"
