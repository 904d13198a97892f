"""Judges of what trained models dream and of what their features tell, on made-up results whose verdict is plain."""

import re

import numpy as np
import pytest

from analysis.ledger import judges_of_models as judges
from analysis.ledger.verdicts import MISSING, NOT_MEASURED, NOT_REPRODUCED, NOT_SHOWN, REPRODUCED, ResultFiles
from analysis.results.stats import Interval
from tests.made_up import judged, of, paired, span

WITHOUT = ("w_r=100", "w_o=0,w_r=100")


def counterfactual(hallucinations, misses):
    """Made-up rates: paired differences to w_r = 1 with the given ends over seeds."""
    found = of("counterfactual", {}, final={"reference": "w_r=1"})
    for name, ends in (("hallucination", hallucinations), ("miss", misses)):
        row = dict.fromkeys(("w_r=1", "w_r=100"), paired(*ends))
        found.notes["final"][f"reward/{name}_rate"] = row | {"cases": 20, "episodes": 5}
    return found


def finding2(ends, still=(), **more):
    """Made-up shares in 40 windows whose reward stands still; differences have the given ends."""
    named, share = ("only first right", "only second right", "made up by first", "made up by second"), span(0.1, 0.2)
    row = {"windows": 40} | {name: {"over_seeds": share} for name in named}
    row |= dict.fromkeys(("difference", "difference in made up"), paired(*ends, prefix=""))
    return of("finding2", {}, final={"moving": row | {"windows": 0}, "still": row | dict(still)}, **more)


def reward_mse(ends):
    final = {"reference": "w_r=100"} | dict.fromkeys(WITHOUT, paired(*ends))
    data = {"window/episode": (("window",), np.repeat([3.0, 8.0], 20))}
    return of("reward_mse", data, {"window": np.arange(40)}, WITHOUT, final=final)


def regressed(table, data="agents", **more):
    """A made-up result of a regression, from its rows by position."""
    final = {"reference": "w_r=1", "unit": "cm^2", "posterior": table}
    found = of("state_regression", {}, final=final, **more)
    found.notes["protocol"] = {"data": data}
    return found


def positions(ends):
    row = {"w_r=1": paired(5, 5), "w_r=100": paired(*ends)}
    return regressed({"hand": {"w_r=1": paired(0, 0), "w_r=100": paired(5, 7)}, "lever": row, "goal": row})


@pytest.mark.parametrize(
    ("judge", "found", "want", "told"),
    [
        (judges.frames(), finding2, 1, r" 40 "),  # the balanced model is right more often
        (judges.made_up(), finding2, 1, r" 40 "),  # the original one makes up more
        (judges.without_observations(), reward_mse, 1, r"\b40 .*\b2 "),  # without them the error is higher
        (judges.regression("posterior"), positions, -1, r"agents.*lever.*hand 6 .*\b0\b"),  # less error, not the hand's
    ],
    ids=["frames", "made_up", "without_observations", "regression"],
)
@pytest.mark.parametrize("ends", [(-0.3, -0.1), (0.1, 0.3), (-0.1, 0.3)])
def test_a_difference_is_on_the_claims_side_or_not(judge, found, want, told, ends):
    finding = judged(judge, found(ends))
    side = want * (np.sign(ends[0]) + np.sign(ends[1])) / 2
    assert finding.verdict == {1: REPRODUCED, -1: NOT_REPRODUCED, 0: NOT_SHOWN}[side]
    assert finding.value == Interval(*span(*ends).values()) and re.search(told, finding.ours)


def test_frames_of_other_methods_or_of_no_windows_or_files_of_older_ones_are_not_judged():
    others = finding2((0.1, 0.2), methods=("w_r=1", "w_r=10"))
    assert judged(judges.frames(), others) == judged(judges.made_up(), others) == MISSING
    assert judged(judges.frames(), finding2((0.1, 0.2), {"windows": 0})) == MISSING
    older = finding2((0.1, 0.2))
    del older.notes["final"]["still"]["difference in made up"]
    assert judged(judges.made_up(), older) == MISSING


@pytest.mark.parametrize(
    ("hallucinations", "misses", "expected"),
    [
        ((-0.3, -0.1), (-0.1, 0.04), REPRODUCED),
        ((-0.3, -0.1), (-0.1, 0.1), NOT_SHOWN),
        ((-0.3, -0.1), (0.2, 0.4), NOT_SHOWN),
        ((0.1, 0.3), (-0.04, 0.1), NOT_REPRODUCED),  # the same holds for w_r = 1
        ((0.1, 0.3), (-0.1, 0.1), NOT_SHOWN),
        ((0.1, 0.3), (-0.4, -0.2), NOT_SHOWN),
    ],
)
def test_a_model_that_dreams_of_nothing_does_not_win(hallucinations, misses, expected):
    judge = judges.wrong_dreams("reward", "hallucination")
    assert judged(judge, counterfactual(hallucinations, misses)).verdict == expected


@pytest.mark.parametrize(("missed", "expected"), [((0.99, 0.96), NOT_SHOWN), ((0.99, 0.9), REPRODUCED)])
def test_models_that_both_miss_nearly_all_do_not_show_that_none_is_lost(missed, expected):
    found = counterfactual((-0.3, -0.1), (-0.1, 0.04))  # no more misses, within the margin
    judge = judges.wrong_dreams("reward", "miss", 0.05)
    assert judged(judge, found).verdict == REPRODUCED
    row = found.notes["final"]["reward/miss_rate"]
    row |= {m: row[m] | {"over_seeds": span(x, x)} for m, x in zip(("w_r=1", "w_r=100"), missed, strict=True)}
    assert judged(judge, found).verdict == expected


