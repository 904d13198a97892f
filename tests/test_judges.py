"""Judges and the rule of verdicts, on made-up results whose verdict is plain."""

import numpy as np
import pytest

from analysis import judges, judges_of_dreams, judges_of_losses, judges_of_models
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


def test_balanced_weight_is_judged_and_others_apart():
    """Lever Pull's balanced weight is 100: that w_r = 10 is better is not the claim's."""
    found = policies_of([[1, 2, 3], [11, 12, 14], [1, 3, 2]], ("w_r=1", "w_r=10", "w_r=100"))
    chosen = judged(judges.curves("return", None, "w_r=1"), found)
    assert chosen.verdict == NOT_SHOWN and "w_r=100" in chosen.ours and "w_r=10 " not in chosen.ours
    other = judged(judges.curves("return", judges.OTHERS, "w_r=1"), found)
    assert other.verdict == REPRODUCED and "w_r=10 " in other.ours and "w_r=100" not in other.ours
    found.attributes["task"] = "hammer"  # balanced at 10
    assert judged(judges.curves("return", None, "w_r=1"), found).verdict == REPRODUCED
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
        (judges.curves("return", None, "w_r=1", task="lever_pull"), online),
        (judges.dreams(None, "w_r=1", task="lever_pull"), offline),
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


def errors_of(errors, methods, study="multitask"):
    """A made-up result of reward errors, ``(method, seed)``, alike in all of ten episodes but for noise."""
    found = policies_of(np.zeros(np.shape(errors)), methods, "offline")
    found.attributes["study"] = study
    found.axes["window"] = np.arange(60)
    noise = np.random.default_rng(0).normal(0, 0.01, 60)
    found.data = {
        "window/episode": (("window",), np.repeat(np.arange(10), 6).astype(float)),
        "window/error": (("method", "seed", "window"), np.asarray(errors, float)[..., None] + noise),
    }
    return found


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


def test_collapse_is_told_beside_the_verdict():
    found = errors_of([[1.0, 1.1, 1.2], [1.0, 1.1, 1.3]], ("nashmtl", "harmony"))
    found.axes["log_step"] = np.arange(2)
    ends = np.array([[[4.0, 1e-4]] * 3, [[4.0, 3.5]] * 3])
    found.data["loss/dynamics"] = (("method", "seed", "log_step"), ends)
    plain = judges.dreams("harmony", "nashmtl", "multitask", 0, 0.1)
    finding = judged(judges_of_losses.with_collapse(plain, "nashmtl"), found)
    assert finding.ours.endswith("dynamics loss at the end 0.0001 with nashmtl, 3.5 with harmony")
    assert finding.verdict == judged(plain, found).verdict
    assert judges_of_losses.with_collapse(plain, "nashmtl")(Shelf([])) == [MISSING]


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
    judge = judges_of_dreams.wrong_dreams("reward", "hallucination")
    for misses, expected in (((-0.1, 0.04), REPRODUCED), ((-0.1, 0.1), NOT_SHOWN), ((0.2, 0.4), NOT_SHOWN)):
        (finding,) = judge(Shelf([("file.h5", counterfactual_of((-0.3, -0.1), misses))]))
        assert finding.verdict == expected
    (finding,) = judges_of_dreams.wrong_dreams("reward", "miss", 0.05)(
        Shelf([("file.h5", counterfactual_of((-0.3, -0.1), (-0.1, 0.04)))])
    )
    assert finding.verdict == REPRODUCED  # no more misses, within the margin


def test_a_probe_that_sees_motion_everywhere_or_nowhere_is_not_judged():
    found = counterfactual_of((-0.3, -0.1), (-0.1, 0.0))
    found.notes["final"] |= {name.replace("reward", "object"): row for name, row in found.notes["final"].items()}
    for floor, seen, expected in ((0.1, 0.8, REPRODUCED), (0.9, 0.9, NOT_MEASURED), (0.1, 0.2, NOT_MEASURED)):
        for key, value in (("floor", floor), ("seen", seen)):
            found.data[f"object/{key}"] = (("method", "seed"), np.full((2, 3), value))
        (finding,) = judges_of_dreams.wrong_dreams("object", "hallucination")(Shelf([("file.h5", found)]))
        assert finding.verdict == expected
    found.data |= {f"object/{key}": (("method", "seed"), np.full((2, 3), value)) for key, value in
                   (("floor", 0.1), ("seen", 0.8), ("quiet", 0.06))}  # fmt: skip
    found.data["object/quiet"][1][0] = 0.08  # metres, of w_r = 1
    finding = judged(judges_of_dreams.wrong_dreams("object", "hallucination"), found)
    assert finding.ours.endswith("motion counts from 6 cm with w_r=100, 8 cm with w_r=1")


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
    row, own = ({"w_r=1": paired(0, 0), "w_r=100": paired(*some)} for some in (ends, (5, 7)))
    final = {"reference": "w_r=1", "unit": "cm^2", "posterior": {"hand": own, "lever": row, "goal": row}}
    found = of("state_regression", {}, final=final)
    found.notes["protocol"] = {"data": "agents"}
    finding = judged(judges_of_models.regression("posterior"), found)
    assert finding.verdict == {-1: REPRODUCED, 1: NOT_REPRODUCED, 0: NOT_SHOWN}[side]
    assert "lever" in finding.ours and finding.value == Interval(*span(*ends).values())
    assert "data: agents" in finding.ours and "hand 6 and 0" in finding.ours


