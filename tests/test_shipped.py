"""Shipped results: what their notes say is what the present code makes of their own arrays."""

import json

import pytest

from analysis import finding3, loss_scales, reward_mse, state_regression
from analysis.results import comparisons, kinds_of_dreams, wrong_dreams
from analysis.results.schema import _without_nan, load
from figures.shared.style import SHIPPED

FINAL = {
    "finding1": comparisons.final_intervals,
    "coefficients": comparisons.final_intervals,
    "ablations": comparisons.final_intervals,
    "multitask": comparisons.final_intervals,
    "loss_scales": loss_scales.final,
    "finding2": kinds_of_dreams.frequencies,
    "finding3": finding3.final,
    "counterfactual": wrong_dreams.intervals,
    "state_regression": state_regression.intervals,
    "reward_mse": reward_mse.intervals,
}


def plain(notes):
    """As a file keeps them."""
    return json.loads(json.dumps(_without_nan(notes)))


def assert_alike(found, expected, where=""):
    """The same words, and the same numbers but for the last digits that a processor decides."""
    if isinstance(expected, dict):
        assert found.keys() == expected.keys(), where
        for name in expected:
            assert_alike(found[name], expected[name], f"{where}/{name}")
    elif isinstance(expected, list):
        assert len(found) == len(expected), where
        for i, pair in enumerate(zip(found, expected, strict=True)):
            assert_alike(*pair, f"{where}/{i}")
    elif isinstance(expected, float | int) and not isinstance(expected, bool):
        assert found == pytest.approx(expected, rel=1e-6, abs=1e-9), where
    else:
        assert found == expected, where


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.h5")), ids=lambda path: path.stem)
def test_notes_follow_from_the_arrays(path):
    result = load(path)
    study = result.attributes["study"]
    if study == "atari_table":  # its checks are computed again in test_atari_table
        return
    assert_alike(plain(FINAL[study](result)), result.notes["final"])
    for name, table in comparisons.TABLES.items():
        assert_alike(plain(table(result)), result.notes[name], name)


def test_a_regression_read_back_prints_each_object_beside_its_own_constant():
    found = load(SHIPPED / "state_regression_unseen_lever_pull_cpu.h5")
    printed = state_regression.lines(found)
    for name, best in zip(found.axes["object"], found.values("constant/posterior").mean((0, 1, 2)), strict=True):
        assert any(f" {name:<8} constant {best:.3g};" in line for line in printed)


def test_files_are_small():
    assert {path.name: path.stat().st_size for path in SHIPPED.glob("*.h5") if path.stat().st_size >= 1_000_000} == {}
