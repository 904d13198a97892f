"""What the notebooks call: exported models, recorded stretches, rollouts beside the simulator, controls."""

import numpy as np
import pytest

from analysis import demo, explore, study, widgets
from analysis.balance import follow
from analysis.explore import Explorer, load_slice
from figures import rollout
from hdream_core.balancers import Harmony
from hdream_core.minari_layout import DatasetError
from offline_buffers.build import Build, build


@pytest.fixture(scope="module")
def explorer(tmp_path_factory):
    """Models and stretches of the miniature, made by the command that makes the shipped ones."""
    root = tmp_path_factory.mktemp("demo")
    build(Build("mini_lever", 600, workers=1, out=root / "buffer"), show_progress=False)
    command = ["--task", "mini_lever", "--preset", "smoke", "--mode", "offline", "--buffer", str(root / "buffer")]
    command += ["--runs", str(root / "runs"), "--folder", str(root / "data"), "--stretches", "2", "--rows", "51"]
    command += ["--methods", "w_r=1", "w_o=0,w_r=100", "--set", "eval.context=5", "eval.horizon=10", "train.steps=40"]
    study.main(demo.Demo, demo.run, command)
    models = {path.stem.removeprefix("mini_lever_"): path for path in sorted((root / "data").glob("*.safetensors"))}
    return Explorer(models, root / "data" / "mini_lever_slice.h5")


def test_demo_exports_models_and_stretches(explorer):
    assert set(explorer.agents) == {"w_r=1", "w_o=0,w_r=100"} and len(explorer.stretches) == 2
    assert explorer.facts["git_commit"] and explorer.facts["source"] == "scripted"
    segments = explorer.segments(20, every=10)
    assert len(segments) == 2 * 4 and segments.rows("image").shape[:2] == (8, 20)


def test_rollout_without_a_push_is_the_record(explorer):
    rows = explorer.stretches[1]
    found = explorer.rollout(1, start=3, context=8, horizon=20)
    assert found.true_reward == pytest.approx(rows["reward"][3:31], abs=1e-5)
    assert (found.true_image == rows["image"][3:31]).all()
    for name in explorer.agents:
        assert found.dreamed_image[name].shape == found.true_image.shape
        assert (found.dreamed_reward[name][:8] == rows["reward"][3:11]).all()  # what was seen is not dreamed
    assert (found.dreamed_image["w_o=0,w_r=100"] == 128).all()  # a model without a decoder dreams no frames


def test_push_alters_actions_truth_and_dreams(explorer):
    plain, pushed = (explorer.rollout(0, 0, 5, 20, push) for push in ((0, 0), (1, 0)))
    assert (pushed.action[:, 0] >= plain.action[:, 0]).all() and np.abs(pushed.action).max() <= 1
    assert (pushed.action[:, 1] == plain.action[:, 1]).all()
    assert not np.allclose(plain.true_reward, pushed.true_reward)
    assert (plain.dreamed_reward["w_r=1"][5:] != pushed.dreamed_reward["w_r=1"][5:]).any()
    with pytest.raises(ValueError, match="51 rows"):
        explorer.rollout(0, 10, 15, 35)


def test_rollout_is_drawn(explorer, tmp_path):
    figure = rollout.draw(explorer.rollout(0, 0, 5, 20), title="a title")
    figure.savefig(tmp_path / "r.png")
    assert (tmp_path / "r.png").stat().st_size > 10_000


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of ipywidgets, on its own classes
def test_controls_play_when_they_are_moved(explorer, monkeypatch):
    played = []
    plain = explorer.rollout
    monkeypatch.setattr(explorer, "rollout", lambda *args: played.append(args) or plain(*args))
    box = widgets.spurious_correlations(explorer, horizon=20)
    assert len(played) == 1
    controls, _ = box.children
    stretch, start, context = controls.children[0].children
    stretch.value = 1
    assert played[-1][0] == 1
    context.value = 25
    assert start.max == 51 - 20 - 25


def test_damaged_slices_and_missing_models_are_one_line(tmp_path, monkeypatch):
    (tmp_path / "x.h5").write_bytes(b"junk")
    with pytest.raises(DatasetError, match="not a slice"):
        load_slice(tmp_path / "x.h5")
    monkeypatch.setattr(explore, "DATA", tmp_path)
    with pytest.raises(DatasetError, match="holds no models of hammer"):
        Explorer.shipped("hammer")


def test_follow_reaches_the_analytic_weights():
    losses = {"observation": np.full(6, 50.0), "reward": np.full(6, 0.3)}
    learned, analytic = follow(Harmony(("observation", "reward")), losses, lr=0.05, updates_per_value=300)
    for name in losses:
        assert learned[name][-1] == pytest.approx(analytic[name][-1], rel=0.02)
        assert analytic[name] == pytest.approx(2 / (losses[name] + np.sqrt(losses[name] ** 2 + 4 * losses[name])))
