"""Computes intervals over few seeds and over many windows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import scipy  # which imports scipy.stats when it is first used

BOOTSTRAP_SEED = 0
RESAMPLES = 10_000
FEWEST_CLUSTERS = 5
Bounds = tuple[float, float]
ANY: Bounds = (-np.inf, np.inf)
FIXED = 1e-6  # squared distance in any unit: a position with a smaller error never moves
SHARE, SHARES_APART = (0.0, 1.0), (-1.0, 1.0)  # range of a proportion, and of the difference of two
OVER_SEEDS = "Student t over training seeds, 95 %"
OVER_EPISODES = "percentile bootstrap over held-out episodes, widened for their number, seeds averaged, 95 %"


class Interval(NamedTuple):
    """Holds a mean with the ends of its 95 % interval."""

    mean: float
    low: float
    high: float


def bounds_of(metric: str) -> Bounds:
    """Returns the range of a metric of runs: ``success`` is a proportion."""
    return SHARE if metric == "success" else ANY


def known(end: float | None) -> bool:
    """Returns whether an interval's end is known; a result from a file has None for NaN."""
    return end is not None and math.isfinite(end)


def show(interval: Interval | Mapping[str, float | None]) -> str:
    """Formats an interval: ``0.58 [0.45, 0.74]``; without the brackets if its ends are not known."""
    mean, low, high = interval if isinstance(interval, Interval) else read_interval(interval)
    if not known(mean):
        return "-"
    return f"{mean:.3g} [{low:.3g}, {high:.3g}]" if known(low) else f"{mean:.3g}"


def seed_interval(values: np.ndarray, confidence: float = 0.95, within: Bounds = ANY) -> Interval:
    """Returns the mean over seeds with Student's t interval, cut to the range of the measure.

    The ends are NaN with fewer than two finite values, and where all values are equal. An interval of no width would
    say that seeds do not matter, when a coarse measure (a share of ten episodes) may just not show a difference.

    Args:
        values: ``(seeds,)``; NaN marks a seed that is missing.
        confidence: of the interval.
        within: least and greatest possible value, e.g. ``SHARE``.
    """
    finite = np.asarray(values, np.float64)[np.isfinite(values)]
    if not len(finite):
        return Interval(np.nan, np.nan, np.nan)
    mean = float(finite.mean())
    if len(finite) < 2 or np.ptp(finite) == 0:
        return Interval(mean, np.nan, np.nan)
    half = float(scipy.stats.t.ppf(0.5 + confidence / 2, len(finite) - 1) * finite.std(ddof=1) / np.sqrt(len(finite)))
    return Interval(mean, max(mean - half, within[0]), min(mean + half, within[1]))


def t_factor(seeds: int, confidence: float = 0.95) -> float:
    """Returns by how many standard deviations over seeds Student's t interval of their mean reaches to each side."""
    return float(scipy.stats.t.ppf(0.5 + confidence / 2, seeds - 1) / np.sqrt(seeds))


def welch_interval(values: np.ndarray, reference: np.ndarray, confidence: float = 0.95) -> Interval:
    """Returns the difference of two means over seeds that are not pairs, with Welch's interval.

    The ends are NaN with fewer than two finite values on a side, or where neither side varies.

    Args:
        values: ``(seeds,)``; NaN marks a seed that is missing.
        reference: ``(seeds,)``, whose mean is subtracted.
        confidence: of the interval.
    """
    sides = [np.asarray(side, np.float64)[np.isfinite(side)] for side in (values, reference)]
    if not all(map(len, sides)):
        return Interval(np.nan, np.nan, np.nan)
    mean = float(sides[0].mean() - sides[1].mean())
    if min(map(len, sides)) < 2 or max(map(np.ptp, sides)) == 0:
        return Interval(mean, np.nan, np.nan)
    span = scipy.stats.ttest_ind(*sides, equal_var=False).confidence_interval(confidence)
    return Interval(mean, float(span.low), float(span.high))


