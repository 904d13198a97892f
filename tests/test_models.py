"""What the studies are made of: windows, branches, probes, frames, loaded models, method names, gradients."""

import numpy as np
import pytest
import torch

from analysis import counterfactual, demo
from analysis.models import branching, hallucination
from analysis.models.probes import ConstantProbe, LinearProbe, MLPProbe, ProbeConfig
from analysis.models.representation import features, folds_of
from analysis.models.segments import _rows, draw, make_env
from analysis.notebook import load_slice
from analysis.results.tasks import task_facts
from analysis.runs import methods
from analysis.runs.study import Plan
from analysis.runs.sweep import Run
from hdream_core import envs
from hdream_core.config.presets import make_config
from hdream_core.data.replay import random_batch
from hdream_core.envs import positions
from hdream_core.runs import folder as run_folder
from hdream_core.runs.checkpoint import CheckpointError
from hdream_core.runs.gradients import gradient_norms
from hdream_core.runs.load import export, load_agent
from hdream_core.support.batch import to_device
from hdream_core.support.errors import ConfigError
from hdream_core.train import train
from offline_buffers.behaviors import behavior_of, play
from tests.small import MINI, small_agent


@pytest.fixture(scope="module")
def episodes():
    env = envs.make("mini_lever", seed=5)
    return [_rows(play(env, behavior_of("scripted", 5, i), i)) for i in range(6)]


@pytest.fixture(scope="module")
def segments(episodes):
    return draw("mini_lever", episodes, 40, 30, seed=0)


@pytest.fixture
def agent():
    return small_agent().eval()


def test_segments_are_windows_of_whole_episodes(segments, episodes):
    assert len(segments) == 40 and segments.rows("image").shape == (40, 30, 32, 32, 3)
    for i in (0, 17, 39):
        e, s = segments.episode[i], segments.start[i]
        assert (segments.rows("action")[i] == episodes[e]["action"][s : s + 30]).all() and s + 30 <= 51
    batch = segments.batch()
    assert batch["is_first"][:, 0].all() and not batch["is_first"][:, 1:].any()
    chosen = segments.take(np.array([3, 3]))
    assert (chosen.rows("reward")[0] == segments.rows("reward")[3]).all()
    assert len(set(zip(segments.episode, segments.start, strict=True))) == 40  # no window twice
    every = draw("mini_lever", episodes, None, 50, seed=0)
    assert len(every) == 6 * 2  # 51 rows hold two windows of 50
    with pytest.raises(ConfigError, match=r"13 windows.* 6 episodes hold 12"):
        draw("mini_lever", episodes, 13, 50, seed=0)
    with pytest.raises(ConfigError, match="windows of 99 rows"):
        draw("mini_lever", episodes, 4, 99, seed=0)


@pytest.mark.parametrize(
    "task", ["mini_lever", *(pytest.param(t, marks=pytest.mark.render) for t in ("lever_pull", "hammer"))]
)
def test_positions_in_the_state_are_the_simulators(task):
    env = envs.make(task, seed=1)
    obs, _ = env.reset()
    for step in range(20):
        expected = env.object_positions()
        found = positions(task, obs["state"])
        assert set(found) == set(expected)
        for name, where in expected.items():
            assert found[name] == pytest.approx(where, abs=1e-6), (name, step)
        obs, *_ = env.step(env.expert_action())


@pytest.mark.render
@pytest.mark.parametrize("task", ["lever_pull", "handle_pull_side", "hammer"])
def test_an_object_that_nobody_touches_is_untouched_once_it_rests(task):
    env = envs.make(task, seed=1)
    rows = [env.reset()[0]["state"]]
    for _ in range(40):
        rows.append(env.step(np.zeros(4, np.float32))[0]["state"])
    untouched = hallucination.untouched_rows(task, {"state": np.stack(rows)})
    settled = task_facts(task).settled
    assert untouched[settled:].all() and not untouched[:settled].any()


