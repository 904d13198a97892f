"""Computes what the figure of wrong predictions draws besides the analysis's cases."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from analysis.results.schema import Result
from analysis.results.stats import Interval, cluster_interval
from analysis.results.wrong_dreams import known_cases, weights

BINS = 5  # of dreamed probability


def blind(result: Result, event: str, wrong: str, which: Sequence[int]) -> float:
    """Returns the rate of a model that ignores actions, under some alternatives; NaN without a case."""
    at = list(result.axes["reference"]).index("ignores actions")
    rates = result.values(f"reference/{event}/{wrong}_rate")[at][which]
    mass = (known_cases(result, event, wrong)[which] * weights(result, wrong)).sum(-1)
    some = mass > 0
    return float(np.average(rates[some], weights=mass[some])) if some.any() else np.nan


def frequencies(result: Result, event: str, method: int) -> Iterator[tuple[float, Interval, int]]:
    """Yields for each bin of predicted probability its mean, the true frequency, and the number of predictions.

    All seeds and actions are pooled and weighted as in the record. The frequency has its interval over episodes.
    """
    probability = result.values(f"{event}/probability")[method]  # (seed, alternative, branch)
    happened, episode, weight = (
        np.broadcast_to(result.values(name), probability.shape)
        for name in (f"{event}/happened", "branch/episode", "branch/weight")
    )
    known = np.isfinite(happened) & np.isfinite(probability)
    bins = np.minimum((np.where(known, probability, 0) * BINS).astype(int), BINS - 1)
    for k in range(BINS):
        some = known & (bins == k)
        if some.any():
            at = float(np.average(probability[some], weights=weight[some]))
            yield at, cluster_interval(happened[some], episode[some], weight=weight[some]), int(some.sum())