def cluster_interval(
    values: np.ndarray, cluster: np.ndarray, confidence: float = 0.95, weight: np.ndarray | None = None
) -> Interval:
    """Returns the mean over many windows, with a percentile bootstrap over the episodes that they are from.

    Windows of one episode are alike, so whole episodes are resampled; resampling windows would make the interval too
    narrow. A bootstrap of few clusters is too narrow as well, so the percentiles lie further out (the expanded
    percentile interval: Hesterberg, "What teachers should know about the bootstrap", 2015). With fewer than five
    episodes the ends are NaN.

    Args:
        values: ``(W,)``, one per held-out window (already averaged over seeds), e.g. paired differences.
        cluster: ``(W,)``, the episode of each window.
        confidence: of the interval.
        weight: ``(W,)`` of the windows in the mean; None counts them alike.
    """
    values = np.asarray(values, np.float64)
    weight = np.ones(len(values)) if weight is None else np.asarray(weight, np.float64)
    _, index = np.unique(cluster, return_inverse=True)
    sums, weights = np.bincount(index, values * weight), np.bincount(index, weight)  # (episodes,) each
    mean, n = float(sums.sum() / weights.sum()), len(sums)
    if n < FEWEST_CLUSTERS:
        return Interval(mean, np.nan, np.nan)
    rng = np.random.default_rng(BOOTSTRAP_SEED)
    drawn = rng.integers(0, n, (RESAMPLES, n))
    means = sums[drawn].sum(1) / weights[drawn].sum(1)
    tail = scipy.stats.norm.cdf(np.sqrt(n / (n - 1)) * scipy.stats.t.ppf(0.5 - confidence / 2, n - 1))
    low, high = np.quantile(means, [tail, 1 - tail])
    return Interval(mean, float(low), float(high))


def variance_ratio(values: np.ndarray, reference: np.ndarray, confidence: float = 0.95) -> Interval:
    """Returns the ratio of two variances over seeds, with the F interval for normal values.

    All three numbers are NaN with fewer than two finite values on a side, or where a side does not vary.

    Args:
        values: ``(seeds,)``; NaN marks a seed that is missing.
        reference: ``(seeds,)``, of the other method.
        confidence: of the interval.
    """
    sides = [np.asarray(side, np.float64)[np.isfinite(side)] for side in (values, reference)]
    if min(map(len, sides)) < 2 or min(map(np.ptp, sides)) == 0:
        return Interval(np.nan, np.nan, np.nan)
    ratio = float(sides[0].var(ddof=1) / sides[1].var(ddof=1))
    freedom = [len(side) - 1 for side in sides]
    low, high = (float(ratio / scipy.stats.f.ppf(p, *freedom)) for p in (0.5 + confidence / 2, 0.5 - confidence / 2))
    return Interval(ratio, low, high)


def rank_correlation(values: np.ndarray, others: np.ndarray, confidence: float = 0.95) -> Interval:
    """Returns Spearman's rank correlation of two measures of the same runs, with Fisher's interval.

    All three numbers are NaN where a measure does not vary; the ends with fewer than four runs that have both.

    Args:
        values: ``(runs,)``; NaN marks what is missing.
        others: ``(runs,)``.
        confidence: of the interval.
    """
    both = np.isfinite(values) & np.isfinite(others)
    if both.sum() < 2 or min(np.ptp(values[both]), np.ptp(others[both])) == 0:
        return Interval(np.nan, np.nan, np.nan)
    found = scipy.stats.pearsonr(*(scipy.stats.rankdata(side[both]) for side in (values, others)))
    if both.sum() < 4:
        return Interval(float(found.statistic), np.nan, np.nan)
    return Interval(float(found.statistic), *map(float, found.confidence_interval(confidence)))


def both_intervals(
    values: np.ndarray,
    cluster: np.ndarray,
    prefix: str = "",
    within: Bounds = ANY,
    weight: np.ndarray | None = None,
) -> dict[str, dict[str, float]]:
    """Returns both intervals of a mean: for other seeds, and for other episodes of these runs.

    Args:
        values: ``(seeds, W)``, one per training seed and held-out window.
        cluster: ``(W,)``, the episode of each window.
        prefix: of the names, e.g. ``paired_``.
        within: least and greatest possible value.
        weight: ``(W,)`` of the windows in the mean; None counts them alike.

    Returns:
        ``over_seeds`` and ``over_episodes``, each an interval as plain values.
    """
    return {
        f"{prefix}over_seeds": seed_interval(np.average(values, 1, weight), within=within)._asdict(),
        f"{prefix}over_episodes": cluster_interval(values.mean(0), cluster, weight=weight)._asdict(),
    }


def read_interval(interval: Mapping[str, float | None]) -> Interval:
    """Reads an interval from a result's notes, where a file has None for NaN."""
    return Interval(*(np.nan if interval[end] is None else interval[end] for end in Interval._fields))
