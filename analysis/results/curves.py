"""Intervals of what policies and models score at the last evaluation that every run has reached."""

from __future__ import annotations

from typing import Any

import numpy as np

from analysis.results.schema import Result
from analysis.results.stats import bounds_of, seed_interval


def final_intervals(result: Result) -> dict[str, Any]:
    """Mean and 95 % interval over seeds of each evaluation metric, at the last step that every run has reached."""
    table: dict[str, Any] = {"interval": "Student t over seeds, 95 %"}
    for name, (axes, values) in result.data.items():
        if axes != ("method", "seed", "step"):
            continue
        reached = np.flatnonzero(np.isfinite(values).all((0, 1)))
        if len(reached):
            at = reached[-1]
            within = bounds_of(name)
            spans = [seed_interval(one[:, at], within=within)._asdict() for one in values]  # of the methods
            by_method = dict(zip(map(str, result.axes["method"]), spans, strict=True))
            table[name] = {"step": int(result.axes["step"][at]), **by_method}
    return table
