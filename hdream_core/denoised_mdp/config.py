"""Defines the settings of Denoised MDP, the authors' values for each suite, and presets of full and smaller sizes."""

from __future__ import annotations

from dataclasses import field
from typing import Annotated, Any, Literal

from pydantic import Field

from hdream_core.config import budgets
from hdream_core.config.agents import AgentConfig, Presets
from hdream_core.support.settings import AboveZero, Share, Width, settings

Layers = Annotated[int, Field(ge=1, le=64)]

LOSSES = ("observation", "reward", "dynamics")
"""All losses: the groups of the authors' objective. Their alpha is the weight of ``dynamics``."""


@settings
class PartConfig:
    deter: Width = 120
    """Size of the deterministic state, and units of the layers around the GRU."""
    stoch: Annotated[int, Field(ge=1, le=4096)] = 20
    """Number of Gaussian latents."""


@settings
class RSSMConfig:
    x: PartConfig = field(default_factory=PartConfig)
    """What the agent controls and what brings reward: depends on actions, and the policy reads it alone."""
    y: PartConfig = field(default_factory=PartConfig)
    """What the agent does not control: depends on no action."""
    free_nats: Annotated[float, Field(ge=0)] = 3.0
    """Free nats of x: its KL is not reduced below this at any step. That of y has none."""
    beta: Annotated[float, Field(ge=0)] = 0.25
    """Nats of y count this much in the dynamics loss. Below 1, what y can explain is cheaper there than in x."""


@settings
class ModelConfig:
    rssm: RSSMConfig = field(default_factory=RSSMConfig)
    """The recurrent state-space model of two parts."""
    depth: Annotated[int, Field(ge=1, le=1024)] = 32
    """Channels of the first convolution; the others are multiples of it."""
    embed: Width = 1024
    """Units of the linear layers after the encoder's convolutions and before those of the decoder."""
    hidden: Width = 400
    """Units per layer of the reward heads."""
    layers: Layers = 2
    """Hidden layers of each reward head."""
    lr: AboveZero = 6e-4
    """Learning rate of the world model."""
    grad_clip: AboveZero = 100.0
    """Gradient norm of the world model, harmonizers included, is clipped to this."""
    harmonizer_lr: AboveZero | None = None
    """Learning rate of the harmonizers s_i. None: the model's. Any other value is a deviation."""
    harmonizer_start: Literal["zero", "analytic"] = "zero"
    """Initial s_i: 0 as in HarmonyDream's paper, or (a deviation) the optimum for the first batch's losses."""


@settings
class BehaviorConfig:
    horizon: Annotated[int, Field(ge=2, le=10_000)] = 15
    """Imagined steps; returns are those of all states but the last."""
    gamma: Share = 0.99
    """Discount."""
    lam: Share = 0.95
    """Lambda of the lambda-return."""
    noise: Annotated[float, Field(ge=0, le=10)] = 0.3
    """Standard deviation of the noise that is added to actions in training."""
    samples: Annotated[int, Field(ge=1, le=10_000)] = 100
    """An evaluation plays the most probable of this many samples of the policy."""
    hidden: Width = 400
    """Units per layer of actor and critic."""
    actor_layers: Layers = 4
    """Hidden layers of the actor."""
    critic_layers: Layers = 3
    """Hidden layers of the critic."""
    actor_lr: AboveZero = 8e-5
    """Learning rate of the actor."""
    critic_lr: AboveZero = 8e-5
    """Learning rate of the critic."""
    grad_clip: AboveZero = 100.0
    """Gradient norm of the actor, and that of the critic, is clipped to this."""
    starts: Annotated[int, Field(ge=1)] | None = None
    """Imagine from this many random posteriors of the batch (a deviation). None: from all, as the authors do."""


@settings
class DenoisedMDPConfig(AgentConfig):
    name: Literal["denoised_mdp"] = "denoised_mdp"
    """Name of the agent; the method chooses it."""
    model: ModelConfig = field(default_factory=ModelConfig)
    """The world model."""
    behavior: BehaviorConfig = field(default_factory=BehaviorConfig)
    """Actor and critic."""


SETTINGS = DenoisedMDPConfig

# The authors' values for a suite, where they differ from the defaults, which are theirs for DMC. Steps are environment
# steps: their 100 updates every 1,000 are one every 10. The authors do not have Meta-world: there it has the clock of
# HarmonyDream's paper. Nobody has published settings for DMC Remastered: there it has those for DMC.
_WINDOWS = {"train.oversample_ends": False}
_DMC = _WINDOWS | {"train.train_every": 10, "train.steps": 1_000_000, "eval.every": 20_000}
_DISTRACTED = _DMC | {"train.precision": "float32"}  # as the other agents there
PAPER: dict[str, dict[str, Any]] = {
    "metaworld": _WINDOWS,
    "dmc": _DMC,
    "dmcr": _DISTRACTED,
    "dmcnbg": _DISTRACTED,
}


def _steps(steps: int, train_every: int = 5) -> dict[str, Any]:
    """Returns the length of a run in environment steps, and the harmonizers' learning rate for that length."""
    rate = budgets.HARMONIZER_TRAVEL * train_every / steps
    return {"train.steps": steps, "train.train_every": train_every, "agent.model.harmonizer_lr": rate}