def test_regression_leaves_out_what_never_moves():
    row, still = (
        {"w_r=1": paired(1, 1), "w_r=100": paired(2, 3)},
        {m: paired(1e-14, 1e-14) for m in ("w_r=1", "w_r=100")},
    )
    final = {"reference": "w_r=1", "unit": "cm^2", "posterior": {"hand": row, "object": row, "goal": still}}
    found = of("state_regression", {}, final=final)
    found.notes["protocol"] = {"data": "unseen"}
    words = judged(judges_of_models.regression("posterior"), found).ours
    assert "hand" in words and "goal" not in words


def test_regression_takes_each_tasks_balanced_weight_and_objects():
    row = {"w_r=1": paired(0, 0), "w_r=10": paired(-0.3, -0.1)}
    final = {"reference": "w_r=1", "unit": "cm^2", "posterior": {"hand": row, "object": row, "object2": row}}
    for task, expected in (("hammer", [REPRODUCED] * 2), ("handle_pull_side", [REPRODUCED] * 2), ("lever_pull", [])):
        found = of("state_regression", {}, methods=("w_r=1", "w_r=10"), final=final, task=task)
        found.notes["protocol"] = {"data": "unseen"}
        findings = judges_of_models.regression("posterior")(Shelf([("file.h5", found)]))
        assert [f.verdict for f in findings if f != MISSING] == expected


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
    data = {"mlp/posterior": (("method", "seed", "probe_seed", "episode", "object"), errors)}
    axes = {"probe_seed": np.arange(2), "episode": np.arange(20), "object": np.array(["tip", "lever"])}
    found = of("state_regression", data, axes, final={"reference": "w_r=1", "unit": "px^2"})
    found.notes["protocol"] = {"data": "agents"}
    finding = judged(judges_of_models.whole_state("posterior"), found)
    assert finding.verdict == expected and "tip + lever" in finding.ours
    kept = np.delete(noise, 3, 2)
    assert finding.value.mean == pytest.approx(hand + lever + 2 * kept.mean())


def test_regression_needs_seeds_and_episodes_to_agree():
    row = {"w_r=1": paired(0, 0), "w_r=100": paired(-0.3, -0.1) | {"paired_over_seeds": span(-0.3, 0.1)}}
    found = of("state_regression", {}, final={"reference": "w_r=1", "unit": "cm^2", "posterior": {"lever": row}})
    found.notes["protocol"] = {"data": "agents"}
    assert judged(judges_of_models.regression("posterior"), found).verdict == NOT_SHOWN


@pytest.mark.parametrize(("ends", "side"), SIGNS)
def test_frames_want_the_balanced_model_right_more_often(ends, side):
    share = {"over_seeds": span(0.1, 0.2)}
    row = {"windows": 40, "only first right": share, "only second right": share, "difference": paired(*ends, prefix="")}
    found = of("finding2", {}, final={"moving": row, "still": row | {"windows": 0}})
    finding = judged(judges_of_dreams.frames, found)
    assert finding.verdict == {1: REPRODUCED, -1: NOT_REPRODUCED, 0: NOT_SHOWN}[side] and "40 windows" in finding.ours


@pytest.mark.parametrize(("ends", "side"), SIGNS)
def test_made_up_wants_the_original_model_to_make_up_more(ends, side):
    share = {"over_seeds": span(0.1, 0.2)}
    row = {"windows": 40, "made up by first": share, "made up by second": share}
    found = of("finding2", {}, final={"still": row | {"difference in made up": paired(*ends, prefix="")}})
    finding = judged(judges_of_dreams.made_up, found)
    assert finding.verdict == {1: REPRODUCED, -1: NOT_REPRODUCED, 0: NOT_SHOWN}[side] and "40 windows" in finding.ours
    assert judged(judges_of_dreams.made_up, of("finding2", {}, final={"still": row})) == MISSING  # an older file
    found.axes["method"] = np.array(["w_r=1", "w_r=10"])
    assert judged(judges_of_dreams.made_up, found) == MISSING


