"""Intervals of what training runs logged: each method's last values, and differences between methods seed by seed."""

from __future__ import annotations

from typing import Any

import numpy as np

from analysis.results.schema import Result
from analysis.results.stats import BOOTSTRAP_SEED, OVER_EPISODES, RESAMPLES, bounds_of, cluster_interval, seed_interval


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


def paired_differences(result: Result) -> dict[str, Any]:
    """Held-out reward error, window by window against the first method, over the seeds that both have finished.

    Two intervals, for two uncertainties: over held-out episodes (would other episodes say the same of these runs?) and
    over seeds (would other runs?).
    """
    values, episode = result.values("window/error"), result.values("window/episode")
    methods = [str(m) for m in result.axes["method"]]
    table: dict[str, Any] = {
        "metric": "window/error",
        "reference": methods[0],
        "interval": f"{OVER_EPISODES}, {RESAMPLES} resamples",
        "resampling_seed": BOOTSTRAP_SEED,
        "interval_over_seeds": "Student t over seeds, 95 %",
    }
    for i, method in enumerate(methods[1:], 1):
        both = np.isfinite(values[0]).all(1) & np.isfinite(values[i]).all(1)
        if both.any():
            difference = (values[i][both] - values[0][both]).mean(0)
            per_seed = (values[i][both] - values[0][both]).mean(1)
            table[method] = cluster_interval(difference, episode)._asdict() | {
                "over_seeds": seed_interval(per_seed)._asdict(),
                "per_seed": per_seed.tolist(),
                "share_of_windows_better": float((difference < 0).mean()),
                "median": float(np.median(difference)),
            }
    return table
