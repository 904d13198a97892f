"""Files of earlier versions open: configs with one agent, runs and exports without a spec."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from hdream_core.config.files import from_dict, to_dict
from hdream_core.config.presets import METHODS, make_config, presets_for
from hdream_core.runs import checkpoint, load
from hdream_core.runs import folder as run_folder
from hdream_core.runs.load import export, load_agent
from hdream_core.support.errors import ConfigError
from hdream_core.support.settings import flatten, override
from hdream_core.train import train
from tests.small import MINI, run_until, smoke

OLD_ENV = {"render": "auto", "camera": "corner2"}


def as_before(config):
    """The config's JSON as version 0.1 wrote it."""
    data = to_dict(config)
    agent = data.pop("agent")
    del data["balancer"]["w_discount"], data["train"]["windows"], data["train"]["device"]
    return data | {"model": agent["model"], "behavior": agent["behavior"], "env": OLD_ENV}


@pytest.mark.parametrize("task", ["lever_pull", "mini_lever"])
def test_configs_of_before_are_the_same_configs(task):
    for preset in presets_for(task):
        for method in (name for name, (agent, _) in METHODS.items() if agent == "dreamerv2"):
            config = make_config(task, preset, method)
            assert from_dict(json.loads(json.dumps(as_before(config)))) == config


def test_a_config_of_another_suite_is_refused():
    data = to_dict(make_config("dmc_walker_run", "smoke")) | {"task": "lever_pull"}
    with pytest.raises(ConfigError, match=r"env\.suite is dmc, but lever_pull is a task of metaworld"):
        from_dict(data)


def test_another_action_repeat_is_not_the_papers():
    assert make_config("dmc_walker_run", "paper").scale == "paper"
    assert make_config("dmc_walker_run", "paper", changes={"env.action_repeat": 4}).scale == "reduced"
    assert make_config("dmc_walker_run", "paper", changes={"env.render": "fast"}).scale == "paper"


def test_a_discount_loss_that_was_balanced_still_is():
    config = make_config("mini_lever", "smoke", "harmony", {"model.discount_head": True})
    assert config.balancer.w_discount == 1.0 and from_dict(as_before(config)).balancer.w_discount is None
    fixed = make_config("mini_lever", "smoke", changes={"agent.model.discount_head": True})
    assert from_dict(as_before(fixed)) == fixed


def of_a_gpu_that_is_not_here(folder, config):
    """The device is where a run goes on, not what it is."""
    (folder / "config.json").write_text(json.dumps(to_dict(override(config, {"train.device": "cuda:9"}))))


def of_before(folder, config):
    (folder / "spec.json").unlink()
    (folder / "config.json").write_text(json.dumps(as_before(config)))
    state = checkpoint.load(folder / "checkpoint.pt")
    for name in ("previous_step", "skipped", "player_rng"):
        del state[name]
    for optimizer in state["optimizers"].values():
        optimizer["skipped"] = torch.zeros(())
    checkpoint.save(folder, state | {"understudy_rng": None})


@pytest.mark.parametrize("change", [of_a_gpu_that_is_not_here, of_before])
def test_a_run_from_elsewhere_is_resumed_to_the_bit(tmp_path, change):
    config = smoke(**{"train.steps": 200, "log.checkpoint_every": 50})
    train(config, tmp_path / "whole")
    run_until(config, tmp_path / "run", 160)
    change(tmp_path / "run", config)
    agent = load_agent(tmp_path / "run")
    assert agent.spec == MINI and agent.device.type == "cpu"
    train(config, tmp_path / "run")
    whole, run = ((tmp_path / name / "metrics.jsonl").read_bytes() for name in ("whole", "run"))
    assert whole == run


def test_an_export_of_before_is_loaded(tmp_path):
    config = smoke()
    run_until(config, tmp_path / "run", 60)
    path = export(load_agent(tmp_path / "run"), tmp_path / "agent.safetensors")
    weights, text = load_file(path), json.dumps(as_before(config))
    digest = load._digest({"config": text}, weights)
    save_file(weights, path, metadata={"config": text, "sha256": digest})
    agent = load_agent(path)
    assert agent.spec == MINI and agent.config == config
    image = np.zeros((1, *MINI.image), np.uint8)
    assert agent.act(image, None, explore=False)[0].shape == (1, 2)


def test_specs_are_kept_and_must_stay(tmp_path):
    run_folder.write_spec(tmp_path, MINI)
    assert run_folder.read_spec(tmp_path, "dmc_walker_run") == MINI
    other = dataclasses.replace(MINI, action_repeat=2)
    with pytest.raises(ConfigError, match="started with an environment"):
        run_folder.write_spec(tmp_path, other)
    with pytest.raises(ConfigError, match="must contain the environment's description"):
        run_folder.read_spec(tmp_path / "nowhere", "dmc_walker_run")
    (tmp_path / "spec.json").write_text('{"image": [32, 32, 3]}')
    with pytest.raises(ConfigError, match=r"spec\.json"):
        run_folder.read_spec(tmp_path, "mini_lever")


LEAVES = flatten(make_config("lever_pull", "cpu"))
NUMBERS = sorted(name for name, value in LEAVES.items() if type(value) in (int, float))


@given(
    st.sampled_from(NUMBERS), st.one_of(st.integers(-10, 10**10), st.floats(allow_nan=True), st.booleans(), st.none())
)
def test_a_setting_is_kept_or_refused_by_name(name, value):
    """Whatever is accepted survives JSON; whatever is not is one line that begins with the setting's name."""
    config = make_config("lever_pull", "cpu")
    try:
        changed = override(config, {name: value})
    except ConfigError as error:
        assert str(error).startswith(f"{name} is {value}") and "\n" not in str(error)
        return
    assert from_dict(json.loads(json.dumps(to_dict(changed)))) == changed
    assert type(flatten(changed)[name]) in (type(LEAVES[name]), type(value))
