"""The fake agent's settings and presets."""

from typing import Literal

from hdream_core.config.agents import AgentConfig
from hdream_core.support.settings import AboveZero, settings


@settings
class FakeConfig(AgentConfig):
    name: Literal["fake"] = "fake"
    """Name of the agent."""
    lr: AboveZero = 1e-2
    """Learning rate."""


SETTINGS, PAPER = FakeConfig, {}
_SMOKE = {"train.batch": 4, "train.length": 8, "train.steps": 200, "train.prefill": 50, "train.pretrain": 2}
_SMOKE |= {"train.threads": 1, "log.every": 20, "log.checkpoint_every": 40, "eval.every": 100, "eval.episodes": 1}
_SMOKE |= {"eval.windows": 4, "eval.final_windows": 6, "eval.samples": 2, "eval.heldout_fraction": 0.3}
PRESETS = {suite: {"smoke": ("does every part run?", _SMOKE)} for suite in ("miniature", "toy")}