_RATES = {"agent.behavior.actor_lr": 3e-4, "agent.behavior.critic_lr": 3e-4}
_REDUCED: dict[str, Any] = {
    **_RATES,
    "agent.model.depth": 16,
    "agent.model.embed": 512,
    "agent.model.hidden": 256,
    "agent.behavior.hidden": 256,
    "agent.behavior.starts": 128,
    "train.batch": 16,
    "train.length": 32,
    "train.threads": 1,
    "train.prefill": 2500,
}

# As DreamerV2's preset of this name, for small agents that learn online.
_LONG: dict[str, Any] = _REDUCED | {
    "agent.behavior.actor_lr": 1e-4,
    "train.batch": 8,
    **budgets.METAWORLD["long"],
}

_MINI: dict[str, Any] = {
    **_RATES,
    "agent.model.depth": 8,
    "agent.model.embed": 128,
    "agent.model.hidden": 128,
    "agent.behavior.hidden": 128,
    "agent.behavior.actor_layers": 2,
    "agent.behavior.critic_layers": 2,
    "agent.behavior.horizon": 10,
    "agent.behavior.starts": 100,
    "train.batch": 8,
    "train.length": 25,
    "train.oversample_ends": False,
    "train.precision": "float32",  # at this size, autocast's casts cost more than bfloat16 saves
    "train.threads": 1,
    "train.prefill": 500,
    "train.pretrain": 50,
    **budgets.MINIATURE,
}

# The reward is small there, so that weights between 1 and 100 decide what is worth encoding.
_DIAL: dict[str, Any] = _MINI | {"env.reward": 0.2, "agent.behavior.actor_lr": 1e-4}

_SMOKE: dict[str, Any] = {
    "agent.model.depth": 2,
    "agent.model.embed": 16,
    **{f"agent.model.rssm.{part}.deter": 8 for part in "xy"},
    **{f"agent.model.rssm.{part}.stoch": 4 for part in "xy"},
    "agent.model.hidden": 8,
    "agent.model.layers": 1,
    "agent.behavior.hidden": 8,
    "agent.behavior.actor_layers": 1,
    "agent.behavior.critic_layers": 1,
    "agent.behavior.horizon": 3,
    "agent.behavior.samples": 10,
    "train.batch": 2,
    "train.length": 8,
    "train.threads": 1,
    "train.pretrain": 2,
    **budgets.SMOKE,
}

_FULL = "the authors' settings at full size; for a GPU, not timed yet"
_TEST = "a test: some updates of a toy-size model"
_METAWORLD = PAPER["metaworld"] | _REDUCED
_MINI_SMOKE = _MINI | _SMOKE | _steps(80) | {"train.prefill": 50} | budgets.MINIATURE_SMOKE


def _dmc(suite: str) -> Presets:
    """Returns the presets of a suite of DMC's tasks."""
    reduced = PAPER[suite] | _REDUCED
    return {
        "paper": (_FULL, PAPER[suite]),
        "cpu": (
            "a reduced model; an hour per run on one core",
            reduced | _steps(40_000, 10) | budgets.DMC["cpu"],
        ),
        "quick": (
            "a first look: the reduced model for minutes",
            reduced | _steps(10_000, 10) | {"train.batch": 8, "agent.behavior.starts": 64} | budgets.DMC["quick"],
        ),
        "smoke": (
            _TEST,
            reduced | _SMOKE | _steps(1160, 10) | {"train.prefill": 1000} | budgets.DMC["smoke"],
        ),
    }


# A preset's name means the same budget in every suite, and for every agent.
PRESETS: dict[str, Presets] = {
    "metaworld": {
        "paper": (_FULL, PAPER["metaworld"]),
        "cpu": (
            "a reduced model; sweeps with seeds take hours on two cores",
            _METAWORLD | _steps(8000) | budgets.METAWORLD["cpu"],
        ),
        "long": (
            "a reduced model for learning online; 8,000 updates, an hour per run on one core",
            PAPER["metaworld"] | _LONG | _steps(40_000),
        ),
        "quick": (
            "a first look: the reduced model for minutes, one seed",
            _METAWORLD | _steps(3000) | {"train.batch": 8, "agent.behavior.starts": 64} | budgets.METAWORLD["quick"],
        ),
        "smoke": (
            _TEST,
            _METAWORLD | _SMOKE | _steps(580) | {"train.prefill": 500} | budgets.METAWORLD["smoke"],
        ),
    },
    "dmc": _dmc("dmc"),
    "dmcr": _dmc("dmcr"),
    "dmcnbg": _dmc("dmcnbg"),
    "miniature": {
        "cpu": ("the miniature at full length; some six minutes per run on one core", _MINI | _steps(15_000)),
        "quick": ("a first look at the miniature", _MINI | _steps(5000)),
        "smoke": (_TEST, _MINI_SMOKE),
    },
    "dial": {
        "cpu": (
            "the miniature with dials at full length; some fifteen minutes per run on one core",
            _DIAL | _steps(12_000, 2),
        ),
        "quick": ("a first look at the miniature with dials", _DIAL | _steps(4000, 2)),
        "smoke": (_TEST, _MINI_SMOKE),
    },
}