@pytest.mark.parametrize("task", ["mini_lever", pytest.param("lever_pull", marks=pytest.mark.render)])
def test_recorded_branch_replays_the_record(task):
    episode = _rows(play(envs.make(task, seed=3), behavior_of("scripted", 3, 7), 7))
    windows = draw(task, [episode], 3, 40, seed=0)
    truth = branching.simulate(envs.make(task, seed=4), windows, 15, "recorded")
    assert truth.reward == pytest.approx(windows.rows("reward")[:, 15:], abs=1e-5) and truth.valid.all()
    where = windows.positions()[task_facts(task).main]
    moved = np.linalg.norm(where[:, 15:] - where[:, 14:15], axis=-1)
    assert truth.displacement == pytest.approx(moved, abs=1e-6)


def test_altered_actions_do_what_they_are_named_for(segments, episodes):
    env = envs.make("mini_lever", seed=9)
    action = segments.rows("action")[:, 10:]
    halt = branching.simulate(env, segments, 10, "halt")
    assert (halt.action == 0).all() and halt.displacement.max() == 0  # a tip at rest pushes nothing
    mirrored = branching.simulate(env, segments, 10, "mirrored")
    assert (mirrored.action[..., 0] == -action[..., 0]).all() and (mirrored.action[..., 1] == action[..., 1]).all()
    short = branching.simulate(env, draw("mini_lever", episodes, None, 50, seed=1), 5, "stop_short")
    assert short.valid.any() and not short.valid.all()  # not every window has a contact to prevent
    assert short.displacement[short.valid].max() == 0
    aside = branching.simulate(env, segments, 10, "displaced").action
    away = segments.positions()
    side = np.sign(away["lever"][:, 9, 0] - away["tip"][:, 9, 0])
    assert (aside[:, : branching.ASIDE, 0] == -side[:, None]).all() and (aside[:, : branching.ASIDE, 1] == 0).all()
    assert (aside[:, branching.ASIDE :] == action[:, : -branching.ASIDE]).all()


def test_altered_actions_count_only_where_the_simulator_shows_no_contact(episodes):
    """And the simulator, asked again after it has been elsewhere, says the same."""
    env = envs.make("mini_lever", seed=9)
    windows = draw("mini_lever", episodes, 60, 40, seed=2)
    for name in branching.ALTERNATIVES:
        truth, again = (branching.simulate(env, windows, 10, name) for _ in range(2))
        for ours, theirs in zip(vars(truth).values(), vars(again).values(), strict=True):
            np.testing.assert_array_equal(ours, theirs)
        touched = truth.displacement.max(-1) > task_facts("mini_lever").touched
        if name == "recorded":
            assert truth.valid.all() and touched.any()
        else:
            assert not touched[truth.valid].any()


def test_branches_begin_at_an_untouched_object_and_stand_for_the_record(episodes):
    level = hallucination.reward_level("mini_lever", episodes)
    branches, weight = counterfactual.draw_branches("mini_lever", episodes, 40, level)
    where = branches.positions()["lever"][:, counterfactual.CONTEXT - 1]
    start = np.stack([positions("mini_lever", episodes[e]["state"][0])["lever"] for e in branches.episode])
    assert np.linalg.norm(where - start, axis=-1).max() <= task_facts("mini_lever").touched
    rises = (branches.rows("reward")[:, counterfactual.CONTEXT :] > level).any(1)
    every = draw("mini_lever", episodes, None, counterfactual.LENGTH, seed=0)
    untouched = [hallucination.untouched_rows("mini_lever", rows) for rows in episodes]
    at = counterfactual.CONTEXT - 1
    all_rest = [untouched[e][s + at] for e, s in zip(every.episode, every.start, strict=True)]
    some = np.array(all_rest) & (every.rows("reward")[:, at] <= level)
    share = (every.rows("reward")[some][:, at + 1 :] > level).any(1).mean()
    assert np.average(rises, weights=weight) == pytest.approx(share) and weight.mean() == pytest.approx(1)


def test_gripper_goes_on_while_a_metaworld_hand_rests():
    action = np.ones((20, 4), np.float32)
    still = branching.halt(action, np.zeros(20), np.zeros(3), 0.1)
    assert (still[:, :3] == 0).all() and (still[:, 3] == 1).all() and (action == 1).all()


