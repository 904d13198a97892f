"""What a sweep over the reward weight shows, in a few lines of text, by a rule written down beforehand.

A method differs from the first one (w_r = 1) in a metric if the 95 % intervals allow it: for the policy's last
evaluation, if the paired interval over seeds leaves out zero; for held-out reward error, if the paired interval over
episodes and, with several seeds, the one over seeds both do. One seed shows nothing about policies. Otherwise the
verdict is "not shown at this scale".
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from analysis.results import comparisons
from analysis.results.measures import DREAMS, POLICIES
from analysis.results.schema import Result
from analysis.results.stats import Interval, known, show


def lines(result: Result) -> list[str]:
    """The final table and, per metric, the verdict on Finding 1."""
    final = result.notes.get("final", {})
    methods = result.methods
    text = [_row(["method", *(name.replace("_", " ") for name in final if name != "interval")])]
    for method in methods:
        text.append(_row([method, *(show(row[method]) for name, row in final.items() if name != "interval")]))
    text += [f"{method}: {verdict(result, method)}" for method in methods[1:]]
    return text


def verdict(result: Result, method: str) -> str:
    """How ``method`` compares with the first one, for policies and for held-out reward error."""
    parts = []
    final, methods = result.notes.get("final", {}), result.methods
    reference, seeds = methods[0], result.axes["seed"]
    for name in POLICIES:
        if name in final:
            parts.append(f"{name} {_compare(*comparisons.difference(result, name, method, reference), len(seeds))}")
    if comparisons.has(result, DREAMS):
        spans = comparisons.difference(result, DREAMS, method, reference)
        if len(spans) > 1:
            parts.append(f"held-out reward error {_dreams(result, method, spans[::-1])}")
    return f"against {reference}: " + "; ".join(parts)


def _compare(span: Interval, seeds: int) -> str:
    if not known(span.low):
        return f"not shown ({'one seed has' if seeds == 1 else 'equal differences have'} no interval)"
    if span.low > 0:
        return "higher"
    return "lower" if span.high < 0 else "not shown to differ at this scale"


def _dreams(result: Result, method: str, spans: Sequence[Interval]) -> str:
    """How a method's errors differ from the first one's, window by window; the interval over episodes comes first."""
    errors = result.values(DREAMS)
    gap = errors[result.methods.index(method)] - errors[0]  # (seed, window)
    gap = gap[np.isfinite(gap).all(1)].mean(0)
    (mean, low, high), seeds = spans[0], len(result.axes["seed"])
    ends = f"[{low:+.3g}, {high:+.3g}]" if known(low) else "(no interval: too few episodes)"
    share = f"lower in {100 * (gap < 0).mean():.0f} % of windows, median {np.median(gap):+.2g}"
    return f"differs by {mean:+.3g} {ends} ({share}), {_shown(spans if seeds > 1 else spans[:1], seeds)}"


def _shown(spans: Sequence[Interval], seeds: int) -> str:
    if all(span.high < 0 for span in spans):
        shown = "lower"
    elif all(span.low > 0 for span in spans):
        shown = "higher"
    else:
        return "not shown to differ at this scale"
    return shown if seeds > 1 else f"{shown} in this one run"


def _row(cells: list[str]) -> str:
    return "  ".join(f"{cell:<22}" for cell in cells).rstrip()
