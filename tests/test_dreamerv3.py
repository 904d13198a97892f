"""DreamerV3 through the loop: sizes, resume to the bit, export, studies, and windows that reach into the present."""

import numpy as np
import pytest
import torch

from analysis import loss_scales
from analysis.results import schema
from hdream_core import envs
from hdream_core.agent import make_agent
from hdream_core.config.presets import make_config, presets_for
from hdream_core.data.replay import Replay, random_batch
from hdream_core.data.sources import check_source
from hdream_core.data.store import EpisodeStore, Field
from hdream_core.dreamerv3.networks import Encoder, stages
from hdream_core.envs.moves import MOVES
from hdream_core.envs.vector import make_episodes
from hdream_core.runs.evaluate import policy_episodes
from hdream_core.runs.load import export, load_agent
from hdream_core.spec import ActionSpec, Spec
from hdream_core.support.errors import ConfigError
from hdream_core.train import default_folder, train
from tests.refusals import refused
from tests.small import goes_on_to_the_same_bits

GAME = Spec((64, 64, 3), ActionSpec("discrete", 6), 108_000, 4, terminates=True)


def small(method="dreamerv3", task="mini_moves", **changes):
    return make_config(task, "smoke", method, changes)


def test_the_paper_s_size_has_as_many_parameters_as_the_authors():
    config = make_config("atari_pong", "paper", "harmony_dreamerv3")
    agent = make_agent(config, GAME, "meta")
    counts = [
        sum(p.numel() for p in part.parameters())
        for part in (agent.model, agent.balancer, agent.behavior.actor, agent.behavior.critic)
    ]
    assert [counts[0] + counts[1], *counts[2:]] == [15_687_814, 1_053_702, 1_181_439]
    assert config.scale == "paper" and make_config("lever_pull", "paper", "dreamerv3").scale == "paper"
    assert make_config("atari_pong", "cpu", "dreamerv3").scale == "reduced"


def test_untrained_models_predict_nothing():
    """Rewards and values begin at 0, and the reward loss at log 255."""
    torch.manual_seed(0)
    agent = make_agent(small(), Spec((32, 32, 3), ActionSpec("discrete", 9), 50))
    batch = random_batch(2, 8, agent.spec)
    losses = agent.losses(batch)
    assert losses["reward"].item() == pytest.approx(np.log(255), rel=1e-5)
    assert agent.open_loop(batch, 3).reward.abs().max() < 1e-4
    assert set(losses) == set(agent.balancer.names) == {"observation", "reward", "dynamics", "continue"}


@pytest.mark.parametrize(
    ("task", "method"), [("mini_moves", "harmony_dreamerv3"), ("mini_lever", "dreamerv3"), ("atari_pong", "dreamerv3")]
)
def test_a_run_that_was_killed_goes_on_to_the_same_bits(tmp_path, task, method):
    if task.startswith("atari"):
        pytest.importorskip("ale_py")
        kills, more = (900,), {"train.steps": 1600, "env.limit": 400, "train.capacity": 1000}
    else:
        kills, more = (135, 310), {"train.steps": 400, "log.checkpoint_every": 100, "eval.every": 200}
    config = small(method, task, **more)
    lines = [line for line in goes_on_to_the_same_bits(config, tmp_path, kills)[1] if line["kind"] == "train"]
    weights = {line["weight/reward"] for line in lines}
    assert (len(weights) > 3) == (method == "harmony_dreamerv3") and lines[-1]["weight/continue"] == 1
    assert lines[-1]["weight/dynamics"] == pytest.approx(0.6) or method == "harmony_dreamerv3"


def test_an_exported_agent_predicts_and_acts_alike(tmp_path):
    train(small(**{"train.steps": 60}), tmp_path / "run")
    agent = load_agent(tmp_path / "run")
    again = load_agent(export(agent, tmp_path / "v3.safetensors"))
    batch = random_batch(2, 8, agent.spec)
    for one, other in ((agent, again), (again, agent)):
        torch.manual_seed(0)
        features = one.features(batch)
        torch.manual_seed(0)
        assert torch.allclose(features, other.features(batch), atol=2e-2)
    actions, memory = again.act(batch["image"][:, 0], None, explore=False)
    more, _ = again.act(batch["image"][:, 1], memory, explore=True)
    assert (actions.sum(1) == 1).all() and set(np.unique(more)) == {0.0, 1.0}
    frames = again.decode(agent.open_loop(batch, 3, samples=2).feat)
    assert frames.shape == (4, 5, 32, 32, 3) and 0 <= frames.min() <= frames.max() <= 1


def test_continuous_actions_stay_in_range_and_evaluations_may_take_the_mode():
    config = small(task="mini_lever", **{"agent.behavior.evaluate": "mode"})
    agent = make_agent(config, Spec((32, 32, 3), ActionSpec("continuous", 2), 50))
    image = np.zeros((64, 32, 32, 3), np.uint8)
    explored, _ = agent.act(image, None, explore=True)
    assert np.abs(explored).max() == 1.0  # samples beyond it are clipped
    with torch.no_grad():
        for p in agent.model.parameters():
            p.zero_()  # one feature for all frames
    modes, _ = agent.act(image, None, explore=False)
    assert (agent.behavior.actor.policy(torch.zeros(1, agent.model.rssm.feat_dim)).std > 0.8).all()
    assert np.ptp(modes, axis=0).max() < np.ptp(explored, axis=0).max()


