"""Takes numbers out of results, and writes them and names and table rows as a page has them, for templates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from analysis.results import comparisons
from analysis.results.schema import Result
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


class Difference(NamedTuple):
    """One variant minus another, in pairs of seeds.

    Attributes:
        seeds: interval over training seeds.
        episodes: interval over held-out episodes; None where the two were not measured on the same ones.
    """

    seeds: Interval
    episodes: Interval | None = None

    @property
    def sign(self) -> int:
        """1 or -1 if all its intervals lie on that side of zero, else 0."""
        spans = [span for span in self if span is not None]
        if not all(known(span.low) and known(span.high) for span in spans):
            return 0
        return int(all(span.low > 0 for span in spans)) - int(all(span.high < 0 for span in spans))


def difference(result: Result, measure: str, variant: str, other: str) -> Difference:
    """Compares two variants by a measure of ``results.comparisons``."""
    return Difference(*comparisons.difference(result, measure, variant, other))


def noted(row: Mapping[str, Any], prefix: str = "") -> Difference:
    """Reads a difference, or a mean, of which a result's notes have both intervals; ``prefix`` as in their names."""
    return Difference(*(read_interval(row[f"{prefix}over_{over}"]) for over in ("seeds", "episodes")))


def end_of(result: Result, name: str, variant: str) -> Interval:
    """Reads what a variant's runs logged last; KeyError where they did not log it."""
    found = comparisons.end_of(result, name, variant)
    if found is None:
        raise KeyError(name)
    return found


def each(result: Result, measure: str, variant: str, other: str) -> list[float]:
    """Subtracts one variant from another, seed by seed; arguments as for ``difference``."""
    values = comparisons.measures(result)[measure].values
    one, two = (values[result.methods.index(name)] for name in (variant, other))
    return [float(np.mean(gap)) for gap in one - two]


def of_variant(result: Result, metric: str, variant: str) -> np.ndarray:
    """Takes a variant's values of a metric, with the axes that it has besides."""
    return result.values(metric)[result.methods.index(variant)]


def constant_error(result: Result, features: str, thing: str) -> float:
    """Averages the error of a regression that knows nothing, of an object's position."""
    return float(np.nanmean(result.values(f"constant/{features}")[..., list(result.axes["object"]).index(thing)]))


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
