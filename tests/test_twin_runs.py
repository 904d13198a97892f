"""Runs on the twin of RLBench: short episodes that terminate, residual networks, rewards through tanh, scale twin."""

from pathlib import Path

import numpy as np
import pytest
import torch

from analysis import counterfactual, demo, finding2, finding3
from analysis.results import schema
from hdream_core.config.files import from_dict, to_dict
from hdream_core.config.presets import make_config, presets_for
from hdream_core.data.replay import Replay, random_batch
from hdream_core.data.sources import check_source
from hdream_core.dreamerv2.agent import DreamerV2
from hdream_core.runs import checkpoint
from hdream_core.runs import folder as run_folder
from hdream_core.runs.evaluate import heldout_predictions
from hdream_core.runs.metrics import read_metrics
from hdream_core.runs.trainer import Trainer
from hdream_core.support.errors import ConfigError
from hdream_core.support.rewards import in_unit
from hdream_core.train import train
from offline_buffers.build import Build, build
from offline_buffers.validate import validate
from tests.refusals import places, refused
from tests.small import MINI, noise, run_until, small_agent

REACH = "twin_reach_target"
SHORT = {"env.render": "fast", "env.near": 0.5, "train.batch": 16}  # so that chance ends most episodes


@pytest.mark.parametrize("method", ["dreamerv2", "harmony", "dreamerv3"])
@pytest.mark.render
def test_terminal_rows_are_trained_on(tmp_path, method):
    config = make_config(REACH, "smoke", method, SHORT | {"train.prefill": 600, "train.steps": 700})
    run_folder.prepare(config, tmp_path)
    trainer, batches = Trainer(config, tmp_path), []
    update = trainer.update
    trainer.update = lambda batch: batches.append(batch) or update(batch)
    trainer.run()
    terminal, first = (np.stack([np.asarray(batch[name]) for batch in batches]) for name in ("is_terminal", "is_first"))
    store = trainer.source.store
    successes = sum(store.episode(i)["success"].any() for i in range(store.episodes))
    assert terminal.sum() >= 5 and min(store.lengths) < config.train.length and successes >= 3
    assert first[..., 1:][terminal[..., :-1]].all()  # what follows a terminal row is a new episode's first
    lines = [line for line in read_metrics(tmp_path / "metrics.jsonl") if line["kind"] == "train"]
    name = "continue" if method == "dreamerv3" else "discount"
    assert all(line[f"weight/{name}"] == 1 and np.isfinite(line[f"loss/{name}"]) for line in lines)
    for i in range(store.episodes):
        episode = store.episode(i)
        assert episode["is_terminal"].sum() == episode["is_terminal"][-1] == episode["success"].any()
        assert (episode["reward"][1:] < 0).all()
    assert min(store.episode(i)["reward"].min() for i in range(store.episodes)) < -1  # no tanh in the replay


@pytest.mark.render
def test_a_killed_run_with_running_statistics_resumes_to_the_bit(tmp_path):
    changes = {"train.prefill": 100, "train.steps": 400, "log.checkpoint_every": 50, "eval.every": 200}
    config = make_config(REACH, "smoke", "harmony", SHORT | changes)
    assert config.agent.model.encoder == "resnet"
    train(config, tmp_path / "whole")
    for step in (220, 340):
        run_until(config, tmp_path / "killed", step)
        assert checkpoint.load_run(tmp_path / "killed")["step"] > 100
    train(config, tmp_path / "killed")
    whole, killed = (tmp_path / name for name in ("whole", "killed"))
    assert (whole / "metrics.jsonl").read_bytes() == (killed / "metrics.jsonl").read_bytes()
    weights, others = (checkpoint.load_run(folder)["agent"] for folder in (whole, killed))
    assert any("variance" in name for name in weights)
    assert all(torch.equal(values, others[name]) for name, values in weights.items())


@pytest.fixture(scope="module")
def scripted(tmp_path_factory):
    """A buffer of the task's script, which nobody changes."""
    out = tmp_path_factory.mktemp("scripted") / "b"
    return build(Build(REACH, 4000, workers=1, out=out, render="fast"), show_progress=False)


@pytest.mark.render
def test_a_buffer_of_the_script_is_built_and_trained_on(tmp_path, scripted):
    assert validate(scripted) > 3
    offline = {
        "offline_buffer": str(scripted),
        "eval.context": 3,
        "eval.horizon": 4,
        "env.render": "fast",
        "train.batch": 8,
    }
    config = make_config(REACH, "smoke", "harmony", offline)
    run_folder.prepare(config, tmp_path / "run")
    trainer, terminal = Trainer(config, tmp_path / "run"), []
    update = trainer.update
    trainer.update = lambda batch: terminal.append(int(batch["is_terminal"].sum())) or update(batch)
    trainer.run()
    assert run_folder.is_done(tmp_path / "run") and sum(terminal) >= 5
    with pytest.raises(ConfigError, match=r"near.*0\.04.*0\.2"):
        train(make_config(REACH, "smoke", "harmony", offline | {"env.near": 0.2}), tmp_path / "refused")