def test_learning_through_the_dynamics_needs_continuous_actions():
    with pytest.raises(ConfigError, match="mini_moves are discrete"):
        make_agent(small(**{"agent.behavior.gradient": "dynamics"}), GAME)


@pytest.mark.parametrize(("size", "count"), [(64, 4), (32, 3), (48, 3), (16, 2)])
def test_frames_of_several_sizes_are_halved_to_small_maps(size, count):
    assert stages(size) == count
    assert Encoder((size, size, 3), 2)(torch.zeros(1, 3, size, size)).shape == (
        1,
        Encoder((size, size, 3), 2).embed_dim,
    )


def test_frames_that_cannot_be_halved_are_refused():
    with pytest.raises(ConfigError, match="84"):
        stages(84)


def test_a_study_reads_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("dreamerv3", "harmony_dreamerv3"):
        config = small(name)
        train(config, default_folder(config))
    words = ["--task", "mini_moves", "--preset", "smoke", "--methods", "dreamerv3", "harmony_dreamerv3"]
    loss_scales.main([*words, "--launcher", "none", "--mode", "online", "--batches", "1"])
    (path,) = tmp_path.joinpath("results").glob("*.h5")
    found = schema.load(path)
    assert found.methods == ["dreamerv3", "harmony_dreamerv3"] and np.isfinite(found.values("loss/reward")).all()


@pytest.mark.parametrize(
    "task", ["lever_pull", "mini_lever", "mini_dial", "mini_moves", "dmc_walker_run", "dmcr_walker_run", "atari_pong"]
)
def test_every_preset_can_be_trained_online(task):
    for preset in presets_for(task, "dreamerv3"):
        check_source(make_config(task, preset, "harmony_dreamerv3"))


def test_an_agent_without_presets_for_a_task_names_those_that_have_some(capsys):
    from hdream_core.train import main

    refused(capsys, main, ["--task", "mini_moves", "--preset", "smoke"], "harmony_dreamerv3")
    assert presets_for("mini_moves", "dreamerv2") == {}


def test_moves_are_the_miniature_s(tmp_path):
    env, free = envs.make("mini_moves", seed=2), envs.make("mini_lever", seed=2)
    env.reset(), free.reset()
    for choice in np.random.default_rng(0).integers(9, size=20):
        ours, theirs = env.step(np.eye(9)[choice]), free.step(MOVES[choice])
        np.testing.assert_array_equal(ours[0]["image"], theirs[0]["image"])
        assert ours[1:] == theirs[1:]
    env.reset()
    assert sum(env.step(env.expert_action())[1] for _ in range(50)) > 100


ROW = {"image": Field("|u1", (2, 2, 3)), "action": Field("<f4", (1,)), "reward": Field("<f4", ())}
ROW |= {"is_terminal": Field("|b1", ())}


def test_windows_reach_into_the_episode_that_is_being_played(tmp_path):
    """Rows keep their content and place when the episode ends; without ``running`` they wait for the end."""
    store = EpisodeStore(tmp_path, ROW)
    now, later = (Replay(store, window_kind="stream", running=running) for running in (True, False))
    rng, played = np.random.default_rng(0), 0
    for length in (3, 7, 5, 1):
        for _ in range(length):
            image = np.full((2, 2, 3), played, np.uint8)
            reward, action = np.float32(played), np.full(1, played, np.float32)
            store.play_on({"image": image, "action": action, "reward": reward, "is_terminal": np.bool_(False)})
            played += 1
        assert later.can_sample(3) == (store.rows >= 3) and now.can_sample(3)
        batch = now.sample(rng, 60, 3)
        rows = batch["reward"].astype(int)
        assert (np.diff(rows) == 1).all() and rows.min() == 0 and rows.max() == played - 1
        assert (batch["image"][..., 0, 0, 0] == rows).all() and (batch["action"][..., 0] == rows).all()
        np.testing.assert_array_equal(batch["is_first"][:, 1:], np.isin(rows, [0, 3, 10, 15])[:, 1:])
        last = np.array([played - 3])
        before = now.windows(last, 3)
        store.finish()
        for name, values in now.windows(last, 3).items():
            np.testing.assert_array_equal(values, before[name])


def test_rounds_play_all_episodes_of_an_evaluation():
    """Five episodes in two environments are those of five environments, for a player without randomness."""

    class Still:
        def act(self, image, memory, explore):
            return np.tile(np.float32([0.1, -1.0]), (len(image), 1)), memory

    found = []
    for at_once in (5, 2, 1):
        several = make_episodes("mini_lever", at_once, False, seed=4)
        found.append(policy_episodes(Still(), several, seed=0, episodes=5))
        several.close()
    assert found[0] == pytest.approx(found[1]) and found[0] == pytest.approx(found[2])
