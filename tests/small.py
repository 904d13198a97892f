"""The smallest run, agent and batch, on the miniature, a run that dies on the way, and the specs of two suites."""

import pytest
import torch

from hdream_core.config.fields import Config
from hdream_core.config.presets import make_config
from hdream_core.data.replay import random_batch
from hdream_core.dreamerv2.agent import DreamerV2
from hdream_core.runs import folder as run_folder
from hdream_core.runs.trainer import Trainer
from hdream_core.spec import ActionSpec, Spec
from hdream_core.support.batch import to_device

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
