"""Takes out of a result what a page says of it: means over seeds, and differences of two variants."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from analysis.results.schema import Result
from analysis.results.stats import Interval, cluster_interval, known, read_interval, seed_interval


class Difference(NamedTuple):
    """One variant minus another, seed by seed.

    Attributes:
        seeds: interval over training seeds.
        episodes: interval over held-out episodes; None where the two were not measured on the same ones.
        each: of each seed, where the result has it.
    """

    seeds: Interval
    episodes: Interval | None = None
    each: tuple[float, ...] = ()

    @property
    def sign(self) -> int:
        """1 or -1 if all its intervals lie on that side of zero, else 0."""
        spans = [self.seeds, self.episodes] if self.episodes else [self.seeds]
        if not all(known(span.low) and known(span.high) for span in spans):
            return 0
        return int(all(span.low > 0 for span in spans)) - int(all(span.high < 0 for span in spans))


def variants(result: Result) -> list[str]:
    """Names the variants of a result, in its order."""
    return [str(name) for name in result.axes["method"]]


def of_variant(result: Result, metric: str, variant: str, at: int | None = -1) -> np.ndarray:
    """Takes a variant's values, ``(seed,)``, or ``(seed, window or episode)`` of what held-out data measure.

    Args:
        result: that has them.
        metric: its name.
        variant: its name.
        at: which evaluation, or line of the log; None takes the mean over all.
    """
    axes, values = result.data[metric]
    mine = values[variants(result).index(variant)]
    if axes[-1] not in ("step", "log_step"):
        return mine
    return mine.mean(-1) if at is None else mine[..., at]


def over_seeds(result: Result, metric: str, variant: str, at: int | None = -1) -> Interval:
    """Averages over seeds, with the interval; arguments as for ``of_variant``."""
    values = of_variant(result, metric, variant, at)
    return seed_interval(values.reshape(len(values), -1).mean(1))


def difference(result: Result, metric: str, variant: str, reference: str, at: int | None = -1) -> Difference:
    """Compares a variant with a reference in pairs of seeds; arguments as for ``of_variant``."""
    gap = of_variant(result, metric, variant, at) - of_variant(result, metric, reference, at)
    if gap.ndim == 1:
        return Difference(seed_interval(gap), each=tuple(gap))
    episode = result.axes["episode"] if "episode" in result.axes else result.values("window/episode")
    return Difference(seed_interval(gap.mean(1)), cluster_interval(gap.mean(0), episode), tuple(gap.mean(1)))


def noted(row: Mapping[str, Any], prefix: str = "") -> Difference:
    """Reads a difference, or a mean, of which a result's notes have both intervals; ``prefix`` as in their names."""
    return Difference(*(read_interval(row[f"{prefix}over_{over}"]) for over in ("seeds", "episodes")))


def ratio(result: Result, metric: str, to: str, variant: str) -> Interval:
    """Divides what a variant's runs logged last of one metric by another, seed by seed."""
    return seed_interval(of_variant(result, metric, variant) / of_variant(result, to, variant))


def constant_error(result: Result, features: str, thing: str) -> float:
    """Averages the error of a regression that knows nothing, of an object's position."""
    return float(np.nanmean(result.values(f"constant/{features}")[..., list(result.axes["object"]).index(thing)]))
