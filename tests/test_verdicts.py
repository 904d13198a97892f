"""The rule of verdicts."""

import numpy as np
import pytest

from analysis.ledger.verdicts import NOT_REPRODUCED, NOT_SHOWN, REPRODUCED, verdict
from analysis.results.stats import Interval


@pytest.mark.parametrize(
    ("spans", "want", "expected"),
    [
        ([(0.1, 0.5)], 1, REPRODUCED),
        ([(0.1, 0.5)], -1, NOT_REPRODUCED),
        ([(-0.5, -0.1)], -1, REPRODUCED),
        ([(-0.1, 0.5)], 1, NOT_SHOWN),
        ([(0.1, 0.5), (-0.1, 0.6)], 1, NOT_SHOWN),  # all intervals must leave out zero
        ([(0.1, 0.5), (0.2, 0.6)], 1, REPRODUCED),
        ([(np.nan, np.nan)], 1, NOT_SHOWN),
    ],
)
def test_rule_of_verdicts(spans, want, expected):
    found = [Interval(0.0, low, high) for low, high in spans]
    assert verdict(found, want, seeds=3) == expected
    assert verdict(found, want, seeds=2) == NOT_SHOWN  # two seeds show nothing


def test_rule_of_no_worse():
    assert verdict([Interval(0, -0.04, 0.3)], 1, 3, margin=0.05) == REPRODUCED
    assert verdict([Interval(0, -0.06, 0.3)], 1, 3, margin=0.05) == NOT_SHOWN
    assert verdict([Interval(0, -0.3, -0.06)], 1, 3, margin=0.05) == NOT_REPRODUCED
    assert verdict([Interval(0, -0.3, 0.04)], -1, 3, margin=0.05) == REPRODUCED


@pytest.mark.parametrize(
    ("ends", "expected"),
    [
        ((-0.04, 0.04), REPRODUCED),
        ((-0.06, 0.04), NOT_SHOWN),
        ((-0.04, 0.06), NOT_SHOWN),
        ((0.06, 0.3), NOT_REPRODUCED),
        ((-0.3, -0.06), NOT_REPRODUCED),
    ],
)
def test_rule_of_similar_has_two_sides(ends, expected):
    assert verdict([Interval(0, *ends)], 0, 3, margin=0.05) == expected
    assert verdict([Interval(0, *ends)], 0, 2, margin=0.05) == NOT_SHOWN
    both = [Interval(0, *ends), Interval(0, -0.01, 0.01)]  # on neither side, or on both, they do not agree
    assert verdict(both, 0, 3, margin=0.05) == (REPRODUCED if expected == REPRODUCED else NOT_SHOWN)
