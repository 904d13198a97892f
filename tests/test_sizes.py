"""A number that is asked for is had or refused before anything is trained; one left to the preset fits, and is told."""

import importlib

import pytest

from analysis.results.schema import asked_for, fewer, load
from offline_buffers.build import Build, build
from tests.refusals import SMOKE, refused

HELD = ["--set", "eval.heldout_fraction=0.4", "eval.context=5", "eval.horizon=10", "train.steps=40"]


@pytest.fixture(scope="module")
def buffer(tmp_path_factory):
    """60 episodes of 51 rows: 24 held out, 36 to train on, each of two windows of 50."""
    out = tmp_path_factory.mktemp("sizes") / "buffer"
    return build(Build("mini_lever", 3000, workers=1, out=out), show_progress=False)


def main_of(study):
    return importlib.import_module(f"analysis.{study}").main


@pytest.mark.parametrize("plan_only", [["--plan-only"], []])
@pytest.mark.parametrize(
    ("study", "flag", "asked", "there"),
    [
        ("state_regression --data unseen", "--segments", 49, 48),
        ("state_regression --data unseen", "--episodes", 25, 24),
        ("state_regression --episodes 50", "--segments", 1000, 100),
        ("finding2", "--windows", 49, 48),
        ("finding2", "--episodes", 25, 24),
        ("finding2 --episodes 3", "--windows", 7, 6),
        ("finding3", "--segments", 49, 48),
        ("finding3", "--episodes", 25, 24),
        ("reward_mse", "--segments", 49, 48),
        ("counterfactual", "--branches", 49, 48),
        ("counterfactual", "--episodes", 25, 24),
        ("counterfactual", "--probe-segments", 73, 72),
        ("counterfactual", "--probe-episodes", 37, 36),
        ("demo", "--stretches", 25, 24),
        ("demo", "--rows", 52, 51),
    ],
)
def test_more_than_there_is_is_refused(buffer, tmp_path, monkeypatch, capsys, study, flag, asked, there, plan_only):
    monkeypatch.chdir(tmp_path)
    name, *more = study.split()
    words = [*SMOKE, "--mode", "offline", "--buffer", str(buffer), *more, flag, str(asked), *plan_only]
    refused(capsys, main_of(name), [*words, *HELD], f"{flag} {asked}", f" {there} ")
    assert not list(tmp_path.iterdir())


def test_a_buffer_still_to_be_built_is_known_and_branches_are_counted_first(buffer, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = [*SMOKE, "--mode", "offline", "--windows", "21", "--set", "eval.heldout_fraction=0.1"]
    refused(capsys, main_of("finding2"), words, "--windows 21")  # of 5000 steps 10 episodes of 50 are held out
    words = [*SMOKE, "--mode", "offline", "--buffer", str(buffer), "--branches", "47", *HELD]
    refused(capsys, main_of("counterfactual"), words, "--branches 47: 24 episodes have")
    assert not list(tmp_path.iterdir())


def test_presets_sizes_fit_the_miniature(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for study, more, told in (
        ("state_regression", ["--mode", "online", "--segments", "1000"], "--episodes is 500, not the preset's 42"),
        ("state_regression", ["--mode", "online"], "--episodes is 1000, not the preset's 42"),
        ("finding2", ["--mode", "online"], "--episodes is 200, not the preset's 50"),
        ("reward_mse", ["--mode", "offline"], "--segments is 1000, not the preset's 5000"),
    ):
        main_of(study)(["--task", "mini_lever", "--preset", "cpu", *more, "--plan-only"])
        assert told in capsys.readouterr().out


def test_a_result_tells_what_was_asked_for_and_what_came_of_it(buffer, tmp_path, monkeypatch, capsys):
    """The preset asks for 20 windows; the buffer holds out 6 episodes, and so 12."""
    monkeypatch.chdir(tmp_path)
    held = ["--set", "eval.heldout_fraction=0.1", *HELD[2:]]
    main_of("finding2")([*SMOKE, "--mode", "offline", "--buffer", str(buffer), *held])
    assert "--windows is 12, not the preset's 20" in capsys.readouterr().out
    found = load("results/finding2_mini_lever_smoke.h5")
    assert asked_for(found, "windows") == 20 and len(found.axes["window"]) == 12
    assert found.notes["protocol"]["episodes"] == 6 and "12 of 20 windows" in fewer(found, 12, "windows")
    main_of("finding2")([*SMOKE, "--mode", "offline", "--buffer", str(buffer), *held])  # again: as it was
    assert len(load("results/finding2_mini_lever_smoke.h5").axes["window"]) == 12
