"""Judges and the rule of verdicts, on made-up results whose verdict is plain."""

import numpy as np
import pytest

from analysis import judges, judges_of_models
from analysis.stats import Interval
from analysis.verdicts import MISSING, NOT_MEASURED, NOT_REPRODUCED, NOT_SHOWN, REPRODUCED, Shelf, verdict
from tests.test_results import result


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


def policies_of(returns, methods=("w_r=1", "w_r=100"), mode="online"):
    found = result()
    returns = np.asarray(returns, float)  # (method, seed)
    found.attributes |= {"study": "finding1", "preset": "cpu", "mode": mode}
    found.axes |= {"seed": np.arange(returns.shape[1]), "method": np.array(methods)}
    found.data = {"return": (("method", "seed", "step"), np.repeat(returns[..., None], 3, -1))}
    return found


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
    (finding,) = judges.curves("return", None, "w_r=1")(Shelf([("file.h5", policies_of(returns))]))
    assert finding.verdict == expected and finding.source == "file.h5" and finding.scale == "reduced"
    assert finding.value.mean == pytest.approx(np.mean(returns[1]) - np.mean(returns[0]))


def test_area_under_the_curve_counts_not_the_end():
    found = policies_of([[1, 2, 3], [11, 12, 14]])
    found.data["return"][1][:, :, -1] = 50.0  # all end alike
    (finding,) = judges.curves("return", None, "w_r=1")(Shelf([("file.h5", found)]))
    assert finding.verdict == REPRODUCED


def test_what_cannot_be_judged_is_left_out():
    judge = judges.curves("return", None, "w_r=1")
    unfinished = policies_of([[1, 2, 3], [11, 12, 14]])
    unfinished.attributes["complete"] = False
    offline = policies_of([[1, 2, 3], [11, 12, 14]], mode="offline")
    others = policies_of([[1, 2, 3], [11, 12, 14]], methods=("w_r=10", "w_r=100"))
    for found in (unfinished, offline, others):
        assert judge(Shelf([("file.h5", found)])) == [MISSING]


def test_the_best_of_several_references_is_taken():
    found = policies_of([[1, 2, 3], [11, 12, 14], [8, 9, 10]], ("w_r=10", "w_r=100", "harmony"))
    found.attributes["study"] = "ablations"
    (finding,) = judges.curves("return", "harmony", "w_r=10|w_r=100", study="ablations")(Shelf([("f", found)]))
    assert "w_r=100" in finding.ours and "w_r=10 " not in finding.ours and finding.verdict == NOT_REPRODUCED


def test_dreams_need_seeds_and_episodes_to_agree():
    rng = np.random.default_rng(0)
    found = policies_of([[0, 0, 0], [0, 0, 0]], mode="offline")
    base = rng.gamma(1.0, 1.0, (3, 60))
    found.axes["window"] = np.arange(60)
    found.data["window/episode"] = (("window",), np.repeat(np.arange(10), 6).astype(float))
    judge = judges.dreams(None, "w_r=1")
    for shift, expected in ((np.array([0.3, 0.31, 0.33]), REPRODUCED), (np.array([2.0, 0.1, -0.9]), NOT_SHOWN)):
        errors = np.stack([base, base - shift[:, None]])
        found.data["window/error"] = (("method", "seed", "window"), errors)
        (finding,) = judge(Shelf([("file.h5", found)]))
        assert finding.verdict == expected


def counterfactual_of(hallucinations, misses):
    """Made-up rates: paired differences to w_r = 1 with the given ends over seeds."""
    found = policies_of([[0, 0, 0], [0, 0, 0]], mode="offline")
    found.attributes["study"] = "counterfactual"
    found.notes = {"final": {"reference": "w_r=1"}}
    for name, (low, high) in (("hallucination", hallucinations), ("miss", misses)):
        span = {"mean": (low + high) / 2, "low": low, "high": high}
        row = {f"paired_over_{over}": span for over in ("seeds", "episodes")} | {"over_seeds": span}
        found.notes["final"][f"reward/{name}_rate"] = {"cases": 9, "episodes": 5, "w_r=1": row, "w_r=100": row}
    return found


def test_a_model_that_dreams_of_nothing_does_not_win():
    judge = judges_of_models.wrong_dreams("reward", "hallucination")
    for misses, expected in (((-0.1, 0.04), REPRODUCED), ((-0.1, 0.1), NOT_SHOWN), ((0.2, 0.4), NOT_SHOWN)):
        (finding,) = judge(Shelf([("file.h5", counterfactual_of((-0.3, -0.1), misses))]))
        assert finding.verdict == expected
    (finding,) = judges_of_models.wrong_dreams("reward", "miss", 0.05)(
        Shelf([("file.h5", counterfactual_of((-0.3, -0.1), (-0.1, 0.04)))])
    )
    assert finding.verdict == REPRODUCED  # no more misses, within the margin


