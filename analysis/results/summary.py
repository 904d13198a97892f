"""What a sweep over the reward weight shows, in a few lines of text, by a rule written down beforehand.

A method differs from the first one (w_r = 1) in a metric if the 95 % intervals allow it: for the policy's last
evaluation, if the paired interval over seeds leaves out zero; for held-out reward error, if the paired interval over
episodes and, with several seeds, the one over seeds both do. One seed shows nothing about policies. Otherwise the
verdict is "not shown at this scale".
"""

from __future__ import annotations

from typing import Any

import numpy as np

from analysis.results.schema import Result
from analysis.results.stats import known, read_interval, seed_interval, show

POLICY = {"success": "success", "return": "return"}


def lines(result: Result) -> list[str]:
    """The final table and, per metric, the verdict on Finding 1."""
    final = result.notes.get("final", {})
    methods = [str(m) for m in result.axes["method"]]
    text = [_row(["method", *(name.replace("_", " ") for name in final if name != "interval")])]
    for method in methods:
        text.append(_row([method, *(show(row[method]) for name, row in final.items() if name != "interval")]))
    text += [f"{method}: {verdict(result, method)}" for method in methods[1:]]
    return text


def verdict(result: Result, method: str) -> str:
    """How ``method`` compares with the first one, for policies and for held-out reward error."""
    parts = []
    final, methods = result.notes.get("final", {}), [str(m) for m in result.axes["method"]]
    reference = methods[0]
    for name in POLICY:
        if name in final:
            at = list(result.axes["step"]).index(final[name]["step"])
            values = result.values(name)[..., at]  # (method, seed)
            parts.append(f"{name} {_compare(values[methods.index(method)] - values[0])}")
    paired = result.notes.get("paired", {}).get(method)
    if paired:
        span = read_interval(paired)
        parts.append(
            f"held-out reward error differs by {span.mean:+.3g} "
            f"{f'[{span.low:+.3g}, {span.high:+.3g}]' if known(span.low) else '(no interval: too few episodes)'} "
            f"(lower in {100 * paired['share_of_windows_better']:.0f} % of windows, median {paired['median']:+.2g}), "
            f"{_paired_verdict(paired, len(result.axes['seed']))}"
        )
    return f"against {reference}: " + "; ".join(parts)


def _compare(difference: np.ndarray) -> str:
    span = seed_interval(difference)
    if not known(span.low):
        return f"not shown ({'one seed has' if len(difference) == 1 else 'equal differences have'} no interval)"
    if span.low > 0:
        return "higher"
    return "lower" if span.high < 0 else "not shown to differ at this scale"


def _paired_verdict(paired: dict[str, Any], seeds: int) -> str:
    spans = [read_interval(span) for span in ([paired, paired["over_seeds"]] if seeds > 1 else [paired])]
    if all(span.high < 0 for span in spans):
        shown = "lower"
    elif all(span.low > 0 for span in spans):
        shown = "higher"
    else:
        return "not shown to differ at this scale"
    return shown if seeds > 1 else f"{shown} in this one run"


def _row(cells: list[str]) -> str:
    return "  ".join(f"{cell:<22}" for cell in cells).rstrip()