def test_frames_of_other_methods_or_of_no_windows_are_not_judged():
    share = {"over_seeds": span(0.1, 0.2)}
    row = {"windows": 40, "only first right": share, "only second right": share, "difference": paired(0.1, 0.2, "")}
    none = row | {"windows": 0}
    others = of("finding2", {}, methods=("w_r=1", "w_r=10"), final={"moving": row, "still": row})
    for found in (others, of("finding2", {}, final={"moving": none, "still": none})):
        assert judged(judges_of_dreams.frames, found) == MISSING


@pytest.mark.parametrize(("ends", "side"), SIGNS)
def test_observations_help_if_without_them_the_error_is_higher(ends, side):
    methods = ("w_r=100", "w_o=0,w_r=100")
    final = {"reference": "w_r=100"} | {name: paired(*ends) for name in methods}
    finding = judged(judges_of_dreams.without_observations, of("reward_mse", {}, methods=methods, final=final))
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


def losses_of(ratio, study="loss_scales", mode="offline", **attributes):
    """A made-up result of runs with w_r = 1 whose L_o / L_r is 1 in the first half, then 10 to the ``ratio`` (seed)."""
    ratio = np.asarray(ratio, float)
    reward = np.full((1, len(ratio), 8), 0.5)
    observation = reward.copy()
    observation[..., 4:] *= 10 ** ratio[None, :, None]
    layout = ("method", "seed", "log_step")
    data = {"loss/observation": (layout, observation), "loss/reward": (layout, reward)}
    found = of(study, data, {"log_step": 10 * np.arange(1, 9)}, ("w_r=1",), len(ratio), mode=mode, **attributes)
    found.config = {"w_r=1": {"train": {"steps": 800, "train_every": 5}}}
    return found


@pytest.mark.parametrize(
    ("ratio", "expected"),
    [
        ([1.9, 2.0, 2.1], REPRODUCED),
        ([1.5, 1.7, 1.9], NOT_SHOWN),
        ([2.2, 2.4, 2.5], NOT_SHOWN),
        ([0.9, 1.0, 1.1], NOT_REPRODUCED),
        ([-2.1, -2.0, -1.9], NOT_REPRODUCED),
        ([2.9, 3.0, 3.1], NOT_REPRODUCED),
        ([1.9, 2.1], NOT_SHOWN),
    ],
)
def test_two_orders_of_magnitude_are_between_one_and_a_half_and_two_and_a_half(ratio, expected):
    finding = judged(judges_of_losses.orders_of_magnitude, losses_of(ratio))
    assert finding.verdict == expected and finding.value.mean == pytest.approx(np.mean(ratio))
    assert judged(judges_of_losses.orders_of_magnitude, losses_of([2.0, 2.001])).verdict == NOT_SHOWN  # two seeds
    assert "updates 10 to 16" in finding.ours  # of an update every five steps, the second half


def test_orders_of_magnitude_of_online_runs_count_too_and_where_they_were_cut_off():
    judge = judges_of_losses.orders_of_magnitude
    found = losses_of([3.7], "finding1", "online", complete=False)
    for name in ("loss/observation", "loss/reward"):
        found.data[name][1][..., -1] = np.nan  # one run of several is not as far as the others
    found.data["updates"] = (("method", "seed", "log_step"), 7.0 * np.arange(8)[None, None])
    finding = judged(judge, found)
    assert finding.verdict == NOT_SHOWN and finding.value.mean == pytest.approx(3.7)
    assert "updates 28 to 49" in finding.ours and "cut off at step 80 of 800, seeds: 1" in finding.ours
    assert judged(judge, losses_of([1.9, 2.0, 2.1], "finding1", "online")).verdict == REPRODUCED
    assert judged(judge, losses_of([1.9, 2.0, 2.1], "finding1", "offline")) == MISSING  # loss_scales has those runs
    empty = losses_of([np.nan, 2.0, 2.1])  # a run that logged no losses in that half
    assert judged(judge, empty) == MISSING


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
    (finding,) = judges_of_losses.order_of_coefficients(Shelf(found))
    assert finding.verdict == expected and finding.source == "l.h5, h.h5"
    assert finding.value.mean == pytest.approx(np.mean(lever) - np.mean(handle))


def test_coefficients_of_runs_of_other_length_are_not_compared():
    found = [
        ("l.h5", coefficients_of("lever_pull", [1.4, 1.5, 1.45], steps=100)),
        ("h.h5", coefficients_of("handle_pull_side", [0.7, 0.6, 0.65], steps=200)),
    ]
    assert judges_of_losses.order_of_coefficients(Shelf(found)) == [MISSING]