def test_a_probe_that_sees_motion_everywhere_or_nowhere_is_not_judged():
    found = counterfactual_of((-0.3, -0.1), (-0.1, 0.0))
    found.notes["final"] |= {name.replace("reward", "object"): row for name, row in found.notes["final"].items()}
    for floor, seen, expected in ((0.1, 0.8, REPRODUCED), (0.9, 0.9, NOT_MEASURED), (0.1, 0.2, NOT_MEASURED)):
        for key, value in (("floor", floor), ("seen", seen)):
            found.data[f"object/{key}"] = (("method", "seed"), np.full((2, 3), value))
        (finding,) = judges_of_models.wrong_dreams("object", "hallucination")(Shelf([("file.h5", found)]))
        assert finding.verdict == expected


def of(study, data, axes=(), methods=("w_r=1", "w_r=100"), seeds=3, final=None, **attributes):
    """A made-up result of a study."""
    found = policies_of(np.zeros((len(methods), seeds)), methods, "offline")
    found.attributes |= {"study": study, **attributes}
    found.axes |= dict(axes)
    found.data, found.notes = data, {"final": final or {}}
    return found


def judged(judge, found):
    (finding,) = judge(Shelf([("file.h5", found)]))
    return finding


SIGNS = [((-0.3, -0.1), -1), ((0.1, 0.3), 1), ((-0.1, 0.3), 0)]  # ends of an interval, and which side it is on


def span(low, high):
    return {"mean": (low + high) / 2, "low": low, "high": high}


def paired(low, high, prefix="paired_"):
    return {f"{prefix}over_{over}": span(low, high) for over in ("seeds", "episodes")} | {"over_seeds": span(low, high)}


@pytest.mark.parametrize(("ends", "side"), SIGNS)
def test_regression_wants_less_error_for_each_object_and_not_for_the_hand(ends, side):
    row = {"w_r=1": paired(0, 0), "w_r=100": paired(*ends)}
    final = {"reference": "w_r=1", "posterior": {"hand": row, "lever": row, "goal": row}}
    found = of("state_regression", {}, final=final)
    found.notes["protocol"] = {"data": "agents"}
    finding = judged(judges_of_models.regression("posterior"), found)
    assert finding.verdict == {-1: REPRODUCED, 1: NOT_REPRODUCED, 0: NOT_SHOWN}[side]
    assert "lever" in finding.ours and finding.value == Interval(*span(*ends).values())


def test_regression_needs_seeds_and_episodes_to_agree():
    row = {"w_r=1": paired(0, 0), "w_r=100": paired(-0.3, -0.1) | {"paired_over_seeds": span(-0.3, 0.1)}}
    found = of("state_regression", {}, final={"reference": "w_r=1", "posterior": {"lever": row}})
    found.notes["protocol"] = {"data": "agents"}
    assert judged(judges_of_models.regression("posterior"), found).verdict == NOT_SHOWN


@pytest.mark.parametrize(("ends", "side"), SIGNS)
def test_frames_want_the_balanced_model_right_more_often(ends, side):
    share = {"over_seeds": span(0.1, 0.2)}
    row = {"windows": 40, "only first right": share, "only second right": share, "difference": paired(*ends, prefix="")}
    found = of("finding2", {}, final={"moving": row, "still": row | {"windows": 0}})
    finding = judged(judges_of_models.frames, found)
    assert finding.verdict == {1: REPRODUCED, -1: NOT_REPRODUCED, 0: NOT_SHOWN}[side] and "40 windows" in finding.ours


def test_frames_of_other_methods_or_of_no_windows_are_not_judged():
    share = {"over_seeds": span(0.1, 0.2)}
    row = {"windows": 40, "only first right": share, "only second right": share, "difference": paired(0.1, 0.2, "")}
    none = row | {"windows": 0}
    others = of("finding2", {}, methods=("w_r=1", "w_r=10"), final={"moving": row, "still": row})
    for found in (others, of("finding2", {}, final={"moving": none, "still": none})):
        assert judged(judges_of_models.frames, found) == MISSING


@pytest.mark.parametrize(("ends", "side"), SIGNS)
def test_observations_help_if_without_them_the_error_is_higher(ends, side):
    methods = ("w_r=100", "w_o=0,w_r=100")
    final = {"reference": "w_r=100"} | {name: paired(*ends) for name in methods}
    finding = judged(judges_of_models.without_observations, of("reward_mse", {}, methods=methods, final=final))
    assert finding.verdict == {1: REPRODUCED, -1: NOT_REPRODUCED, 0: NOT_SHOWN}[side]


