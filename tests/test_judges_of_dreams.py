"""Judges of wrong dreams and of frames, on made-up results whose verdict is plain."""

import re

import numpy as np
import pytest

from analysis.ledger import judges_of_dreams
from analysis.ledger.verdicts import MISSING, NOT_MEASURED, NOT_REPRODUCED, NOT_SHOWN, REPRODUCED, ResultFiles
from tests.made_up import SIGNS, judged, of, paired, policies_of, span


def counterfactual_of(hallucinations, misses):
    """Made-up rates: paired differences to w_r = 1 with the given ends over seeds."""
    found = policies_of([[0, 0, 0], [0, 0, 0]], mode="offline")
    found.attributes["study"] = "counterfactual"
    found.notes = {"final": {"reference": "w_r=1"}}
    for name, ends in (("hallucination", hallucinations), ("miss", misses)):
        row = paired(*ends)
        found.notes["final"][f"reward/{name}_rate"] = {"cases": 20, "episodes": 5, "w_r=1": row, "w_r=100": row}
    return found


def test_a_model_that_dreams_of_nothing_does_not_win():
    judge = judges_of_dreams.wrong_dreams("reward", "hallucination")
    for misses, expected in (((-0.1, 0.04), REPRODUCED), ((-0.1, 0.1), NOT_SHOWN), ((0.2, 0.4), NOT_SHOWN)):
        (finding,) = judge(ResultFiles([("file.h5", counterfactual_of((-0.3, -0.1), misses))]))
        assert finding.verdict == expected
    (finding,) = judges_of_dreams.wrong_dreams("reward", "miss", 0.05)(
        ResultFiles([("file.h5", counterfactual_of((-0.3, -0.1), (-0.1, 0.04)))])
    )
    assert finding.verdict == REPRODUCED  # no more misses, within the margin


@pytest.mark.parametrize(("missed", "expected"), [((0.99, 0.96), NOT_SHOWN), ((0.99, 0.9), REPRODUCED)])
def test_models_that_both_miss_nearly_all_do_not_show_that_none_is_lost(missed, expected):
    found = counterfactual_of((-0.3, -0.1), (-0.1, 0.04))
    row = found.notes["final"]["reward/miss_rate"]
    for method, share in zip(("w_r=1", "w_r=100"), missed, strict=True):
        row[method] = row[method] | {"over_seeds": span(share, share)}
    assert judged(judges_of_dreams.wrong_dreams("reward", "miss", 0.05), found).verdict == expected


def test_the_reverse_counts_only_if_w_r_1_does_not_win_by_dreaming_of_nothing():
    judge = judges_of_dreams.wrong_dreams("reward", "hallucination")
    for misses, expected in (((-0.04, 0.1), NOT_REPRODUCED), ((-0.1, 0.1), NOT_SHOWN), ((-0.4, -0.2), NOT_SHOWN)):
        assert judged(judge, counterfactual_of((0.1, 0.3), misses)).verdict == expected


def test_a_probe_that_sees_motion_everywhere_or_nowhere_is_not_judged():
    found = counterfactual_of((-0.3, -0.1), (-0.1, 0.0))
    found.notes["final"] |= {name.replace("reward", "object"): row for name, row in found.notes["final"].items()}
    for floor, seen, expected in ((0.1, 0.8, REPRODUCED), (0.9, 0.9, NOT_MEASURED), (0.1, 0.2, NOT_MEASURED)):
        for key, value in (("floor", floor), ("seen", seen)):
            found.data[f"object/{key}"] = (("method", "seed"), np.full((2, 3), value))
        (finding,) = judges_of_dreams.wrong_dreams("object", "hallucination")(ResultFiles([("file.h5", found)]))
        assert finding.verdict == expected
    found.notes["final"]["object/miss_rate"]["cases"] = 19
    found.data |= {
        f"object/{key}": (("method", "seed"), np.full((2, 3), x)) for key, x in (("floor", 0.1), ("seen", 0.8))
    }
    finding = judged(judges_of_dreams.wrong_dreams("object", "hallucination"), found)
    assert finding.verdict == NOT_MEASURED and " 19 " in finding.ours
    found.notes["final"]["object/miss_rate"]["cases"] = 20
    found.data |= {f"object/{key}": (("method", "seed"), np.full((2, 3), value)) for key, value in
                   (("floor", 0.1), ("seen", 0.8), ("quiet", 0.06))}  # fmt: skip
    found.data["object/quiet"][1][0] = 0.08  # metres, of w_r = 1
    finding = judged(judges_of_dreams.wrong_dreams("object", "hallucination"), found)
    assert re.search(r"\b6 cm .*w_r=100.*\b8 cm .*w_r=1\b", finding.ours)


@pytest.mark.parametrize(("ends", "side"), SIGNS)
def test_frames_want_the_balanced_model_right_more_often(ends, side):
    share = {"over_seeds": span(0.1, 0.2)}
    row = {"windows": 40, "only first right": share, "only second right": share, "difference": paired(*ends, prefix="")}
    found = of("finding2", {}, final={"moving": row, "still": row | {"windows": 0}})
    finding = judged(judges_of_dreams.frames(), found)
    assert finding.verdict == {1: REPRODUCED, -1: NOT_REPRODUCED, 0: NOT_SHOWN}[side] and " 40 " in finding.ours


@pytest.mark.parametrize(("ends", "side"), SIGNS)
def test_made_up_wants_the_original_model_to_make_up_more(ends, side):
    share = {"over_seeds": span(0.1, 0.2)}
    row = {"windows": 40, "made up by first": share, "made up by second": share}
    found = of("finding2", {}, final={"still": row | {"difference in made up": paired(*ends, prefix="")}})
    finding = judged(judges_of_dreams.made_up(), found)
    assert finding.verdict == {1: REPRODUCED, -1: NOT_REPRODUCED, 0: NOT_SHOWN}[side] and " 40 " in finding.ours
    assert judged(judges_of_dreams.made_up(), of("finding2", {}, final={"still": row})) == MISSING  # an older file
    found.axes["method"] = np.array(["w_r=1", "w_r=10"])
    assert judged(judges_of_dreams.made_up(), found) == MISSING


def test_frames_of_other_methods_or_of_no_windows_are_not_judged():
    share = {"over_seeds": span(0.1, 0.2)}
    row = {"windows": 40, "only first right": share, "only second right": share, "difference": paired(0.1, 0.2, "")}
    none = row | {"windows": 0}
    others = of("finding2", {}, methods=("w_r=1", "w_r=10"), final={"moving": row, "still": row})
    for found in (others, of("finding2", {}, final={"moving": none, "still": none})):
        assert judged(judges_of_dreams.frames(), found) == MISSING


@pytest.mark.parametrize(("ends", "side"), SIGNS)
def test_observations_help_if_without_them_the_error_is_higher(ends, side):
    methods = ("w_r=100", "w_o=0,w_r=100")
    final = {"reference": "w_r=100"} | {name: paired(*ends) for name in methods}
    data = {"window/episode": (("window",), np.repeat([3.0, 8.0], 20))}
    finding = judged(
        judges_of_dreams.without_observations(), of("reward_mse", data, {"window": np.arange(40)}, methods, final=final)
    )
    assert finding.verdict == {1: REPRODUCED, -1: NOT_REPRODUCED, 0: NOT_SHOWN}[side]
    assert re.search(r"\b40 .*\b2 ", finding.ours)