def test_presets_are_of_scale_twin():
    for method in ("dreamerv2", "harmony", "dreamerv3", "harmony_dreamerv3"):
        for preset in presets_for(REACH, method):
            config = make_config("twin_push_button", preset, method)
            check_source(config)
            assert config.scale == "twin" and from_dict(to_dict(config)) == config
    assert set(presets_for(REACH)) >= {"paper", "cpu", "quick", "smoke"}
    paper = make_config(REACH, "paper", "harmony")
    assert paper.agent.model.encoder == "resnet" and paper.agent.model.discount_head
    assert (paper.train.reward, paper.train.windows, paper.balancer.w_discount) == ("tanh", "stream", 1.0)
    assert make_config("lever_pull", "paper").train.reward == "identity"


def test_the_reward_head_learns_the_tanh_and_data_stay_true():
    true, tanh = (small_agent(**{"train.reward": unit}) for unit in ("identity", "tanh"))
    tanh.load_state_dict(true.state_dict())
    batch = {name: values.clone() for name, values in noise(6).items()}
    batch["reward"] = torch.linspace(-3, 2, batch["reward"].numel()).reshape(batch["reward"].shape)
    before, losses = batch["reward"].clone(), {}
    for name, agent, rewards in (("tanh", tanh, before), ("converted", true, before.tanh()), ("true", true, before)):
        torch.manual_seed(0)
        losses[name] = agent.losses(batch | {"reward": rewards})["reward"]
    assert losses["tanh"] == losses["converted"] != losses["true"]
    torch.manual_seed(0)
    reported = tanh.update(batch)["loss/reward"]
    torch.testing.assert_close(reported, losses["tanh"])
    assert torch.equal(batch["reward"], before)


def test_dreamerv3_learns_the_tanh_too():
    losses = []
    for unit in ("identity", "tanh"):
        from hdream_core.agent import make_agent

        torch.manual_seed(0)
        agent = make_agent(make_config("mini_lever", "smoke", "dreamerv3", {"train.reward": unit}), MINI)
        batch = random_batch(2, 6, MINI)
        torch.manual_seed(0)
        losses.append(agent.losses(batch | {"reward": batch["reward"] if unit == "tanh" else np.tanh(batch["reward"])}))
    assert losses[0]["reward"] == losses[1]["reward"]


def test_units_of_rewards():
    rewards = np.array([-2.0, 0.5])
    assert in_unit(rewards, "identity") is rewards and in_unit(2.0, "tanh") == pytest.approx(np.tanh(2.0))
    np.testing.assert_allclose(in_unit(torch.tensor(rewards), "tanh").numpy(), in_unit(rewards, "tanh"))
    with pytest.raises(ValueError, match="symlog"):
        in_unit(rewards, "symlog")


def test_held_out_errors_are_in_the_unit_that_was_learned(buffer):
    """A model whose reward head gives 1 throughout: its error is to the tanh of true rewards, which are near 10."""
    from hdream_core.data.offline import open_buffer

    replay, errors = Replay(open_buffer(buffer).store), {}
    for unit in ("identity", "tanh"):
        agent = small_agent(**{"train.reward": unit, "eval.context": 3, "eval.horizon": 4})
        torch.nn.init.zeros_(agent.model.reward_head.output.weight)
        torch.nn.init.ones_(agent.model.reward_head.output.bias)
        found = heldout_predictions(agent, replay, agent.config.eval, 8, seed=0)
        rewards = replay.windows(found.start, 7)["reward"][:, 3:]
        np.testing.assert_allclose(found.error, np.square(1 - in_unit(rewards, unit)).mean(1), rtol=1e-4)
        errors[unit] = found.error
    assert not np.allclose(errors["identity"], errors["tanh"])


@pytest.mark.parametrize("study", [counterfactual, finding2, demo])
def test_studies_of_what_follows_an_event_refuse_in_a_line(study, capsys):
    refused(capsys, study.main, ["--task", REACH, "--preset", "smoke"], REACH)


def path_of_caption(folder: Path) -> Path:
    (path,) = (folder / "out").glob("*.txt")
    return path


@pytest.mark.render
@pytest.mark.slow
def test_a_study_with_probes_reads_positions_and_says_its_scale(tmp_path, scripted, capsys):
    words = ["--task", REACH, "--preset", "smoke", "--mode", "offline", "--methods", "w_r=1", "w_r=100"]
    finding3.main([*words, "--workers", "1", "--buffer", str(scripted), *places(tmp_path)])
    (path,) = tmp_path.joinpath("results").glob("*.h5")
    result = schema.load(path)
    assert result.attributes["scale"] == "twin" and np.isfinite(result.values("mlp/posterior")).any()
    assert "scale: twin" in capsys.readouterr().out
    assert "cale: twin" in path_of_caption(tmp_path).read_text()


def test_the_first_imagined_discount_is_that_of_the_data():
    """Facts of the released code: (1 - is_terminal) * gamma at the start, the head's output after it."""
    config = make_config("mini_lever", "smoke", changes={"agent.model.discount_head": True})
    agent = DreamerV2(config, MINI)
    ended = torch.tensor([[False, True, False]])
    gamma = config.agent.behavior.gamma
    torch.testing.assert_close(agent.model.true_discount(ended), torch.tensor([[gamma, 0.0, gamma]]))
