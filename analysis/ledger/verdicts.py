"""How results decide a claim: one rule of verdicts.

A judge looks at the results at hand and returns a ``Finding`` for each that speaks to its claim. Where a comparison is
asked, the measure is the difference of two methods, seed by seed, and one rule serves all:

- *reproduced* if the 95 % interval over seeds leaves out zero on the claim's side, *not reproduced* if it does on the
  other side, else *not shown at this scale*;
- where the two were compared on the same held-out windows or episodes, the interval over episodes must say the same;
- fewer than three seeds show nothing; a file of runs that still go on is left out.

"No worse" has a margin, stated with the claim: the interval must lie above minus the margin. "Similar" has one on both
sides: the interval must lie between minus the margin and the margin.

The claims with their rules are in ``claims.toml``; which rules were changed or set after results, in ``changes.toml``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.results.schema import Result
from analysis.results.stats import Interval, known, show
from analysis.results.tasks import task_facts

REPRODUCED, NOT_REPRODUCED, NOT_SHOWN = "reproduced", "not reproduced", "not shown at this scale"
IN_PART = "reproduced in part"  # a sentence of which some holds and some does not
NOT_MEASURED = "not measured"
UNDECIDABLE = "cannot be decided"  # from what the paper prints, at any scale
VERDICTS = (REPRODUCED, IN_PART, NOT_REPRODUCED, NOT_SHOWN, NOT_MEASURED, UNDECIDABLE)  # files have their places
UNKNOWN = Interval(np.nan, np.nan, np.nan)
FEWEST_SEEDS = 3
LEVEL = 0.95


@dataclass(frozen=True)
class Finding:
    """What the results say of a claim.

    Attributes:
        ours: our value in words.
        verdict: one of VERDICTS.
        source: result file that it comes from, empty if it was computed on the spot.
        scale: of that result.
        value: the number behind it, with its interval where there is one.
    """

    ours: str
    verdict: str
    source: str = ""
    scale: str = ""
    value: Interval = UNKNOWN


MISSING = Finding("no result", NOT_MEASURED)


class Shelf:
    """The results at hand, by study."""

    def __init__(self, results: Iterable[tuple[str, Result]]):
        self.results = list(results)  # (file name, result)

    def of(self, study: str, finished: bool = True, **attributes: Any) -> list[tuple[str, Result]]:
        """Results of a study whose attributes are as given; ``finished``: none of runs that still go on or were cut."""
        return [
            (name, result)
            for name, result in self.results
            if result.attributes["study"] == study
            and (result.attributes.get("complete", True) or not finished)
            and all(result.attributes.get(key) == value for key, value in attributes.items())
        ]


Judge = Callable[[Shelf], list[Finding]]


def verdict(spans: Sequence[Interval], want: int, seeds: int, margin: float = 0.0) -> str:
    """Verdict on a difference.

    Args:
        spans: its intervals, all of which must agree.
        want: 1 if the claim has it above zero, -1 if below, 0 if between minus the margin and the margin.
        seeds: training seeds behind it.
        margin: 0 for "better"; above, for "no worse by more than this", or for "similar".
    """
    if seeds < FEWEST_SEEDS or not all(known(span.low) and known(span.high) for span in spans):
        return NOT_SHOWN
    if want == 0:
        return between(spans, -margin, margin)
    towards = [sorted((want * span.low, want * span.high)) for span in spans]
    if all(low > -margin for low, _ in towards):
        return REPRODUCED
    return NOT_REPRODUCED if all(high < -margin for _, high in towards) else NOT_SHOWN


def between(spans: Sequence[Interval], low: float, high: float) -> str:
    """Verdict on a value that the claim has between two ends: all intervals within, or all on one side of them."""
    if all(low < span.low and span.high < high for span in spans):
        return REPRODUCED
    outside = all(span.high < low for span in spans) or all(span.low > high for span in spans)
    return NOT_REPRODUCED if outside else NOT_SHOWN


def balanced(result: Result) -> str:
    """The balanced method of a result's task."""
    return task_facts(result.attributes["task"]).balanced


def methods_of(result: Result) -> list[str]:
    """Names on the axis of methods."""
    return [str(method) for method in result.axes["method"]]


def has(result: Result, *methods: str) -> bool:
    """Whether a result has all these methods."""
    return set(methods) <= set(methods_of(result))


def compared(
    name: str,
    result: Result,
    words: str,
    spans: Sequence[Interval],
    want: int,
    margin: float = 0.0,
    level: float = LEVEL,
) -> Finding:
    """The finding on a difference of two methods in one result, the method that is named first minus the other.

    Args:
        name: of the result's file.
        result: with the seeds, the task and the scale.
        words: what was compared, and what each method has.
        spans: of the difference, over seeds and, where it was measured on the same windows, over episodes.
        want: as for ``verdict``, and so the next.
        margin: see there.
        level: of the intervals' confidence.
    """
    seeds = len(result.axes["seed"])
    over = "".join(f", over episodes {_ends(span)}" for span in spans[1:])
    at = "" if level == LEVEL else f", at {100 * level:.3g} %"
    text = f"{result.attributes['task']}: {words}; difference {show(spans[0]._asdict())}{over}{at}"
    return Finding(text, verdict(spans, want, seeds, margin), name, result.attributes["scale"], spans[0])


def _ends(span: Interval) -> str:
    """``[0.45, 0.74]``."""
    return f"[{span.low:.3g}, {span.high:.3g}]" if known(span.low) else "too few for an interval"


def ranged(name: str, result: Result, words: str, span: Interval, low: float, high: float) -> Finding:
    """The finding on a value that the claim has between two ends."""
    enough = len(result.axes["seed"]) >= FEWEST_SEEDS and known(span.low) and known(span.high)
    found = between([span], low, high) if enough else NOT_SHOWN
    return Finding(f"{result.attributes['task']}: {words}", found, name, result.attributes["scale"], span)
