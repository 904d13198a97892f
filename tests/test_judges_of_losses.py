"""Judges of losses and learned weights, on made-up results whose verdict is plain."""

import re

import numpy as np
import pytest

from analysis.ledger import judges_of_losses
from analysis.ledger.verdicts import MISSING, NOT_REPRODUCED, NOT_SHOWN, REPRODUCED, ResultFiles
from analysis.results import comparisons
from tests.made_up import judged, of


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
        ([2.0, 2.001], NOT_SHOWN),  # two seeds
    ],
)
def test_two_orders_of_magnitude_are_between_one_and_a_half_and_two_and_a_half(ratio, expected):
    finding = judged(judges_of_losses.orders_of_magnitude(), losses_of(ratio))
    assert finding.verdict == expected and finding.value.mean == pytest.approx(np.mean(ratio))
    assert re.search(r"\b10 .*\b16\b", finding.ours)  # of an update every five steps, the second half


def test_orders_of_magnitude_of_online_runs_count_too_and_where_they_were_cut_off():
    judge = judges_of_losses.orders_of_magnitude()
    found = losses_of([3.7], "finding1", "online", complete=False)
    for name in ("loss/observation", "loss/reward"):
        found.data[name][1][..., -1] = np.nan  # one run of several is not as far as the others
    found.data["updates"] = (("method", "seed", "log_step"), 7.0 * np.arange(8)[None, None])
    finding = judged(judge, found)
    assert finding.verdict == NOT_SHOWN and finding.value.mean == pytest.approx(3.7)
    assert re.search(r"\b28 .*\b49\b.*\b80 .*\b800\b", finding.ours)
    assert judged(judge, losses_of([1.9, 2.0, 2.1], "finding1", "online")).verdict == REPRODUCED
    assert judged(judge, losses_of([1.9, 2.0, 2.1], "finding1", "offline")) == MISSING  # loss_scales has those runs
    empty = losses_of([np.nan, 2.0, 2.1])  # a run that logged no losses in that half
    assert judged(judge, empty) == MISSING


def shares_of(shares, success):
    """A made-up result of runs of w_r = 1 and 100 whose reward loss has these shares ``(method, seed)`` of the gradient
    at two times, and whose policies succeed so often in two evaluations."""
    layouts = {name: ("method", "seed", name) for name in ("gradient_step", "step")}
    twice = [np.stack([np.asarray(values, float)] * 2, -1) for values in (shares, success)]
    data = {
        "gradient_share_curve/reward": (layouts["gradient_step"], twice[0]),
        "success": (layouts["step"], twice[1]),
    }
    axes = dict.fromkeys(layouts, np.array([10, 20]))
    found = of("loss_scales", data, axes, ("w_r=1", "w_r=100"), len(success[0]), mode="online")
    means = comparisons.by_method(found, twice[0].mean(-1))
    found.notes["final"] = {"gradient share of reward in training": means}
    return found


@pytest.mark.parametrize(
    ("shares", "expected"),
    [
        ([0.02, 0.03, 0.04], REPRODUCED),
        ([0.02, 0.1, 0.2], NOT_SHOWN),
        ([0.5, 0.6, 0.7], NOT_REPRODUCED),
        ([0.02, 0.03], NOT_SHOWN),
    ],
)
def test_the_share_of_the_reward_loss_in_training(shares, expected):
    found = shares_of([shares, [0.9] * len(shares)], np.zeros((2, len(shares))))
    assert judged(judges_of_losses.share_in_training(highest=0.1), found).verdict == expected


