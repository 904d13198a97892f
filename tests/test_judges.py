"""The rule of verdicts, and judges of returns and of reward errors on made-up results whose verdict is plain."""

import re

import numpy as np
import pytest

from analysis.ledger import judges
from analysis.ledger.verdicts import MISSING, NOT_REPRODUCED, NOT_SHOWN, REPRODUCED, ResultFiles, verdict
from analysis.results.stats import Interval
from tests.made_up import errors_of, judged, policies_of


@pytest.mark.parametrize(
    ("want", "margin", "spans", "expected"),
    [
        (1, 0.0, [(0.1, 0.5)], REPRODUCED),
        (-1, 0.0, [(0.1, 0.5)], NOT_REPRODUCED),
        (-1, 0.0, [(-0.5, -0.1)], REPRODUCED),
        (1, 0.0, [(-0.1, 0.5)], NOT_SHOWN),
        (1, 0.0, [(0.1, 0.5), (-0.1, 0.6)], NOT_SHOWN),  # all intervals must leave out zero
        (1, 0.0, [(0.1, 0.5), (0.2, 0.6)], REPRODUCED),
        (1, 0.0, [(np.nan, np.nan)], NOT_SHOWN),
        (1, 0.05, [(-0.04, 0.3)], REPRODUCED),  # no worse
        (1, 0.05, [(-0.06, 0.3)], NOT_SHOWN),
        (1, 0.05, [(-0.3, -0.06)], NOT_REPRODUCED),
        (-1, 0.05, [(-0.3, 0.04)], REPRODUCED),
        (0, 0.05, [(-0.04, 0.04)], REPRODUCED),  # similar: there are two sides
        (0, 0.05, [(-0.06, 0.04)], NOT_SHOWN),
        (0, 0.05, [(-0.04, 0.06)], NOT_SHOWN),
        (0, 0.05, [(0.06, 0.3)], NOT_REPRODUCED),
        (0, 0.05, [(-0.3, -0.06)], NOT_REPRODUCED),
        (0, 0.05, [(-0.04, 0.04), (-0.01, 0.01)], REPRODUCED),
        (0, 0.05, [(-0.06, 0.04), (-0.01, 0.01)], NOT_SHOWN),
        (0, 0.05, [(0.06, 0.3), (-0.01, 0.01)], NOT_SHOWN),
        (0, 0.05, [(-0.3, -0.06), (-0.01, 0.01)], NOT_SHOWN),
    ],
)
def test_rule_of_verdicts(want, margin, spans, expected):
    found = [Interval(0.0, low, high) for low, high in spans]
    assert verdict(found, want, 3, margin) == expected
    assert verdict(found, want, 2, margin) == NOT_SHOWN  # two seeds show nothing


def by_return(method=judges.BALANCED, reference="w_r=1", **more):
    return judges.compared(method, reference, ["return"], **more)


def by_error(method=judges.BALANCED, reference="w_r=1", **more):
    return judges.compared(method, reference, [judges.REWARD_ERROR], **more)


@pytest.mark.parametrize(
    ("returns", "expected"),
    [
        ([[1, 2, 3], [11, 12, 14]], REPRODUCED),
        ([[11, 12, 14], [1, 2, 3]], NOT_REPRODUCED),
        ([[1, 2, 3], [3, 1, 3]], NOT_SHOWN),
        ([[1], [9]], NOT_SHOWN),
    ],
)
def test_policies_are_compared_by_their_areas_in_pairs_of_seeds(returns, expected):
    found = policies_of(returns)
    found.data["return"][1][:, :, -1] = 50.0  # all end alike
    finding = judged(by_return(), found)
    assert finding.verdict == expected and finding.source == "file.h5" and finding.scale == "reduced"
    assert finding.value.mean == pytest.approx(2 / 3 * (np.mean(returns[1]) - np.mean(returns[0])))


def test_balanced_weight_is_judged_and_others_apart():
    """Lever Pull's balanced weight is 100: that w_r = 10 is better is not the claim's."""
    found = policies_of([[1, 2, 3], [11, 12, 14], [1, 3, 2]], ("w_r=1", "w_r=10", "w_r=100"))
    chosen, other = (judged(by_return(method), found) for method in (judges.BALANCED, judges.OTHERS))
    assert chosen.verdict == NOT_SHOWN and "w_r=100" in chosen.ours and "w_r=10 " not in chosen.ours
    assert other.verdict == REPRODUCED and "w_r=10 " in other.ours and "w_r=100" not in other.ours
    found.attributes["task"] = "hammer"  # balanced at 10
    assert judged(by_return(), found).verdict == REPRODUCED
    assert "w_r=100" in judged(by_return(judges.OTHERS), found).ours


