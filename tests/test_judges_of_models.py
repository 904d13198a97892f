"""Judges of representations, on made-up results whose verdict is plain."""

import re

import numpy as np
import pytest

from analysis.ledger import judges_of_models
from analysis.ledger.verdicts import MISSING, NOT_MEASURED, NOT_REPRODUCED, NOT_SHOWN, REPRODUCED, ResultFiles
from analysis.results.stats import Interval
from tests.made_up import SIGNS, judged, of, paired, span


@pytest.mark.parametrize(("ends", "side"), SIGNS)
def test_regression_wants_less_error_for_each_object_and_not_for_the_hand(ends, side):
    row = {"w_r=1": paired(5, 5), "w_r=100": paired(*ends)}
    own = {"w_r=1": paired(0, 0), "w_r=100": paired(5, 7)}
    final = {"reference": "w_r=1", "unit": "cm^2", "posterior": {"hand": own, "lever": row, "goal": row}}
    found = of("state_regression", {}, final=final)
    found.notes["protocol"] = {"data": "agents"}
    finding = judged(judges_of_models.regression("posterior"), found)
    assert finding.verdict == {-1: REPRODUCED, 1: NOT_REPRODUCED, 0: NOT_SHOWN}[side]
    assert "lever" in finding.ours and finding.value == Interval(*span(*ends).values())
    assert "agents" in finding.ours and re.search(r"hand 6 .*\b0\b", finding.ours)


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


def test_an_object_that_never_moves_is_not_judged():
    rows = {"lever": paired(1e-15, 3e-15), "tip": paired(0.1, 0.3)}
    table = {name: dict.fromkeys(("w_r=1", "w_r=100"), row) for name, row in rows.items()}
    final = {"reference": "w_r=1", "unit": "px^2", "posterior": table}
    found = of("state_regression", {}, final=final)
    found.notes["protocol"] = {"data": "agents"}
    finding = judged(judges_of_models.regression("posterior"), found)
    assert finding.verdict == NOT_MEASURED and "lever" in finding.ours


def test_regression_takes_each_tasks_balanced_weight_and_objects():
    row = {"w_r=1": paired(5, 5), "w_r=10": paired(-0.3, -0.1)}
    final = {"reference": "w_r=1", "unit": "cm^2", "posterior": {"hand": row, "object": row, "object2": row}}
    for task, expected in (("hammer", [REPRODUCED] * 2), ("handle_pull_side", [REPRODUCED] * 2), ("lever_pull", [])):
        found = of("state_regression", {}, methods=("w_r=1", "w_r=10"), final=final, task=task)
        found.notes["protocol"] = {"data": "unseen"}
        findings = judges_of_models.regression("posterior")(ResultFiles([("file.h5", found)]))
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
    row = {"w_r=1": paired(5, 5), "w_r=100": paired(-0.3, -0.1) | {"paired_over_seeds": span(-0.3, 0.1)}}
    found = of("state_regression", {}, final={"reference": "w_r=1", "unit": "cm^2", "posterior": {"lever": row}})
    found.notes["protocol"] = {"data": "agents"}
    assert judged(judges_of_models.regression("posterior"), found).verdict == NOT_SHOWN


@pytest.mark.parametrize(
    ("shift", "expected"),
    [([1.0, 1.1, 1.2], REPRODUCED), ([-1.0, -1.1, -1.2], NOT_REPRODUCED), ([3.0, -2.0, 0.5], NOT_SHOWN)],
)
def test_representation_is_poorer_where_the_error_is_higher(shift, expected):
    base = np.random.default_rng(0).gamma(2.0, 1.0, (3, 20))
    data = {"mlp/posterior": (("method", "seed", "episode"), np.stack([base, base + np.array(shift)[:, None]]))}
    found = of("finding3", data, {"episode": np.arange(20)}, ("w_r=100", "w_o=0,w_r=100"))
    finding = judged(judges_of_models.poorer_representation(), found)
    assert finding.verdict == expected and finding.value.mean == pytest.approx(np.mean(shift))


def test_representation_needs_episodes_to_agree():
    """One episode in twenty makes all of the difference, in every seed."""
    base, shift = np.random.default_rng(0).gamma(2.0, 1.0, (3, 20)), np.zeros((3, 20))
    shift[:, 0] = 20.0, 21.0, 22.0
    data = {"mlp/posterior": (("method", "seed", "episode"), np.stack([base, base + shift]))}
    found = of("finding3", data, {"episode": np.arange(20)}, ("w_r=100", "w_o=0,w_r=100"))
    assert judged(judges_of_models.poorer_representation(), found).verdict == NOT_SHOWN
