"""Defines the settings of TD-MPC, its authors' values for each suite, and presets of full and smaller sizes."""

from __future__ import annotations

from dataclasses import field
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from hdream_core.config import budgets
from hdream_core.config.agents import AgentConfig, Presets
from hdream_core.support.settings import AboveZero, Share, Steps, Width, settings

BASE_WEIGHTS = {"consistency": 2.0, "reward": 0.5, "value": 0.1}
"""All losses, with the authors' weights."""

NotNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1, le=10_000)]


@settings
class ModelConfig:
    frames: Annotated[int, Field(ge=1, le=16)] = 3
    """Frames of a stack: the model sees the latest, so many."""
    channels: Annotated[int, Field(ge=1, le=1024)] = 32
    """Channels of each convolution."""
    latent: Width = 50
    """Length of the latent state."""
    hidden: Width = 512
    """Units per hidden layer of dynamics, reward, values and policy."""
    gamma: Share = 0.99
    """Discount."""
    step_share: Share = 0.5
    """Each step of a window counts this much of the step before it, in every loss."""
    lr: AboveZero = 3e-4
    """Learning rate of the model."""
    grad_clip: AboveZero = 10.0
    """Gradient norm of the model is clipped to this."""
    target_share: Share = 0.01
    """Share of encoder and values that is mixed into their slow copies, which make the targets."""
    target_every: Annotated[int, Field(ge=1)] = 2
    """Updates between two such mixtures."""


@settings
class PolicyConfig:
    std: NotNegative = 0.05
    """Standard deviation of the noise on the policy's actions."""
    noise_clip: NotNegative = 0.3
    """Greatest noise."""
    lr: AboveZero = 3e-4
    """Learning rate of the policy."""
    grad_clip: AboveZero = 10.0
    """Gradient norm of the policy is clipped to this."""


@settings
class PlannerConfig:
    horizon: Annotated[int, Field(ge=1, le=1000)] = 5
    """Actions of a plan, at the end of the schedule; it begins with one."""
    iterations: Count = 6
    """Rounds of the search."""
    samples: Count = 512
    """Sequences that a round draws."""
    policy_share: Annotated[float, Field(ge=0, le=1)] = 0.05
    """Sequences by the policy, as a share of ``samples``; they come on top."""
    elites: Count = 64
    """Best sequences, which the next round is drawn around."""
    temperature: AboveZero = 0.5
    """Elites are weighed by exp(temperature * value)."""
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Share of the old mean in a round's new one."""
    std_start: AboveZero = 0.5
    """Least standard deviation of the search at the start of the schedule."""
    std_end: AboveZero = 0.05
    """Least standard deviation of the search at its end."""
    schedule: Steps = 25_000
    """Environment steps in which horizon and least standard deviation go from start to end."""


@settings
class ReplayConfig:
    priority: Annotated[float, Field(ge=0, le=10)] = 0.6
    """Windows are drawn in proportion to their priority to this power; 0 draws all alike."""
    importance: Annotated[float, Field(ge=0, le=10)] = 0.4
    """Power of the weights that undo some of that choice's bias."""


@settings
class TDMPCConfig(AgentConfig):
    decodes: ClassVar[bool] = False

    name: Literal["tdmpc"] = "tdmpc"
    """Name of the agent; the method chooses it."""
    model: ModelConfig = field(default_factory=ModelConfig)
    """Encoder, latent dynamics, rewards and values."""
    policy: PolicyConfig = field(default_factory=PolicyConfig)
    """The policy."""
    planner: PlannerConfig = field(default_factory=PlannerConfig)
    """The planner."""
    replay: ReplayConfig = field(default_factory=ReplayConfig)
    """The choice of windows."""


SETTINGS = TDMPCConfig


def _clock(steps: int, train_every: int, prefill: int) -> dict[str, Any]:
    """Returns the settings of a run's clock: one update for each action, those of an episode at its end."""
    return {
        "train.steps": steps,
        "train.train_every": train_every,
        "train.prefill": prefill,
        "train.pretrain": prefill // train_every,
    }


# The authors' values for pixels. Their clock counts actions: with DMC's action repeat of 2, a step of theirs is two
# environment steps here. A window is a stack of 3 frames and 5 steps. Frames have 64 pixels, not 84, as those of the
# other agents. Evaluations are those of HarmonyDream's paper, so that curves have the same steps.
_WINDOWS = {
    "train.length": 8,
    "train.batch": 256,
    "train.oversample_ends": False,
    "train.updates": "episode",
    "train.precision": "float32",
}
_DMC = _WINDOWS | _clock(1_000_000, 2, 10_000) | {"agent.planner.schedule": 50_000, "eval.every": 20_000}
PAPER: dict[str, dict[str, Any]] = {
    "metaworld": _WINDOWS | _clock(250_000, 1, 5000),
    "dmc": _DMC,
    "dmcr": _DMC,
}

