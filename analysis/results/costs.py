"""Says what an agent's learning costs: updates and seconds at each of its evaluations."""

from __future__ import annotations

import numpy as np

from analysis.results.schema import Result
from analysis.results.stats import seed_interval, show

CORES, CLOCK = "seconds/cpu", "seconds/wall"


def updates(result: Result) -> np.ndarray:
    """Returns ``(method, seed, step)``, the updates that a run has made at each evaluation; NaN where not known.

    They are interpolated between the lines of training metrics, and none before the first, which follows the first
    updates.
    """
    evaluated = np.isfinite(result.values("return"))
    found = np.full(evaluated.shape, np.nan)
    if "updates" not in result.data:
        return found
    steps, made = result.axes["log_step"], result.values("updates")
    for run in np.ndindex(found.shape[:2]):
        known = np.isfinite(made[run])
        if known.any():
            at = np.interp(result.axes["step"], steps[known], made[run][known], left=0)
            found[run] = np.where(evaluated[run], at, np.nan)
    return found


def clock(result: Result) -> str:
    """Returns the metric that tells what runs took; empty if none does.

    On a processor these are seconds on its cores, which do not depend on what else the machine does. Where a GPU
    computes, or where that was not measured, they are wall-clock seconds.
    """
    processor = result.attributes["device"].endswith("cores")  # as provenance.device_name has it
    kinds = (CORES, CLOCK) if processor else (CLOCK,)
    return next((kind for kind in kinds if kind in result.data and np.isfinite(result.values(kind)).all()), "")


def seconds(result: Result) -> np.ndarray:
    """Returns ``(method, seed, step)``, the seconds that a run has taken at each evaluation; NaN where not known.

    A run's seconds are measured as a whole, evaluations included. They are spread over its updates, which take most of
    them.
    """
    made = updates(result)
    if not (kind := clock(result)):
        return np.full(made.shape, np.nan)
    return made / made[..., -1:] * result.values(kind)[..., None]


def lines(result: Result) -> dict[str, str]:
    """Returns by method how many updates a run makes and how many minutes it takes, where that is known."""
    made, took, found = updates(result)[..., -1], seconds(result)[..., -1], {}
    for method, count, time in zip(result.methods, made, took, strict=True):
        if np.isfinite(count).all():
            minutes = f" in {show(seed_interval(time / 60))} minutes" if np.isfinite(time).all() else ""
            found[method] = f"{count.mean():,.0f} updates{minutes}"
    return found
