"""Decides a claim from results: one rule of verdicts for all claims.

A judge reads the result files and returns a ``Finding`` for each result that speaks to its claim. Most claims compare
two methods. The measure is then the difference of the two methods, paired by seed, and one rule serves all:

- *reproduced* if the 95 % interval over seeds excludes zero and lies on the claim's side of it; *not reproduced* if it
  lies on the other side; otherwise *not shown at this scale*;
- if the two methods were compared on the same held-out windows or episodes, the interval over episodes must agree;
- fewer than three seeds show nothing; results of unfinished runs are left out.

"No worse" has a margin, which is stated with the claim: the interval must lie above minus the margin. "Similar" has a
margin on both sides: the interval must lie between minus the margin and the margin.

The claims and their rules are in ``claims.toml``. Rules that were changed or set after a result are in
``changes.toml``.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.results.schema import Result
from analysis.results.stats import Interval, known, read_interval, show
from analysis.results.tasks import task_facts

REPRODUCED, NOT_REPRODUCED, NOT_SHOWN = "reproduced", "not reproduced", "not shown at this scale"
IN_PART = "reproduced in part"  # of a sentence, one part holds and another does not
NOT_MEASURED = "not measured"
UNDECIDABLE = "cannot be decided"  # from what the paper prints, at any scale
VERDICTS = (REPRODUCED, IN_PART, NOT_REPRODUCED, NOT_SHOWN, NOT_MEASURED, UNDECIDABLE)  # files store the position here
UNKNOWN = Interval(np.nan, np.nan, np.nan)
FEWEST_SEEDS = 3
LEVEL = 0.95


@dataclass(frozen=True)
class Finding:
    """What one result says about a claim.

    Attributes:
        ours: our value in words.
        verdict: one of VERDICTS.
        source: name of the result file; empty if the value was computed without one.
        scale: scale of that result.
        value: the number that was judged, with its interval if it has one.
    """

    ours: str
    verdict: str
    source: str = ""
    scale: str = ""
    value: Interval = UNKNOWN


MISSING = Finding("no result", NOT_MEASURED)


class ResultFiles:
    """The results that claims are judged by, as pairs of a file's name and its result."""

    def __init__(self, results: Iterable[tuple[str, Result]]):
        self.results = list(results)

    def of(self, study: str, *methods: str, finished: bool = True, **attributes: Any) -> list[tuple[str, Result]]:
        """Returns the results of a study.

        Args:
            study: its name.
            methods: that each result must have.
            finished: leave out results of runs that were not complete.
            attributes: that each result must have, e.g. ``mode="online"``.
        """
        return [
            (name, result)
            for name, result in self.results
            if result.attributes["study"] == study
            and set(methods) <= set(result.methods)
            and (result.attributes.get("complete", True) or not finished)
            and all(result.attributes.get(key) == value for key, value in attributes.items())
        ]


Judge = Callable[[ResultFiles], list[Finding]]
JUDGES: dict[str, Callable[..., Judge]] = {}  # by the name that claims.toml calls them


def judge(find: Callable[..., Iterator[Finding]]) -> Callable[..., Judge]:
    """Turns a generator ``find(files, ...)`` of findings into a function that makes a judge from the other arguments.

    The judge returns a list of what was found. Where nothing was found, that is ``MISSING`` alone. The function is
    listed in ``JUDGES``.
    """

    @functools.wraps(find)
    def make(*args: Any, **arguments: Any) -> Judge:
        return lambda files: list(find(files, *args, **arguments)) or [MISSING]

    signature = inspect.signature(find)
    make.__signature__ = signature.replace(parameters=list(signature.parameters.values())[1:])
    make.__annotations__ = {name: kind for name, kind in find.__annotations__.items() if name != "files"}
    JUDGES[find.__name__] = make
    return make


def verdict(intervals: Sequence[Interval], want: int, seeds: int, margin: float = 0.0) -> str:
    """Returns the verdict on a difference.

    Args:
        intervals: of the difference; all of them must agree.
        want: 1 if the claim says that it is above zero, -1 if below, 0 if between minus the margin and the margin.
        seeds: number of training seeds.
        margin: 0 for "better"; above 0 for "no worse by more than this", or for "similar".
    """
    low, high = -np.inf if want < 0 else -margin, np.inf if want > 0 else margin
    return range_verdict(intervals, low, high, seeds)


def range_verdict(intervals: Sequence[Interval], low: float, high: float, seeds: int) -> str:
    """Returns the verdict on a value that the claim puts between ``low`` and ``high``.

    It is reproduced if all intervals lie in the range, and not reproduced if all lie on one side of it.
    """
    if seeds < FEWEST_SEEDS or not all(known(interval.low) and known(interval.high) for interval in intervals):
        return NOT_SHOWN
    if all(low < interval.low and interval.high < high for interval in intervals):
        return REPRODUCED
    below, above = all(i.high < low for i in intervals), all(i.low > high for i in intervals)
    return NOT_REPRODUCED if below or above else NOT_SHOWN


def together(verdicts: Sequence[str]) -> str:
    """Returns the verdict on a claim that is asked in several ways."""
    if NOT_REPRODUCED in verdicts:
        return IN_PART if REPRODUCED in verdicts else NOT_REPRODUCED
    return NOT_SHOWN if NOT_SHOWN in verdicts else REPRODUCED


def balanced(result: Result) -> str:
    """Returns the method with the balanced weight of a result's task."""
    return task_facts(result.attributes["task"]).balanced


def stored(row: Mapping[str, Any], prefix: str = "") -> list[Interval]:
    """Returns the intervals over seeds and over episodes from a row of a result's notes."""
    return [read_interval(row[f"{prefix}over_{over}"]) for over in ("seeds", "episodes")]


def judge_difference(
    name: str,
    result: Result,
    text: str,
    intervals: Sequence[Interval],
    want: int,
    margin: float = 0.0,
    level: float = LEVEL,
) -> Finding:
    """Returns the finding on a difference of two methods in one result.

    Args:
        name: of the result's file.
        result: that has both methods.
        text: what was compared, and the value of each method.
        intervals: of the first method minus the second: over seeds, and over episodes if both were measured on the
            same windows.
        want, margin: see ``verdict``.
        level: confidence of the intervals.
    """
    over = "".join(f", over episodes {_ends(interval)}" for interval in intervals[1:])
    at = "" if level == LEVEL else f", at {100 * level:.3g} %"
    text = f"{result.attributes['task']}: {text}; difference {show(intervals[0])}{over}{at}"
    decided = verdict(intervals, want, len(result.axes["seed"]), margin)
    return Finding(text, decided, name, result.attributes["scale"], intervals[0])


def _ends(interval: Interval) -> str:
    """Returns ``[0.45, 0.74]``."""
    return f"[{interval.low:.3g}, {interval.high:.3g}]" if known(interval.low) else "too few for an interval"


def judge_range(name: str, result: Result, text: str, value: Interval, low: float, high: float) -> Finding:
    """Returns the finding on a value that the claim puts between ``low`` and ``high``."""
    decided = range_verdict([value], low, high, len(result.axes["seed"]))
    return Finding(f"{result.attributes['task']}: {text}", decided, name, result.attributes["scale"], value)
