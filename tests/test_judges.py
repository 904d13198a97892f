"""Judges of returns and of reward errors, on made-up results whose verdict is plain."""

import numpy as np
import pytest

from analysis.ledger import judges
from analysis.ledger.verdicts import MISSING, NOT_REPRODUCED, NOT_SHOWN, REPRODUCED, ResultFiles
from tests.made_up import errors_of, judged, policies_of


@pytest.mark.parametrize(
    ("returns", "expected"),
    [
        ([[1, 2, 3], [11, 12, 14]], REPRODUCED),
        ([[11, 12, 14], [1, 2, 3]], NOT_REPRODUCED),
        ([[1, 2, 3], [3, 1, 3]], NOT_SHOWN),
        ([[1], [9]], NOT_SHOWN),
    ],
)
def test_policies_are_compared_in_pairs_of_seeds(returns, expected):
    (finding,) = judges.curves("return", judges.BALANCED, "w_r=1")(ResultFiles([("file.h5", policies_of(returns))]))
    assert finding.verdict == expected and finding.source == "file.h5" and finding.scale == "reduced"
    assert finding.value.mean == pytest.approx(np.mean(returns[1]) - np.mean(returns[0]))


def test_balanced_weight_is_judged_and_others_apart():
    """Lever Pull's balanced weight is 100: that w_r = 10 is better is not the claim's."""
    found = policies_of([[1, 2, 3], [11, 12, 14], [1, 3, 2]], ("w_r=1", "w_r=10", "w_r=100"))
    chosen = judged(judges.curves("return", judges.BALANCED, "w_r=1"), found)
    assert chosen.verdict == NOT_SHOWN and "w_r=100" in chosen.ours and "w_r=10 " not in chosen.ours
    other = judged(judges.curves("return", judges.OTHERS, "w_r=1"), found)
    assert other.verdict == REPRODUCED and "w_r=10 " in other.ours and "w_r=100" not in other.ours
    found.attributes["task"] = "hammer"  # balanced at 10
    assert judged(judges.curves("return", judges.BALANCED, "w_r=1"), found).verdict == REPRODUCED
    assert "w_r=100" in judged(judges.curves("return", judges.OTHERS, "w_r=1"), found).ours


def test_intervals_of_other_weights_are_widened_for_all_that_were_compared():
    gaps = np.array([0.0, 1.0, 2.0])
    half = {95: 4.3027, 97.5: 6.2053}  # Student's t for two degrees of freedom
    for base, level, expected in ((1.8, 95, REPRODUCED), (1.8, 97.5, NOT_SHOWN)):
        returns = [[0, 0, 0], base + gaps, [0, 0, 0]]
        methods = ("w_r=1", "w_r=10", "w_r=100") if level == 97.5 else ("w_r=1", "w_r=10", "harmony")
        finding = judged(judges.curves("return", judges.OTHERS, "w_r=1"), policies_of(returns, methods))
        assert finding.verdict == expected
        assert finding.value.low == pytest.approx(base + 1 - half[level] / np.sqrt(3), abs=1e-3)
        assert ("97.5 %" in finding.ours) == (level == 97.5)


def test_task_of_a_claim_is_heeded():
    online = policies_of([[1, 2, 3], [11, 12, 14]])
    offline = errors_of([[2.0, 2.1, 2.2], [1.0, 1.1, 1.3]], ("w_r=1", "w_r=100"), "finding1")
    for judge, found in (
        (judges.curves("return", judges.BALANCED, "w_r=1", task="lever_pull"), online),
        (judges.dreams(judges.BALANCED, "w_r=1", task="lever_pull"), offline),
    ):
        assert judged(judge, found).verdict == REPRODUCED
        found.attributes["task"] = "mini_lever"
        assert judged(judge, found) == MISSING


