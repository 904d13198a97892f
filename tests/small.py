"""The smallest run, agent and batch, on the miniature, a run that dies on the way, and the specs of two suites."""

import numpy as np
import pytest
import torch

from hdream_core.config.fields import Config
from hdream_core.config.presets import make_config
from hdream_core.data.replay import random_batch
from hdream_core.dreamerv2.agent import DreamerV2
from hdream_core.runs import folder as run_folder
from hdream_core.runs.checkpoint import load
from hdream_core.runs.metrics import read_metrics
from hdream_core.runs.trainer import Trainer
from hdream_core.spec import ActionSpec, Spec
from hdream_core.support.batch import to_device
from hdream_core.train import train

MINI = Spec((32, 32, 3), ActionSpec("continuous", 2), 50)  # of mini_lever
METAWORLD = Spec((64, 64, 3), ActionSpec("continuous", 4), 500)


def smoke(method: str = "dreamerv2", **changes) -> Config:
    return make_config("mini_lever", "smoke", method, {"eval.context": 5, "eval.horizon": 10} | changes)


def small_agent(method: str = "dreamerv2", **changes) -> DreamerV2:
    return DreamerV2(make_config("mini_lever", "smoke", method, changes), MINI)


def noise(length: int = 6) -> dict[str, torch.Tensor]:
    """Two windows of the miniature's shapes."""
    return to_device(random_batch(2, length, MINI), torch.device("cpu"))


class Interrupted(Exception):
    pass


def run_until(config, folder, step):
    """A run that dies as a killed process would: between two updates, without a word."""

    def die(now, latest):
        if now >= step:
            raise Interrupted

    run_folder.prepare(config, folder)
    with pytest.raises(Interrupted):
        Trainer(config, folder, die).run()


def goes_on_to_the_same_bits(config, folder, kills):
    """Trains a run, and one that is killed at some steps: both write the same. Returns the last state and the lines."""
    whole, broken = folder / "whole", folder / "broken"
    train(config, whole)
    for step in kills:
        run_until(config, broken, step)
    train(config, broken)
    assert (whole / "metrics.jsonl").read_bytes() == (broken / "metrics.jsonl").read_bytes()
    a, b = (load(one / "checkpoint.pt") for one in (whole, broken))
    assert all(torch.equal(a["agent"][name], b["agent"][name]) for name in a["agent"])
    replays = [state["rngs"]["replay"] for state in (a, b)]
    if "priorities" in replays[0]:
        assert torch.equal(*(replay["priorities"] for replay in replays))
    return a, read_metrics(whole / "metrics.jsonl")


def logs_all(lines, losses, gradient, offline):
    """Losses, one of the gradients and evaluations are logged; predictions of rewards offline alone."""
    assert {name for line in lines for name in line if name.startswith("loss/")} >= {f"loss/{n}" for n in losses}
    assert any(line["kind"] == "gradients" and line[f"gradient_curve/{gradient}"] > 0 for line in lines)
    evaluations = [line for line in lines if line["kind"] == "eval"]
    assert all(np.isfinite(line["return"]) for line in evaluations)
    assert ("reward_error" in evaluations[-1]) == offline


def trains_to_the_end(task, method, folder):
    """A smoke run on a suite with a simulator is trained and evaluated."""
    pytest.importorskip("dm_control" if task.startswith("dmc") else "metaworld")
    config = make_config(task, "smoke", method)
    train(config, folder)
    last = read_metrics(folder / "metrics.jsonl")[-1]
    assert last["kind"] == "eval" and last["step"] >= config.train.steps and np.isfinite(last["return"])
