"""Takes out of a result what a page says of it: means over seeds, and differences of two variants."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from analysis.results import comparisons
from analysis.results.schema import Result
from analysis.results.stats import Interval, known, read_interval


class Difference(NamedTuple):
    """One variant minus another, in pairs of seeds.

    Attributes:
        seeds: interval over training seeds.
        episodes: interval over held-out episodes; None where the two were not measured on the same ones.
    """

    seeds: Interval
    episodes: Interval | None = None

    @property
    def sign(self) -> int:
        """1 or -1 if all its intervals lie on that side of zero, else 0."""
        spans = [span for span in self if span is not None]
        if not all(known(span.low) and known(span.high) for span in spans):
            return 0
        return int(all(span.low > 0 for span in spans)) - int(all(span.high < 0 for span in spans))


def difference(result: Result, measure: str, variant: str, other: str) -> Difference:
    """Compares two variants by a measure of ``results.comparisons``."""
    return Difference(*comparisons.difference(result, measure, variant, other))


def noted(row: Mapping[str, Any], prefix: str = "") -> Difference:
    """Reads a difference, or a mean, of which a result's notes have both intervals; ``prefix`` as in their names."""
    return Difference(*(read_interval(row[f"{prefix}over_{over}"]) for over in ("seeds", "episodes")))


def end_of(result: Result, name: str, variant: str) -> Interval:
    """Reads what a variant's runs logged last; KeyError where they did not log it."""
    found = comparisons.end_of(result, name, variant)
    if found is None:
        raise KeyError(name)
    return found


def each(result: Result, measure: str, variant: str, other: str) -> list[float]:
    """Subtracts one variant from another, seed by seed; arguments as for ``difference``."""
    values = comparisons.measures(result)[measure].values
    one, two = (values[variants(result).index(name)] for name in (variant, other))
    return [float(np.mean(gap)) for gap in one - two]


def variants(result: Result) -> list[str]:
    """Names the variants of a result, in its order."""
    return [str(name) for name in result.axes["method"]]


def of_variant(result: Result, metric: str, variant: str) -> np.ndarray:
    """Takes a variant's values of a metric, with the axes that it has besides."""
    return result.values(metric)[variants(result).index(variant)]


def constant_error(result: Result, features: str, thing: str) -> float:
    """Averages the error of a regression that knows nothing, of an object's position."""
    return float(np.nanmean(result.values(f"constant/{features}")[..., list(result.axes["object"]).index(thing)]))