SCHEDULE = 5  # times the steps of random actions, as the authors' 25,000


def _steps(steps: int, train_every: int, prefill: int) -> dict[str, Any]:
    """Returns the length of a reduced run in environment steps, and what depends on it."""
    return _clock(steps, train_every, prefill) | {"agent.planner.schedule": SCHEDULE * prefill}


_REDUCED: dict[str, Any] = {
    **_WINDOWS,
    "agent.model.channels": 16,
    "agent.model.hidden": 256,
    "agent.planner.horizon": 3,
    "agent.planner.iterations": 3,
    "agent.planner.samples": 64,
    "agent.planner.elites": 8,
    "train.batch": 32,
    "train.length": 6,
    "train.threads": 1,
}

_MINI: dict[str, Any] = _REDUCED | {
    "agent.model.channels": 8,
    "agent.model.hidden": 128,
    **budgets.MINIATURE,
}

# The reward is small there, so that the weights of the other agents decide what is worth encoding.
_DIAL: dict[str, Any] = _MINI | {"env.reward": 0.2}

_SMOKE: dict[str, Any] = {
    "agent.model.channels": 2,
    "agent.model.latent": 6,
    "agent.model.hidden": 8,
    "agent.planner.iterations": 2,
    "agent.planner.samples": 20,
    "agent.planner.elites": 4,
    "train.batch": 2,
    **budgets.SMOKE,
}

_FULL = "the authors' settings at full size; for a GPU, not timed yet"
_TEST = "a test: some updates of a toy-size model"
_MINI_SMOKE = _MINI | _SMOKE | _steps(80, 1, 50) | {"agent.planner.schedule": 80} | budgets.MINIATURE_SMOKE


def _dmc(suite: str) -> Presets:
    """Returns the presets of a suite of DMC's tasks."""
    return {
        "paper": (_FULL, PAPER[suite]),
        "cpu": (
            "a reduced model; an hour per run on one core",
            _REDUCED | _steps(40_000, 2, 2000) | budgets.DMC["cpu"],
        ),
        "quick": (
            "a first look: the reduced model for minutes",
            _REDUCED | _steps(10_000, 2, 1000) | budgets.DMC["quick"],
        ),
        "smoke": (
            _TEST,
            _REDUCED
            | _SMOKE
            | _steps(1160, 2, 1000)
            | {"train.pretrain": 20, "agent.planner.schedule": 1000}
            | budgets.DMC["smoke"],
        ),
    }


# A preset's name means the same budget of environment steps in every suite, and for every agent.
PRESETS: dict[str, Presets] = {
    "metaworld": {
        "paper": (_FULL, PAPER["metaworld"]),
        "cpu": (
            "a reduced model; some twenty minutes per run on one core",
            _REDUCED | _steps(8000, 1, 1000) | budgets.METAWORLD["cpu"],
        ),
        "long": (
            "a reduced model for learning online; an hour and a half per run on one core",
            _REDUCED | _steps(40_000, 1, 2500) | budgets.METAWORLD["long"],
        ),
        "quick": (
            "a first look: the reduced model for minutes, one seed",
            _REDUCED | _steps(3000, 1, 500) | budgets.METAWORLD["quick"],
        ),
        "smoke": (
            _TEST,
            _REDUCED
            | _SMOKE
            | _steps(580, 1, 500)
            | {"train.pretrain": 20, "agent.planner.schedule": 500}
            | budgets.METAWORLD["smoke"],
        ),
    },
    "dmc": _dmc("dmc"),
    "dmcr": _dmc("dmcr"),
    "miniature": {
        "cpu": ("the miniature at full length; some seven minutes per run on one core", _MINI | _steps(15_000, 1, 500)),
        "quick": ("a first look at the miniature", _MINI | _steps(5000, 1, 500)),
        "smoke": (_TEST, _MINI_SMOKE),
    },
    "dial": {
        "cpu": (
            "the miniature with dials at full length; some six minutes per run on one core",
            _DIAL | _steps(12_000, 1, 500),
        ),
        "quick": ("a first look at the miniature with dials", _DIAL | _steps(4000, 1, 500)),
        "smoke": (_TEST, _MINI_SMOKE),
    },
}