@pytest.mark.parametrize(
    ("success", "expected"),
    [
        ([[0.0, 0.1, 0.2], [0.3, 0.4, 0.5]], REPRODUCED),
        ([[0.5, 0.4, 0.3], [0.2, 0.1, 0.0]], NOT_REPRODUCED),
        ([[0.3, 0.0, 0.5], [0.1, 0.4, 0.2]], NOT_SHOWN),
        ([[0.0] * 3, [0.0] * 3], NOT_SHOWN),  # nothing varies
    ],
)
def test_whether_runs_with_a_larger_share_succeed_sooner(success, expected):
    found = shares_of([[0.01, 0.02, 0.03], [0.7, 0.8, 0.9]], success)
    assert judged(judges_of_losses.share_and_policy(metric="success"), found).verdict == expected
    assert judged(judges_of_losses.share_and_policy(metric="return"), found) == MISSING


def logged(study, ends, methods, seeds=3, **attributes):
    """A made-up result of runs that logged twice: ``metric`` to the last values ``(method, seed)``; the first are 1.01
    times as large."""
    layout = ("method", "seed", "log_step")
    data = {name: (layout, np.stack([1.01 * np.asarray(v), v], -1)) for name, v in ends.items()}
    data["updates"] = (layout, np.broadcast_to([700.0, 800.0], (len(methods), seeds, 2)))
    found = of(study, data, {"log_step": np.arange(2)}, methods, seeds, **attributes)
    config = {"train": {"steps": 4000, "train_every": 5}, "model": {"harmonizer_lr": 0.01}}
    found.config = dict.fromkeys(methods, config)
    return found


@pytest.mark.parametrize(
    ("lever", "handle", "expected"),
    [
        ([1.4, 1.5, 1.45], [0.7, 0.6, 0.65], REPRODUCED),
        ([0.7, 0.6, 0.65], [1.4, 1.5, 1.45], NOT_REPRODUCED),
        ([1.4, 0.5, 0.9], [0.7, 0.9, 0.65], NOT_SHOWN),
    ],
)
def test_order_of_coefficients_looks_at_the_end_of_runs_of_one_length(lever, handle, expected):
    of_tasks = {"lever_pull": lever, "handle_pull_side": handle}
    found = {
        task: logged("coefficients", {"weight/reward": [ends]}, ("harmony",), task=task)
        for task, ends in of_tasks.items()
    }
    for one in found.values():
        one.data["weight/reward"][1][..., 0] = 1.0  # they begin alike
    files = ResultFiles([("l.h5", found["lever_pull"]), ("h.h5", found["handle_pull_side"])])
    (finding,) = judges_of_losses.order_of_coefficients()(files)
    assert finding.verdict == expected and finding.source == "l.h5, h.h5"
    assert finding.value.mean == pytest.approx(np.mean(lever) - np.mean(handle))
    found["lever_pull"].config["harmony"]["train"]["steps"] *= 2
    assert judges_of_losses.order_of_coefficients()(files) == [MISSING]


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
    assert re.search(r"\b800 .*\b0\.01\b.*\b100\b", finding.ours)
    assert judged(judges_of_losses.analytic("observation"), found) == MISSING
    found.attributes |= {"study": "finding1", "mode": "online"}
    assert judged(judges_of_losses.analytic("reward"), found).verdict == expected
    found.data["weight/reward"][1][..., 0] *= 1.03  # it moves on by four per cent
    assert judged(judges_of_losses.analytic("reward"), found).verdict == NOT_SHOWN
    found.attributes["mode"] = "offline"  # the coefficients' runs
    assert judged(judges_of_losses.analytic("reward"), found) == MISSING


@pytest.mark.parametrize(
    ("factor", "times", "expected"),
    [
        (10.0, [12.0, 15.0, 14.0], REPRODUCED),
        (10.0, [2.0, 3.0, 2.5], NOT_SHOWN),  # larger, not excessively so: on this task
        (10.0, [4.0, 15.0, 14.0], NOT_SHOWN),
        (2.0, [3.0, 3.5, 3.2], REPRODUCED),
        (2.0, [0.3, 0.31, 0.32], NOT_SHOWN),
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
    finding = judged(judges_of_losses.near_zero(), logged("multitask", ends, ("nashmtl",)))
    assert finding.verdict == expected and re.search(r"\b0\.0001 .*nashmtl", finding.ours)