@pytest.mark.parametrize(("over_seeds", "over_episodes"), [(0.235, 0.0), (0.01, 0.78)])
def test_errors_of_other_weights_have_both_intervals_widened(over_seeds, over_episodes):
    """Seeds, or episodes, that leave out zero at 95 % and no longer at 97.5 %."""
    apart = np.linspace(-1, 1, 10) / np.linspace(-1, 1, 10).std(ddof=1)  # of the episodes
    for third, level, expected in (("harmony", 95, REPRODUCED), ("w_r=100", 97.5, NOT_SHOWN)):
        better = 0.6 + over_seeds * np.array([-1.0, 0.0, 1.0])
        found = errors_of([[1.0] * 3, 1.0 - better, [1.0] * 3], ("w_r=1", "w_r=10", third), "finding1")
        found.data["window/error"][1][1] += over_episodes * apart.repeat(6)
        finding = judged(judges.dreams(judges.OTHERS, "w_r=1"), found)
        assert finding.verdict == expected and finding.value.mean == pytest.approx(-0.6)
        assert ("97.5 %" in finding.ours) == (level == 97.5)


def test_area_under_the_curve_counts_not_the_end():
    found = policies_of([[1, 2, 3], [11, 12, 14]])
    found.data["return"][1][:, :, -1] = 50.0  # all end alike
    (finding,) = judges.curves("return", judges.BALANCED, "w_r=1")(ResultFiles([("file.h5", found)]))
    assert finding.verdict == REPRODUCED


def test_what_cannot_be_judged_is_left_out():
    judge = judges.curves("return", judges.BALANCED, "w_r=1")
    unfinished = policies_of([[1, 2, 3], [11, 12, 14]])
    unfinished.attributes["complete"] = False
    offline = policies_of([[1, 2, 3], [11, 12, 14]], mode="offline")
    others = policies_of([[1, 2, 3], [11, 12, 14]], methods=("w_r=10", "w_r=100"))
    for found in (unfinished, offline, others):
        assert judge(ResultFiles([("file.h5", found)])) == [MISSING]


def test_the_best_of_several_references_is_taken():
    found = policies_of([[1, 2, 3], [11, 12, 14], [8, 9, 10]], ("w_r=10", "w_r=100", "harmony"))
    found.attributes["study"] = "ablations"
    (finding,) = judges.curves("return", "harmony", "w_r=10|w_r=100", study="ablations")(ResultFiles([("f", found)]))
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
def test_similar_errors_are_within_the_margin_on_both_sides(error, expected):
    found = errors_of([[1.0, 1.0, 1.0], error], ("nashmtl", "harmony"))
    judge = judges.dreams("harmony", "nashmtl", "multitask", 0, 0.1)
    assert judged(judge, found).verdict == expected


def test_dreams_need_seeds_and_episodes_to_agree():
    rng = np.random.default_rng(0)
    found = policies_of([[0, 0, 0], [0, 0, 0]], mode="offline")
    base = rng.gamma(1.0, 1.0, (3, 60))
    found.axes["window"] = np.arange(60)
    found.data["window/episode"] = (("window",), np.repeat(np.arange(10), 6).astype(float))
    judge = judges.dreams(judges.BALANCED, "w_r=1")
    for shift, expected in ((np.array([0.3, 0.31, 0.33]), REPRODUCED), (np.array([2.0, 0.1, -0.9]), NOT_SHOWN)):
        errors = np.stack([base, base - shift[:, None]])
        found.data["window/error"] = (("method", "seed", "window"), errors)
        (finding,) = judge(ResultFiles([("file.h5", found)]))
        assert finding.verdict == expected


def test_variance_is_compared_as_a_ratio():
    rng = np.random.default_rng(0)
    for scale, expected in ((50.0, REPRODUCED), (1.0, NOT_SHOWN), (0.02, NOT_REPRODUCED)):
        found = policies_of([rng.normal(size=8), scale * rng.normal(size=8)], ("w_r=100", "w_o=0,w_r=100"))
        finding = judged(judges.more_variable("return", "w_o=0,w_r=100", "w_r=100"), found)
        assert finding.verdict == expected and finding.value.low < finding.value.mean < finding.value.high