def test_variance_is_compared_as_a_ratio():
    rng = np.random.default_rng(0)
    for scale, expected in ((50.0, REPRODUCED), (1.0, NOT_SHOWN), (0.02, NOT_REPRODUCED)):
        found = policies_of([rng.normal(size=8), scale * rng.normal(size=8)], ("w_r=100", "w_o=0,w_r=100"))
        finding = judged(judges.more_variable("return", "w_o=0,w_r=100", "w_r=100"), found)
        assert finding.verdict == expected and finding.value.low < finding.value.mean < finding.value.high


def logged(study, ends, methods, seeds=3, **attributes):
    """A made-up result of runs that logged twice: ``metric`` to the last values ``(method, seed)``; the first are 1."""
    layout = ("method", "seed", "log_step")
    data = {name: (layout, np.stack([np.ones(np.shape(v)), v], -1)) for name, v in ends.items()}
    data["updates"] = (layout, np.broadcast_to([700.0, 800.0], (len(methods), seeds, 2)))
    found = of(study, data, {"log_step": np.arange(2)}, methods, seeds, **attributes)
    found.config = {method: {"model": {"harmonizer_lr": 0.01}} for method in methods}
    return found


@pytest.mark.parametrize(
    ("ratio", "expected"),
    [
        ([0.99, 1.0, 1.02], REPRODUCED),
        ([2.9, 3.0, 3.1], NOT_REPRODUCED),
        ([0.3, 0.31, 0.32], NOT_REPRODUCED),
        ([0.9, 1.0, 1.1], NOT_SHOWN),
        ([1.0, 1.0], NOT_SHOWN),
    ],
)
def test_learned_weights_are_compared_with_the_analytic_ones_of_the_same_runs(ratio, expected):
    settled = np.array([[0.5, 20.0, 3.0][: len(ratio)]])
    ends = {"weight/reward": settled * ratio, "analytic_weight/reward": settled}
    found = logged("coefficients", ends, ("harmony",), len(ratio))
    finding = judged(judges_of_losses.analytic("reward"), found)
    assert finding.verdict == expected and finding.value.mean == pytest.approx(np.mean(ratio))
    assert "800 updates" in finding.ours and "rate of 0.01" in finding.ours and "last 100" in finding.ours
    assert judged(judges_of_losses.analytic("observation"), found) == MISSING
    found.attributes |= {"study": "finding1", "mode": "online"}
    assert judged(judges_of_losses.analytic("reward"), found).verdict == expected
    found.attributes["mode"] = "offline"  # the coefficients' runs
    assert judged(judges_of_losses.analytic("reward"), found) == MISSING


@pytest.mark.parametrize(
    ("factor", "times", "expected"),
    [
        (10.0, [12.0, 15.0, 14.0], REPRODUCED),
        (10.0, [2.0, 3.0, 2.5], NOT_REPRODUCED),  # larger, not excessively so
        (10.0, [4.0, 15.0, 14.0], NOT_SHOWN),
        (2.0, [3.0, 3.5, 3.2], REPRODUCED),
        (2.0, [0.3, 0.31, 0.32], NOT_REPRODUCED),
    ],
)
def test_unrectified_is_compared_with_rectified_as_a_ratio(factor, times, expected):
    base = np.array([1.0, 1.4, 0.8])
    found = logged("ablations", {"weight/reward": np.stack([base, base * times])}, ("harmony", "unrectified"))
    finding = judged(judges_of_losses.unrectified("weight/reward", factor), found)
    assert finding.verdict == expected and finding.value.mean == pytest.approx(np.exp(np.mean(np.log(times))))
    assert judged(judges_of_losses.unrectified("loss/dynamics", factor), found) == MISSING


@pytest.mark.parametrize(
    ("dynamics", "expected"),
    [([6e3, 5e3, 7e3], REPRODUCED), ([6.0, 5.0, 7.0], NOT_REPRODUCED), ([6e3, 500.0, 7e3], NOT_SHOWN)],
)
@pytest.mark.parametrize("scale", [1.0, 1e-3])
def test_near_zero_is_beside_the_largest_weight(dynamics, expected, scale):
    """All weights a thousand times smaller is another scale and no other balance."""
    ends = {"weight/observation": [[0.9, 1.0, 1.1]], "weight/reward": [[7.0, 8.0, 9.0]], "weight/dynamics": [dynamics]}
    ends = {name: scale * np.array(values) for name, values in ends.items()}
    ends["loss/dynamics"] = np.array([[1e-4] * 3])
    finding = judged(judges_of_losses.near_zero, logged("multitask", ends, ("nashmtl",)))
    assert finding.verdict == expected and "dynamics loss at the end 0.0001 with nashmtl" in finding.ours
