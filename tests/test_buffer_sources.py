"""Where a buffer's episodes come from: scripted behaviour over the whole range of skill, or a finished run."""

import json
import shutil

import h5py
import numpy as np
import pytest

from hdream_core.config.presets import make_config
from hdream_core.data.minari_layout import convert, read_episode, read_metadata
from hdream_core.data.store import StoreError
from hdream_core.runs import folder as run_folder
from hdream_core.support.errors import ConfigError
from hdream_core.train import train
from offline_buffers import build as build_module
from offline_buffers import validate
from offline_buffers.behaviors import Scripted, behavior_of, play
from offline_buffers.build import Build, build
from tests.test_offline_buffers import built_with_a_break


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    run = tmp_path_factory.mktemp("trained") / "run"
    train(make_config("mini_lever", "smoke"), run)
    return run


def test_scripted_source_covers_low_to_high_return():
    from hdream_core import envs

    env = envs.make("mini_lever", seed=0)
    returns = np.array([play(env, behavior_of("scripted", 0, k), k)["rewards"].sum() for k in range(40)])
    skills = np.array([behavior_of("scripted", 0, k).skill for k in range(40)])
    assert returns.min() < 80 and returns.max() > 380
    assert np.corrcoef(skills, returns)[0, 1] > 0.5
    assert np.histogram(skills, 4, (0, 1))[0].min() >= 9


def test_full_skill_is_the_expert_alone():
    from hdream_core import envs

    env = envs.make("mini_lever", seed=0)
    env.reset()
    behavior = Scripted(1.0, np.random.default_rng(0))
    for _ in range(30):
        np.testing.assert_array_equal(behavior(env, env.render_image()), env.expert_action())
        env.step(env.expert_action())


def test_source_run_takes_the_episodes_of_an_online_run(tmp_path):
    run = tmp_path / "run"
    train(make_config("mini_lever", "smoke", changes={"train.steps": 150}), run)
    folder = build(Build("mini_lever", source=f"run:{run}", out=tmp_path / "b"), show_progress=False)
    assert validate.validate(folder) == 3
    with h5py.File(folder / "data" / "main_data.hdf5") as file:
        rows = convert(read_episode(file, 1), to="rows")
    from hdream_core.data.store import EpisodeStore
    from hdream_core.runs import checkpoint

    store = EpisodeStore(run / "replay")
    store.rewind(checkpoint.load(run / "checkpoint.pt")["episodes"].numpy())
    for name in ("image", "action", "reward", "sim_state", "success"):
        np.testing.assert_array_equal(rows[name], store.episode(1)[name])


def test_a_buffer_of_a_run_is_named_after_it(tmp_path, monkeypatch):
    monkeypatch.setattr(build_module, "DATA", tmp_path / "data")
    for method, seed in (("harmony", 0), ("harmony", 4), ("dreamerv2", 4)):
        run = tmp_path / f"{method}_{seed}"
        run_folder.prepare(make_config("mini_lever", "smoke", method, {"seed": seed}), run)
        folder = Build("mini_lever", source=f"run:{run}").folder()
        assert folder == tmp_path / "data" / f"mini_lever_run_{method}_80_seed{seed}"


def test_a_long_run_is_copied_in_parts_and_a_copy_that_broke_off_goes_on(tmp_path, monkeypatch):
    train(make_config("mini_lever", "smoke", changes={"train.steps": 150}), tmp_path / "run")
    monkeypatch.setattr("offline_buffers.sources.EPISODES_PER_PART", 2)
    job = Build("mini_lever", source=f"run:{tmp_path / 'run'}", out=tmp_path / "b")
    assert validate.validate(built_with_a_break(job, monkeypatch)) == 3


def test_a_run_is_read_and_not_cut(tmp_path, capsys):
    """Its checkpoint may be the one before the last: the episodes beyond are left out, and stay."""
    config = make_config("mini_lever", "smoke", changes={"train.steps": 300, "log.checkpoint_every": 100})
    train(config, tmp_path / "run")
    frames = (tmp_path / "run/replay/image.raw").read_bytes()
    (tmp_path / "run/checkpoint.pt").write_bytes(b"damaged")
    build(Build("mini_lever", source=f"run:{tmp_path / 'run'}", out=tmp_path / "b"), show_progress=False)
    assert "damaged" in capsys.readouterr().err
    assert (tmp_path / "run/replay/image.raw").read_bytes() == frames and validate.validate(tmp_path / "b") < 6


def test_run_of_another_task_is_refused(trained, tmp_path):
    run = shutil.copytree(trained, tmp_path / "run")
    with pytest.raises(ConfigError, match="is a run of mini_lever; give --task mini_lever"):
        build(Build("lever_pull", source=f"run:{run}", out=tmp_path / "b"), show_progress=False)
    facts = read_metadata(build(Build("mini_lever", source=f"run:{run}", out=tmp_path / "b"), show_progress=False))
    assert facts["hdream"]["steps"] == facts["total_steps"] == 50 and facts["hdream"]["render"] == "numpy"


def test_a_run_without_its_frames_is_refused(trained, tmp_path):
    """A sound layout that is not a run's; found by ``test_damaged``."""
    run = shutil.copytree(trained, tmp_path / "run")
    layout = run / "replay" / "layout.json"
    whole = json.loads(layout.read_text())
    for name in whole:
        layout.write_text(json.dumps({other: kind for other, kind in whole.items() if other != name}))
        with pytest.raises(StoreError, match=f"which differs from the .*{name}"):
            build(Build("mini_lever", source=f"run:{run}", out=tmp_path / "b"), show_progress=False)
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize("value", [None, 3, 10**30, ["fast"], {}])
def test_a_run_whose_render_is_no_text_is_refused(trained, tmp_path, value):
    run = shutil.copytree(trained, tmp_path / "run")
    facts = json.loads((run / "provenance.json").read_text())
    (run / "provenance.json").write_text(json.dumps(facts | {"render": value}))
    with pytest.raises(ConfigError, match=r"provenance\.json: render is .*; it must be a text"):
        build(Build("mini_lever", source=f"run:{run}", out=tmp_path / "b"), show_progress=False)
