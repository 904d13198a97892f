"""Where models are examined: frames like those that they were trained on, whatever this machine would draw."""

import pytest

from analysis import demo
from analysis.models.segments import make_env
from analysis.notebook import load_slice
from analysis.runs.study import Plan
from analysis.runs.sweep import Run
from hdream_core.config.presets import make_config
from hdream_core.runs import folder as run_folder
from hdream_core.support.errors import ConfigError


def planned(folder, task, renders):
    """A plan of online runs that were trained on frames of these qualities."""
    found = []
    for seed, render in enumerate(renders):
        run = Run(make_config(task, "smoke", changes={"seed": seed}), folder / str(seed))
        run_folder.prepare(run.config, run.folder)
        run_folder.add_provenance(run.folder, {"render": render, "camera": "corner"})
        found.append(run)
    return Plan("a study", found, 1, None, lambda *_: None)


@pytest.mark.render
@pytest.mark.parametrize("render", ["paper", "fast"])
def test_online_models_see_frames_like_their_own(tmp_path, render):
    env = make_env(planned(tmp_path, "lever_pull", [render, render]), seed=3)
    assert (env.render_quality, env.camera, env.seed) == (render, "corner", 3)


def test_models_of_different_frames_are_not_compared(tmp_path):
    with pytest.raises(ConfigError, match="was trained on frames of render fast, others on paper"):
        make_env(planned(tmp_path, "lever_pull", ["paper", "fast"]), seed=3)


def test_a_slice_of_online_runs_says_what_its_frames_are(tmp_path):
    words = ["--task", "mini_lever", "--preset", "smoke", "--mode", "online", "--methods", "w_r=1", "--stretches", "1"]
    demo.main([*words, "--runs", f"{tmp_path}/runs", "--folder", f"{tmp_path}/data"])
    task, facts, stretches = load_slice(tmp_path / "data" / "mini_lever_slice.h5")
    assert (task, facts["render"], facts["camera"], len(stretches)) == ("mini_lever", "numpy", "none", 1)
