"""Summarises a sweep over the reward weight in a few lines of text, by a rule that was written beforehand.

A method differs from the first one (w_r = 1) in the policy's last evaluation if the paired 95 % interval over seeds
excludes zero. It differs in held-out reward error if the paired interval over episodes excludes zero and, with several
seeds, the one over seeds does, too. One seed shows nothing about policies.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from analysis.results import comparisons
from analysis.results.measures import DREAMS, POLICIES
from analysis.results.schema import Result
from analysis.results.stats import Interval, known, show


def lines(result: Result) -> list[str]:
    """Formats the final table and, for each metric, the verdict on Finding 1."""
    final = {name: row for name, row in result.notes.get("final", {}).items() if name != "interval"}
    table = [["method", *(name.replace("_", " ") for name in final)]]
    table += [[method, *(show(row[method]) for row in final.values())] for method in result.methods]
    text = ["  ".join(f"{cell:<22}" for cell in row).rstrip() for row in table]
    return text + [f"{method}: {verdict(result, method)}" for method in result.methods[1:]]


def verdict(result: Result, method: str) -> str:
    """Returns how ``method`` compares with the first one, for policies and for held-out reward error."""
    parts = []
    reference, one_seed = result.methods[0], len(result.axes["seed"]) == 1
    for name in POLICIES:
        if name in result.notes.get("final", {}):
            (interval,) = comparisons.difference(result, name, method, reference)
            reason = "one seed has" if one_seed else "equal differences have"
            shown = _compare([interval]) if known(interval.low) else f"not shown ({reason} no interval)"
            parts.append(f"{name} {shown}")
    if comparisons.has(result, DREAMS):
        intervals = comparisons.difference(result, DREAMS, method, reference)
        if len(intervals) > 1:
            parts.append(f"held-out reward error {_reward_error(result, method, *intervals)}")
    return f"against {reference}: " + "; ".join(parts)


def _compare(intervals: Sequence[Interval]) -> str:
    if all(interval.high < 0 for interval in intervals):
        return "lower"
    higher = all(interval.low > 0 for interval in intervals)
    return "higher" if higher else "not shown to differ at this scale"


def _reward_error(result: Result, method: str, over_seeds: Interval, over_episodes: Interval) -> str:
    """Returns how a method's errors differ from the first one's, window by window."""
    errors = result.values(DREAMS)
    gap = errors[result.methods.index(method)] - errors[0]  # (seed, window)
    gap = gap[np.isfinite(gap).all(1)].mean(0)
    (mean, low, high), one_seed = over_episodes, len(result.axes["seed"]) == 1
    ends = f"[{low:+.3g}, {high:+.3g}]" if known(low) else "(no interval: too few episodes)"
    share = f"lower in {100 * (gap < 0).mean():.0f} % of windows, median {np.median(gap):+.2g}"
    shown = _compare([over_episodes] if one_seed else [over_episodes, over_seeds])
    alone = " in this one run" if one_seed and shown in ("lower", "higher") else ""
    return f"differs by {mean:+.3g} {ends} ({share}), {shown}{alone}"