def test_a_probe_that_sees_motion_everywhere_or_nowhere_is_not_judged():
    found, judge = counterfactual((-0.3, -0.1), (-0.1, 0.0)), judges.wrong_dreams("object", "hallucination")
    found.notes["final"] |= {name.replace("reward", "object"): row for name, row in found.notes["final"].items()}
    for floor, seen, cases, expected in (
        (0.9, 0.9, 20, NOT_MEASURED),
        (0.1, 0.2, 20, NOT_MEASURED),
        (0.1, 0.8, 19, NOT_MEASURED),
        (0.1, 0.8, 20, REPRODUCED),
    ):
        found.notes["final"]["object/miss_rate"]["cases"] = cases
        told = {"floor": np.full((2, 3), floor), "seen": np.full((2, 3), seen)}
        told["quiet"] = np.array([[0.08] * 3, [0.06] * 3])  # metres
        found.data = {f"object/{key}": (("method", "seed"), values) for key, values in told.items()}
        finding = judged(judge, found)
        assert finding.verdict == expected and (" 19 " in finding.ours) == (cases == 19)
    assert re.search(r"\b6 cm .*w_r=100.*\b8 cm .*w_r=1\b", finding.ours)


def test_regression_leaves_out_what_never_moves():
    row = {"w_r=1": paired(1, 1), "w_r=100": paired(2, 3)}
    still = dict.fromkeys(("w_r=1", "w_r=100"), paired(1e-15, 3e-15))
    words = judged(judges.regression("posterior"), regressed({"hand": row, "object": row, "goal": still})).ours
    assert "hand" in words and "goal" not in words
    finding = judged(judges.regression("posterior"), regressed({"lever": still, "tip": row}))
    assert finding.verdict == NOT_MEASURED and "lever" in finding.ours


def test_regression_takes_each_tasks_balanced_weight_and_objects():
    row = {"w_r=1": paired(5, 5), "w_r=10": paired(-0.3, -0.1)}
    for task, expected in (("hammer", [REPRODUCED] * 2), ("handle_pull_side", [REPRODUCED] * 2), ("lever_pull", [])):
        found = regressed(dict.fromkeys(("hand", "object", "object2"), row), methods=("w_r=1", "w_r=10"), task=task)
        findings = judges.regression("posterior")(ResultFiles([("file.h5", found)]))
        assert [f.verdict for f in findings if f != MISSING] == expected


def test_regression_needs_seeds_and_episodes_to_agree():
    row = {"w_r=1": paired(5, 5), "w_r=100": paired(-0.3, -0.1) | {"paired_over_seeds": span(-0.3, 0.1)}}
    assert judged(judges.regression("posterior"), regressed({"lever": row})).verdict == NOT_SHOWN


@pytest.mark.parametrize(
    ("hand", "lever", "expected"),
    [(-1.0, -2.0, REPRODUCED), (6.0, -2.0, NOT_REPRODUCED), (1.0, -2.0, REPRODUCED), (2.0, -2.0, NOT_SHOWN)],
)
def test_whole_state_adds_the_hands_error_to_the_objects(hand, lever, expected):
    """An object that is told better does not make up for a hand that is told worse by more."""
    base = np.random.default_rng(0).gamma(2.0, 1.0, (3, 2, 20, 2))  # seed, fit, episode, object
    base[:, 1] = base[:, 0] + 0.5
    noise = np.random.default_rng(1).normal(0, 0.3, (3, 1, 20, 1))
    errors = np.stack([base, base + np.array([hand, lever]) + noise])
    errors[0, 0, 0, 3] = np.nan  # an episode that no segment is from
    found = regressed({})
    found.data = {"mlp/posterior": (("method", "seed", "probe_seed", "episode", "object"), errors)}
    found.axes |= {"probe_seed": np.arange(2), "episode": np.arange(20), "object": np.array(["tip", "lever"])}
    finding = judged(judges.whole_state("posterior"), found)
    assert finding.verdict == expected and "tip + lever" in finding.ours
    assert finding.value.mean == pytest.approx(hand + lever + 2 * np.delete(noise, 3, 2).mean())


@pytest.mark.parametrize(
    ("shift", "expected"),
    [
        ([[1.0], [1.1], [1.2]], REPRODUCED),
        ([[-1.0], [-1.1], [-1.2]], NOT_REPRODUCED),
        ([[3.0], [-2.0], [0.5]], NOT_SHOWN),
        (np.array([[20.0], [21.0], [22.0]]) * (np.arange(20) == 0), NOT_SHOWN),  # one episode makes it in every seed
    ],
)
def test_representation_is_poorer_where_the_error_is_higher(shift, expected):
    base = np.random.default_rng(0).gamma(2.0, 1.0, (3, 20))
    data = {"mlp/posterior": (("method", "seed", "episode"), np.stack([base, base + np.array(shift)]))}
    finding = judged(judges.poorer_representation(), of("finding3", data, {"episode": np.arange(20)}, WITHOUT))
    assert finding.verdict == expected and finding.value.mean == pytest.approx(np.mean(shift))