@pytest.mark.parametrize(
    ("shift", "expected"),
    [([1.0, 1.1, 1.2], REPRODUCED), ([-1.0, -1.1, -1.2], NOT_REPRODUCED), ([3.0, -2.0, 0.5], NOT_SHOWN)],
)
def test_representation_is_poorer_where_the_error_is_higher(shift, expected):
    base = np.random.default_rng(0).gamma(2.0, 1.0, (3, 20))
    data = {"mlp/posterior": (("method", "seed", "episode"), np.stack([base, base + np.array(shift)[:, None]]))}
    found = of("finding3", data, {"episode": np.arange(20)}, ("w_r=100", "w_o=0,w_r=100"))
    finding = judged(judges_of_models.poorer_representation, found)
    assert finding.verdict == expected and finding.value.mean == pytest.approx(np.mean(shift))


def test_representation_needs_episodes_to_agree():
    """One episode in twenty makes all of the difference, in every seed."""
    base, shift = np.random.default_rng(0).gamma(2.0, 1.0, (3, 20)), np.zeros((3, 20))
    shift[:, 0] = 20.0, 21.0, 22.0
    data = {"mlp/posterior": (("method", "seed", "episode"), np.stack([base, base + shift]))}
    found = of("finding3", data, {"episode": np.arange(20)}, ("w_r=100", "w_o=0,w_r=100"))
    assert judged(judges_of_models.poorer_representation, found).verdict == NOT_SHOWN


@pytest.mark.parametrize(
    ("ends", "expected"),
    [
        ((1.8, 2.2), REPRODUCED),
        ((1.4, 2.2), NOT_SHOWN),
        ((2.2, 2.7), NOT_SHOWN),
        ((0.2, 1.4), NOT_REPRODUCED),
        ((2.6, 3.9), NOT_REPRODUCED),
        ((None, None), NOT_SHOWN),
    ],
)
def test_two_orders_of_magnitude_are_between_one_and_a_half_and_two_and_a_half(ends, expected):
    row = {"mean": 2.0, "low": ends[0], "high": ends[1]}
    final = {"log10 of L_o / L_r": {"w_r=1": row}}
    assert judged(judges.orders_of_magnitude, of("loss_scales", {}, final=final)).verdict == expected
    two = of("loss_scales", {}, seeds=2, final=final)
    assert judged(judges.orders_of_magnitude, two).verdict == NOT_SHOWN


def coefficients_of(task, ends, steps=100):
    weights = np.linspace(1.0, ends, 4).T[None]  # (method, seed, log_step)
    data = {"weight/reward": (("method", "seed", "log_step"), weights)}
    found = of("coefficients", data, {"log_step": np.arange(4)}, ("harmony",), len(ends), task=task)
    pace = {"train": {"steps": steps, "train_every": 5}, "model": {"harmonizer_lr": 0.1}}
    found.config = {"harmony": pace}
    return found


@pytest.mark.parametrize(
    ("lever", "handle", "expected"),
    [
        ([1.4, 1.5, 1.45], [0.7, 0.6, 0.65], REPRODUCED),
        ([0.7, 0.6, 0.65], [1.4, 1.5, 1.45], NOT_REPRODUCED),
        ([1.4, 0.5, 0.9], [0.7, 0.9, 0.65], NOT_SHOWN),
    ],
)
def test_order_of_coefficients_looks_at_the_end(lever, handle, expected):
    found = [("l.h5", coefficients_of("lever_pull", lever)), ("h.h5", coefficients_of("handle_pull_side", handle))]
    (finding,) = judges.order_of_coefficients(Shelf(found))
    assert finding.verdict == expected and finding.source == "l.h5, h.h5"
    assert finding.value.mean == pytest.approx(np.mean(lever) - np.mean(handle))


def test_coefficients_of_runs_of_other_length_are_not_compared():
    found = [
        ("l.h5", coefficients_of("lever_pull", [1.4, 1.5, 1.45], steps=100)),
        ("h.h5", coefficients_of("handle_pull_side", [0.7, 0.6, 0.65], steps=200)),
    ]
    assert judges.order_of_coefficients(Shelf(found)) == [MISSING]


def test_variance_is_compared_as_a_ratio():
    rng = np.random.default_rng(0)
    for scale, expected in ((50.0, REPRODUCED), (1.0, NOT_SHOWN), (0.02, NOT_REPRODUCED)):
        found = policies_of([rng.normal(size=8), scale * rng.normal(size=8)], ("w_r=100", "w_o=0,w_r=100"))
        finding = judged(judges.more_variable("return", "w_o=0,w_r=100", "w_r=100"), found)
        assert finding.verdict == expected and finding.value.low < finding.value.mean < finding.value.high
