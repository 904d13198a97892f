"""Defines the settings of DreamerPro, the authors' values for each suite, and presets of full and smaller sizes."""

from __future__ import annotations

from dataclasses import field
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from hdream_core.config import budgets
from hdream_core.config.agents import AgentConfig, Presets
from hdream_core.support.settings import AboveZero, Share, Width, settings

Layers = Annotated[int, Field(ge=1, le=64)]

LOSSES = ("swav", "temporal", "reward", "dynamics", "norm")
"""All losses: the four of Eq. 16, and the authors' loss of the projections' lengths."""


@settings
class RSSMConfig:
    deter: Width = 200
    """Size of the deterministic state."""
    hidden: Width = 200
    """Units of the layers around the GRU."""
    stoch: Annotated[int, Field(ge=1, le=4096)] = 32
    """Number of Gaussian latents."""
    kl_balance: Share = 0.8
    """Share of L_KL that trains the prior towards the posterior."""
    free_nats: Annotated[float, Field(ge=0)] = 1.0
    """Free nats: L_KL is not reduced below this mean."""


@settings
class PrototypeConfig:
    count: Annotated[int, Field(ge=2, le=65_536)] = 2500
    """Number of prototypes."""
    dim: Width = 32
    """Length of prototypes and of the projections that are assigned to them."""
    temperature: AboveZero = 0.1
    """Scores of predicted assignments are divided by this."""
    sinkhorn_eps: AboveZero = 0.0125
    """Scores of the targets are divided by this."""
    sinkhorn_steps: Annotated[int, Field(ge=1, le=1000)] = 3
    """Rounds that make the targets use all prototypes alike."""
    target_share: Share = 0.05
    """Share of encoder and projection that each update mixes into their slow copies, which make the targets."""
    freeze: Annotated[int, Field(ge=0)] = 10_000
    """Updates before prototypes begin to learn."""


@settings
class ModelConfig:
    rssm: RSSMConfig = field(default_factory=RSSMConfig)
    """The recurrent state-space model."""
    prototypes: PrototypeConfig = field(default_factory=PrototypeConfig)
    """Prototypes and their losses."""
    shift: Annotated[float, Field(ge=0, le=1024)] = 3.0
    """Frames of the two views are shifted by up to this many pixels in both directions."""
    depth: Annotated[int, Field(ge=1, le=1024)] = 48
    """Channels of the first convolution; the others are multiples of it."""
    hidden: Width = 400
    """Units per layer of the reward head."""
    layers: Layers = 4
    """Hidden layers of the reward head."""
    base_w_r: AboveZero = 1.0
    """Weight of the reward loss where fixed weights name none: the authors' is 1, and 1000 on natural backgrounds."""
    lr: AboveZero = 3e-4
    """Learning rate of the world model."""
    grad_clip: AboveZero = 100.0
    """Gradient norm of the world model, harmonizers included, is clipped to this."""
    harmonizer_lr: AboveZero | None = None
    """Learning rate of the harmonizers s_i. None: the model's, as in the paper. Any other value is a deviation."""
    harmonizer_start: Literal["zero", "analytic"] = "zero"
    """Initial s_i: 0 as in the paper, or (a deviation) the optimum for the first batch's losses."""


@settings
class BehaviorConfig:
    horizon: Annotated[int, Field(ge=2, le=10_000)] = 15
    """States of an imagined rollout, the start included: one more than its steps."""
    gamma: Share = 0.99
    """Discount."""
    lam: Share = 0.95
    """Lambda of the lambda-return."""
    entropy: Annotated[float, Field(ge=0)] = 1e-4
    """Entropy regularisation of the actor."""
    samples: Annotated[int, Field(ge=1, le=10_000)] = 100
    """Samples that estimate the policy's entropy, and of which an evaluation plays the most probable."""
    hidden: Width = 400
    """Units per layer of actor and critic."""
    layers: Layers = 4
    """Hidden layers of actor and critic."""
    actor_lr: AboveZero = 8e-5
    """Learning rate of the actor."""
    critic_lr: AboveZero = 8e-5
    """Learning rate of the critic."""
    grad_clip: AboveZero = 100.0
    """Gradient norm of the actor, and that of the critic, is clipped to this."""
    slow_update: Annotated[int, Field(ge=1)] = 100
    """Updates between two copies of the critic into the slow critic."""
    starts: Annotated[int, Field(ge=1)] | None = None
    """Imagine from this many random posteriors of both views (a deviation). None: from all, as in the paper."""