@pytest.mark.parametrize(("third", "level", "expected"), [("harmony", 95, REPRODUCED), ("w_r=100", 97.5, NOT_SHOWN)])
def test_intervals_of_other_weights_are_widened_for_all_that_were_compared(third, level, expected):
    """Of returns, and of errors over seeds and over episodes, that leave out zero at 95 % and no longer at 97.5 %."""
    methods = ("w_r=1", "w_r=10", third)
    returns = judged(by_return(judges.OTHERS), policies_of([[0] * 3, [1.8, 2.8, 3.8], [0] * 3], methods))
    student = {95: 4.3027, 97.5: 6.2053}[level]  # for two degrees of freedom
    assert returns.value.low == pytest.approx(2.8 - student / np.sqrt(3), abs=1e-3)
    apart = np.linspace(-1, 1, 10) / np.linspace(-1, 1, 10).std(ddof=1)  # of the episodes
    findings = [returns]
    for over_seeds, over_episodes in ((0.235, 0.0), (0.01, 0.78)):
        better = 0.6 + over_seeds * np.array([-1.0, 0.0, 1.0])
        found = errors_of([[1.0] * 3, 1.0 - better, [1.0] * 3], methods, "finding1")
        found.data["window/error"][1][1] += over_episodes * apart.repeat(6)
        findings.append(judged(by_error(judges.OTHERS), found))
        assert findings[-1].value.mean == pytest.approx(-0.6)
    assert [finding.verdict for finding in findings] == [expected] * 3
    assert all(("97.5 %" in finding.ours) == (level == 97.5) for finding in findings)


def test_what_cannot_be_judged_is_left_out():
    online = policies_of([[1, 2, 3], [11, 12, 14]])
    offline = errors_of([[2.0, 2.1, 2.2], [1.0, 1.1, 1.3]], ("w_r=1", "w_r=100"), "finding1")
    for judge, found in ((by_return(task="lever_pull"), online), (by_error(task="lever_pull"), offline)):
        assert judged(judge, found).verdict == REPRODUCED
        for name, value in (("complete", False), ("task", "mini_lever"), ("study", "ablations"), ("mode", "neither")):
            kept = dict(found.attributes)
            found.attributes[name] = value
            assert judged(judge, found) == MISSING
            found.attributes = kept
    assert judged(by_return(), policies_of([[1, 2, 3], [11, 12, 14]], ("w_r=10", "w_r=100"))) == MISSING


def test_the_best_of_several_references_is_taken():
    found = policies_of([[1, 2, 3], [11, 12, 14], [8, 9, 10]], ("w_r=10", "w_r=100", "harmony"))
    found.attributes["study"] = "ablations"
    finding = judged(by_return("harmony", "w_r=10|w_r=100", study="ablations"), found)
    assert "w_r=100" in finding.ours and "w_r=10 " not in finding.ours and finding.verdict == NOT_REPRODUCED


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ([1.01, 0.99, 1.02], REPRODUCED),
        ([0.6, 0.61, 0.62], NOT_REPRODUCED),  # far better is not similar
        ([1.5, 1.51, 1.52], NOT_REPRODUCED),
        ([0.8, 1.0, 1.2], NOT_SHOWN),
        ([1.1, 1.11, 1.09], NOT_SHOWN),  # at the margin of 10 %
    ],
)
def test_similar_errors_are_within_the_margin_on_both_sides_and_not_of_collapsed_models(error, expected):
    found = errors_of([[1.0, 1.0, 1.0], error], ("nashmtl", "harmony"))
    asked = {"study": "multitask", "want": 0, "margin": 0.1}
    assert judged(by_error("harmony", "nashmtl", **asked), found).verdict == expected
    judge = by_error("harmony", "nashmtl", **asked, collapsing="nashmtl")
    found.axes["log_step"] = np.arange(2)
    for last, seen in ((3.5, expected), (1e-4, NOT_SHOWN)):  # its dynamics loss at the end
        ends = np.array([[[4.0, last]] * 3, [[4.0, 3.5]] * 3])
        found.data["loss/dynamics"] = (("method", "seed", "log_step"), ends)
        finding = judged(judge, found)
        assert finding.verdict == seen and re.search(rf"\b{last:g} .*nashmtl.*\b3\.5 .*harmony", finding.ours)
    assert judge(ResultFiles([])) == [MISSING]


def test_dreams_need_seeds_and_episodes_to_agree():
    for better, expected in (([0.3, 0.31, 0.33], REPRODUCED), ([2.0, 0.1, -0.9], NOT_SHOWN)):
        found = errors_of([[3.0] * 3, 3 - np.array(better)], ("w_r=1", "w_r=100"), "finding1")
        assert judged(by_error(), found).verdict == expected


def test_variance_is_compared_as_a_ratio():
    rng = np.random.default_rng(0)
    for scale, expected in ((50.0, REPRODUCED), (1.0, NOT_SHOWN), (0.02, NOT_REPRODUCED)):
        found = policies_of([rng.normal(size=8), scale * rng.normal(size=8)], ("w_r=100", "w_o=0,w_r=100"))
        finding = judged(judges.more_variable("return", "w_o=0,w_r=100", "w_r=100"), found)
        assert finding.verdict == expected and finding.value.low < finding.value.mean < finding.value.high
