"""The contracts: whatever is outside an agent's folder works with an agent that it does not know."""

import numpy as np
import pytest
import torch

from analysis import counterfactual, loss_scales, state_regression
from analysis.results import schema
from hdream_core import envs
from hdream_core.agent import make_agent
from hdream_core.config import agents
from hdream_core.config.presets import METHODS, make_config
from hdream_core.runs import folder as run_folder
from hdream_core.runs.load import export, load_agent
from hdream_core.runs.metrics import read_metrics
from hdream_core.runs.trainer import Trainer
from hdream_core.support.errors import ConfigError
from hdream_core.train import default_folder, train
from tests.small import run_until

CONTEXT = {"eval.context": 5, "eval.horizon": 10}


@pytest.fixture
def fake(monkeypatch):
    """Registers the fake agent and a method for it, as a user's plugin would."""
    monkeypatch.setitem(agents.AGENTS, "fake", "tests.fake")
    monkeypatch.setitem(METHODS, "fake", ("fake", {"balancer.kind": "harmony"}))
    return make_config("mini_lever", "smoke", "fake", CONTEXT)


def files_of(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_fake_agent_is_trained_killed_resumed_and_loaded(tmp_path, fake):
    train(fake, tmp_path / "whole")
    run_until(fake, tmp_path / "killed", 110)
    train(fake, tmp_path / "killed")
    metrics = [(tmp_path / name / "metrics.jsonl").read_bytes() for name in ("whole", "killed")]
    assert metrics[0] == metrics[1]
    lines = read_metrics(tmp_path / "whole" / "metrics.jsonl")
    losses = [line["loss/reward"] for line in lines if line["kind"] == "train"]
    assert losses[-1] < losses[0] and {"weight/reward", "analytic_weight/reward"} <= set(lines[-2])
    agent = load_agent(tmp_path / "whole")
    again = load_agent(export(agent, tmp_path / "fake.safetensors"))
    assert again.spec == agent.spec and again.config == agent.config
    image = np.random.default_rng(0).integers(0, 256, (2, *agent.spec.image), np.uint8)
    np.testing.assert_allclose(again.act(image, None, False)[0], agent.act(image, None, False)[0], atol=1e-2)


@pytest.mark.parametrize(
    ("study", "flags"),
    [
        (loss_scales, ["--batches", "1"]),
        (state_regression, ["--segments", "20", "--folds", "2"]),
        (counterfactual, ["--branches", "6"]),
    ],
    ids=lambda value: getattr(value, "STUDY", ""),
)
def test_fake_agent_goes_through_studies(tmp_path, fake, study, flags, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for seed in (0, 1):
        config = make_config("mini_lever", "smoke", "fake", {"seed": seed})
        train(config, default_folder(config))
    words = ["--task", "mini_lever", "--preset", "smoke", "--mode", "online", "--methods", "fake", "--seeds", "0", "1"]
    study.main([*words, "--launcher", "none", *flags])
    (path,) = tmp_path.joinpath("results").glob("*.h5")
    assert list(schema.load(path).axes["method"]) == ["fake"]


def test_constructing_a_trainer_changes_no_file(tmp_path, fake):
    run_folder.prepare(fake, tmp_path)
    run_until(fake, tmp_path, 110)
    before = files_of(tmp_path)
    trainer = Trainer(fake, tmp_path)
    assert trainer.step == 0 and files_of(tmp_path) == before
    trainer.resume()
    assert trainer.step > 0


class Blind:
    task = "blind"


def test_a_missing_capability_is_one_line():
    with pytest.raises(envs.CapabilityError, match="blind cannot go back to a recorded step, which X needs"):
        envs.require(Blind(), envs.Branchable, "X")
    mini = envs.make("mini_lever")
    for capability in (envs.Branchable, envs.Scripted, envs.Located, envs.Env):
        assert isinstance(mini, capability)


def test_dreamerv2_refuses_discrete_actions():
    from hdream_core.spec import ActionSpec, Spec

    spec = Spec((32, 32, 3), ActionSpec("discrete", 3), 50)
    with pytest.raises(ConfigError, match="discrete"):
        make_agent(make_config("mini_lever", "smoke"), spec)
    assert (np.stack([spec.action.sample(np.random.default_rng(i)) for i in range(9)]).sum(1) == 1).all()
    assert Spec.from_dict(spec.to_dict()) == spec and torch.Size(spec.image) == (32, 32, 3)