@settings
class DreamerProConfig(AgentConfig):
    decodes: ClassVar[bool] = False

    name: Literal["dreamerpro"] = "dreamerpro"
    """Name of the agent; the method chooses it."""
    model: ModelConfig = field(default_factory=ModelConfig)
    """The world model."""
    behavior: BehaviorConfig = field(default_factory=BehaviorConfig)
    """Actor and critic."""


SETTINGS = DreamerProConfig

# The authors' values for a suite, where they differ from the defaults, which are theirs for DMC. Steps are environment
# steps here; with DMC's action repeat of 2, an update every 5 agent steps is one every 10. Neither the authors nor the
# paper have DreamerPro on Meta-world: there it has the paper's clock. The authors weigh the reward loss by 1000 on
# natural backgrounds, and so does the paper on DMC Remastered.
_WINDOWS = {"train.length": 51, "train.oversample_ends": False}
_DMC = _WINDOWS | {"train.train_every": 10, "train.steps": 1_000_000, "train.capacity": 2_000_000, "eval.every": 20_000}
_DISTRACTED = _DMC | {"agent.model.base_w_r": 1000.0, "train.precision": "float32"}  # App. C: in full precision there
PAPER: dict[str, dict[str, Any]] = {
    "metaworld": _WINDOWS,
    "dmc": _DMC,
    "dmcr": _DISTRACTED,
    "dmcnbg": _DISTRACTED,
}

# Adam moves a harmonizer s by about one learning rate per update. Reduced runs set the rate so that s can move by 15,
# as those of the other agents. This is a deviation; the paper's presets do not have it.
budgets.HARMONIZER_TRAVEL = 15.0
FREEZE = 0.1  # of a reduced run's updates, as of the authors' 100,000


def _steps(steps: int, train_every: int = 5) -> dict[str, Any]:
    """Returns the length of a run in environment steps, and what depends on the number of updates."""
    updates = steps / train_every
    return {
        "train.steps": steps,
        "train.train_every": train_every,
        "agent.model.harmonizer_lr": budgets.HARMONIZER_TRAVEL / updates,
        "agent.model.prototypes.freeze": round(FREEZE * updates),
    }


_RATES = {"agent.model.lr": 6e-4, "agent.behavior.actor_lr": 3e-4, "agent.behavior.critic_lr": 3e-4}
_REDUCED: dict[str, Any] = {
    **_RATES,
    "agent.model.depth": 16,
    "agent.model.prototypes.count": 500,
    "agent.model.hidden": 256,
    "agent.behavior.hidden": 256,
    "agent.behavior.starts": 128,
    "train.batch": 8,
    "train.length": 32,
    "train.threads": 1,
    "train.prefill": 2500,
}

# As DreamerV2's preset of this name: its policies keep exploring, so that small agents learn online.
_LONG: dict[str, Any] = _REDUCED | {
    "agent.behavior.actor_lr": 1e-4,
    "agent.behavior.entropy": 1e-3,
    **budgets.METAWORLD["long"],
}

_MINI: dict[str, Any] = {
    **_RATES,
    "agent.model.depth": 8,
    "agent.model.rssm.deter": 128,
    "agent.model.rssm.hidden": 128,
    "agent.model.prototypes.count": 200,
    "agent.model.shift": 1.5,  # as much of a frame of 32 pixels as 3 are of 64
    "agent.model.hidden": 128,
    "agent.model.layers": 2,
    "agent.behavior.hidden": 128,
    "agent.behavior.layers": 2,
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

# The reward is small there, so that weights between 1 and 100 decide what is worth encoding, and the entropy with it.
_DIAL: dict[str, Any] = _MINI | {
    "env.reward": 0.2,
    "agent.behavior.actor_lr": 1e-4,
    "agent.behavior.entropy": 6e-4,
}

_SMOKE: dict[str, Any] = {
    "agent.model.depth": 2,
    "agent.model.rssm.deter": 8,
    "agent.model.rssm.hidden": 8,
    "agent.model.rssm.stoch": 4,
    "agent.model.prototypes.count": 10,
    "agent.model.prototypes.dim": 4,
    "agent.model.hidden": 8,
    "agent.model.layers": 1,
    "agent.behavior.hidden": 8,
    "agent.behavior.layers": 1,
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
            reduced | _steps(10_000, 10) | {"agent.behavior.starts": 64} | budgets.DMC["quick"],
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
            "a reduced model for learning online; 8,000 updates, an hour and a half per run on one core",
            PAPER["metaworld"] | _LONG | _steps(40_000),
        ),
        "quick": (
            "a first look: the reduced model for minutes, one seed",
            _METAWORLD | _steps(3000) | {"agent.behavior.starts": 64} | budgets.METAWORLD["quick"],
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
        "cpu": ("the miniature at full length; some ten minutes per run on one core", _MINI | _steps(15_000)),
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