def test_folds_keep_episodes_whole_and_validate_each_once(segments):
    folds = folds_of(segments, 3)
    for fitted, validation in folds:
        assert not set(segments.episode[fitted]) & set(segments.episode[validation])
        assert len(fitted) + len(validation) == len(segments) and len(validation)
    assert sorted(np.concatenate([validation for _, validation in folds])) == list(range(len(segments)))
    for odd in (1, 7):
        with pytest.raises(ConfigError, match="folds of whole episodes"):
            folds_of(segments, odd)


def test_probes_survive_a_feature_that_the_fit_never_saw():
    """A latent class that is first taken on a validation row must not throw the prediction out of the world."""
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(size=(500, 4)), np.zeros((500, 1))], 1)
    y = x[:, :2] * 3
    new = x[:50].copy()
    new[:, 4] = 1.0
    for probe in (MLPProbe(x, y, ProbeConfig(hidden=32, layers=2, updates=200), 0), LinearProbe(x, y)):
        assert np.abs(probe(new) - y[:50]).max() < 30
    np.testing.assert_allclose(ConstantProbe(x, y)(new), np.broadcast_to(y.mean(0), (50, 2)))


def test_a_probe_keeps_its_precision_whoever_asks():
    """Dreams are drawn under autocast, and their features read there."""
    x = np.random.default_rng(0).normal(size=(300, 6))
    probe = MLPProbe(x, x[:, :2], ProbeConfig(hidden=32, layers=2, updates=50), 0)
    with torch.autocast(probe.device.type, dtype=torch.bfloat16):
        found = probe(x)
    np.testing.assert_array_equal(found, probe(x))


def test_method_names():
    assert methods.parse("w_o=0,w_r=100")[1] == {"balancer.w_o": 0.0, "balancer.w_r": 100.0, "method": "w_o=0,w_r=100"}
    assert methods.parse("harmony,w_d=1") == ("harmony", {"balancer.w_d": 1.0, "method": "harmony,w_d=1"})
    assert methods.parse("unrectified")[1]["balancer.rectified"] is False
    assert task_facts("hammer").balanced == "w_r=10" and task_facts("lever_pull").balanced == "w_r=100"
    for odd in ("w_q=1", "w_r=", "", "harmony w_d=1"):
        with pytest.raises(ConfigError):
            methods.parse(odd)


def test_run_and_export_load_as_the_agent_that_was_trained(tmp_path, segments):
    config = make_config("mini_lever", "smoke")
    train(config, tmp_path / "run")
    agent = load_agent(tmp_path / "run")
    assert agent.config == config and agent.spec == MINI
    small = load_agent(export(agent, tmp_path / "agent.safetensors"))
    some = segments.take(np.arange(4))
    found, again, rounded = (features(which, some, 10) for which in (agent, agent, small))
    feat = agent.model.rssm.feat_dim
    assert found.posterior.shape == (4, 30, feat) and found.open_loop.shape == (4, 20, feat)
    assert (found.open_loop == again.open_loop).all()
    apart = np.abs(found.posterior - rounded.posterior)
    assert np.median(apart) < 1e-2  # float16 weights; single latents may fall to another class
    whole = sum(v.numel() for name, v in agent.state_dict().items() if "critic" not in name)
    assert (tmp_path / "agent.safetensors").stat().st_size < 2.2 * whole + 20_000


def test_damaged_models_are_one_line(tmp_path):
    with pytest.raises(CheckpointError, match="no such file"):
        load_agent(tmp_path / "none.safetensors")
    (tmp_path / "bad.safetensors").write_bytes(b"junk")
    with pytest.raises(CheckpointError, match="not an exported agent"):
        load_agent(tmp_path / "bad.safetensors")
    with pytest.raises(ConfigError, match="is not a run's folder"):
        load_agent(tmp_path)


def test_gradient_norms_against_a_backward_pass(agent):
    batch = random_batch(2, 8, MINI)
    norms = gradient_norms(agent, batch)
    assert set(norms) == {"observation", "reward", "dynamics"} and all(value > 0 for value in norms.values())
    torch.manual_seed(0)
    losses, _, _ = agent.model.losses(to_device(batch, agent.device))
    losses["reward"].backward()
    expected = torch.cat([p.grad.flatten() for p in agent.shared_parameters() if p.grad is not None]).norm()
    assert norms["reward"] == pytest.approx(float(expected), rel=1e-4)


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
