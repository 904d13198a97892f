"""Frames of a benchmark's tasks: the command that keeps them, the figure, and refusals."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from PIL import Image

from analysis.examples import main
from analysis.results.schema import SHIPPED, load
from figures import examples
from hdream_core import envs
from hdream_core.envs.dmcr import SUITE as DMCR
from hdream_core.envs.visuals import FACTORS
from tests.test_envs import no_dmc


def refused(words: str, capsys) -> str:
    """The only line that the command says before it ends with status 2."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as stopped:
        main(words.split())
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert stopped.value.code == 2
    return line


def test_the_command_keeps_frames_and_draws_them(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    command = "--suite miniature --episodes 3 --steps 4 --seed 5"
    main(command.split())
    path = tmp_path / "results" / "examples_miniature.h5"
    assert {str(path.relative_to(tmp_path)), "figures/out/examples_miniature.png"} <= set(
        capsys.readouterr().out.split()
    )
    found = load(path)
    (kept,) = found.values("picture/example")
    env = envs.make("mini_lever", seed=5)
    for episode, picture in enumerate(kept):
        env.reset(options={"episode": episode})
        for _ in range(4):
            observation = env.step(env.expert_action())[0]
        np.testing.assert_array_equal(picture, observation["image"])
    with Image.open("figures/out/examples_miniature.png") as drawn:
        assert drawn.height < 1000
    main(command.split())  # again
    for flag, value in (("--episodes", "2"), ("--seed", "6"), ("--tasks", "mini_lever")):
        line = refused(f"{command} {flag} {value}", capsys)
        assert str(path.relative_to(tmp_path)) in line and f"{flag} " in line and "--replace" in line
    np.testing.assert_array_equal(load(path).values("picture/example")[0], kept)
    main(f"{command} --episodes 2 --replace".split())
    assert load(path).values("picture/example").shape[:2] == (1, 2)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("--suite nope", "metaworld"),
        ("--suite dmcr --tasks dmc_cheetah_run", "dmc_cheetah_run"),
        ("--suite dmcr --alone dmc_cheetah_run", "dmc_cheetah_run"),
        ("--suite dmcr --tasks dmcr_walker_run dmcr_walker_run", "--tasks"),
        ("--suite dmc --alone dmc_cheetah_run", "--alone"),
        ("--suite miniature --size 64", "--size 64"),
        ("--suite dmcr --render pretty", "render"),
        ("--suite dmcr --size 8", "size is 8"),
        ("--episodes 0", "episodes is 0"),
        ("--episodes 13", "episodes is 13"),
        ("--steps -1", "steps is -1"),
        ("--seed -1", "seed is -1"),
        ("--seed 1000000", "seed is 1000000"),
    ],
)
def test_what_cannot_be_shown_is_one_line(words, told, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert told in refused(words, capsys) and not list(tmp_path.iterdir())


def test_a_missing_package_is_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "dm_control", None)
    assert "hdream[dmc]" in refused("--suite dmcr", capsys) and not list(tmp_path.iterdir())


def test_a_result_of_another_study_is_refused(tmp_path):
    with pytest.raises(ValueError, match="atari_table"):
        examples.draw(SHIPPED / "atari_table.h5", tmp_path)


def test_the_shipped_frames_are_of_all_tasks_and_factors():
    """And they can be drawn again elsewhere, but for what another version of the renderer does."""
    found = load(SHIPPED / "examples_dmcr.h5")
    assert [*found.axes["row"]] == [*DMCR.tasks, *(f"{factor} alone" for factor in FACTORS)]
    pictures = found.values("picture/example").astype(float)
    apart = np.abs(pictures[:, 1:] - pictures[:, :1]).mean((2, 3, 4))  # (row, episode)
    assert apart[:4].min() > 10 and len({picture.tobytes() for picture in pictures[:3].reshape(18, -1)}) == 18


@pytest.mark.render
@no_dmc
def test_the_shipped_frames_are_those_of_the_command(tmp_path):
    words = f"--suite dmcr --tasks dmcr_cheetah_run --render fast --results {tmp_path} --out {tmp_path}"
    main(words.split())
    drawn, shipped = (load(folder / "examples_dmcr.h5").values("picture/example")[0] for folder in (tmp_path, SHIPPED))
    assert np.abs(drawn.astype(float) - shipped).mean() < 3
