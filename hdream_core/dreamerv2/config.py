"""Defines the settings of DreamerV2, the paper's values for each suite, and presets of full and smaller sizes."""

from __future__ import annotations

from dataclasses import field
from typing import Annotated, Any, Literal

from pydantic import Field

from hdream_core.config import budgets
from hdream_core.config.agents import AgentConfig, Presets
from hdream_core.support.settings import AboveZero, Share, Width, settings

Layers = Annotated[int, Field(ge=1, le=64)]


@settings
class RSSMConfig:
    deter: Width = 1024
    """Size of the deterministic state (Table 1: RSSM hidden size)."""
    hidden: Width = 1024
    """Units of the layers around the GRU."""
    stoch: Annotated[int, Field(ge=1, le=4096)] = 32
    """Number of categorical latents."""
    classes: Annotated[int, Field(ge=2, le=4096)] = 32
    """Classes of each categorical latent."""
    kl_balance: Share = 0.8
    """Share of L_d that trains the prior towards the posterior."""
    free_nats: Annotated[float, Field(ge=0)] = 0.0
    """Free nats: L_d is not reduced below this mean (0 on Meta-world, 1 on DMC and RLBench)."""


@settings
class ModelConfig:
    rssm: RSSMConfig = field(default_factory=RSSMConfig)
    """The recurrent state-space model."""
    encoder: Literal["conv", "resnet"] = "conv"
    """Encoder and decoder: convolutions of stride 2, or residual ones with BatchNorm (resnet), as the authors have
    on RLBench."""
    depth: Annotated[int, Field(ge=1, le=1024)] = 48
    """Channels of the first convolution; the others are multiples of it."""
    hidden: Width = 400
    """Units per layer of the reward and discount heads."""
    layers: Layers = 4
    """Hidden layers of the reward and discount heads."""
    discount_head: bool = False
    """Learn the discount from is_terminal. Off where episodes never terminate (Meta-world, DMC)."""
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
    """Imagined steps H; at least 2, because an action affects only the targets after its own state."""
    gamma: Share = 0.99
    """Discount."""
    lam: Share = 0.95
    """Lambda of the lambda-return, Eq. 8."""
    entropy: Annotated[float, Field(ge=0)] = 1e-4
    """Entropy regularisation eta, Eq. 9."""
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
    """Imagine from this many random posteriors of the batch (a deviation). None: from all, as in the paper."""


@settings
class DreamerV2Config(AgentConfig):
    name: Literal["dreamerv2"] = "dreamerv2"
    """Name of the agent; the method chooses it."""
    model: ModelConfig = field(default_factory=ModelConfig)
    """The world model."""
    behavior: BehaviorConfig = field(default_factory=BehaviorConfig)
    """Actor and critic."""


SETTINGS = DreamerV2Config

# The paper's values for a suite, where they differ from the defaults. The defaults are Table 1's for Meta-world. Steps
# are environment steps here. Table 1 counts agent steps: with DMC's action repeat of 2, its 5 are 10.
_DMC: dict[str, Any] = {
    "agent.model.rssm.free_nats": 1.0,
    "train.batch": 16,
    "train.train_every": 10,
    "train.prefill": 2000,
    "train.oversample_ends": False,
    "train.steps": 1_000_000,
    "eval.every": 20_000,
}
_TWIN: dict[str, Any] = {
    "agent.model.discount_head": True,
    "train.reward": "tanh",
    "train.windows": "stream",
    "train.pretrain": 1,
}
PAPER: dict[str, dict[str, Any]] = {
    "metaworld": {},
    "dmc": _DMC,
    "dmcr": _DMC | {"train.precision": "float32"},  # App. C: in full precision there
    "dmcnbg": _DMC | {"train.precision": "float32"},
    # RLBench. What Table 1 leaves open is as in the released code: the rewards' tanh, windows that cross episode ends,
    # free nats, one update of pretraining. Where they differ (rates, entropy, prefill), this is Table 1.
    "twin": _DMC
    | _TWIN
    | {"agent.model.encoder": "resnet", "train.batch": 50, "train.prefill": 10_000, "eval.every": 10_000},
}


def _steps(steps: int, train_every: int = 5) -> dict[str, Any]:
    """Returns the length of a run in environment steps, and the harmonizers' learning rate for that length."""
    return {"train.steps": steps, "agent.model.harmonizer_lr": budgets.HARMONIZER_TRAVEL * train_every / steps}


_REDUCED: dict[str, Any] = {
    "agent.model.depth": 16,
    "agent.model.rssm.deter": 256,
    "agent.model.rssm.hidden": 256,
    "agent.model.rssm.classes": 16,
    "agent.model.hidden": 256,
    "agent.model.lr": 6e-4,
    "agent.behavior.hidden": 256,
    "agent.behavior.actor_lr": 3e-4,
    "agent.behavior.critic_lr": 3e-4,
    "agent.behavior.starts": 128,
    "train.batch": 16,
    "train.length": 32,
    "train.threads": 1,
    "train.prefill": 2500,
}

# Its policies keep exploring, so that small agents learn online; docs/presets.md has the trials that it comes from.
_LONG: dict[str, Any] = _REDUCED | {
    "agent.behavior.actor_lr": 1e-4,
    "agent.behavior.entropy": 1e-3,
    "train.batch": 8,
    **budgets.METAWORLD["long"],
}

_MINI: dict[str, Any] = {
    "agent.model.depth": 8,
    "agent.model.rssm.deter": 128,
    "agent.model.rssm.hidden": 128,
    "agent.model.rssm.stoch": 16,
    "agent.model.rssm.classes": 16,
    "agent.model.hidden": 128,
    "agent.model.layers": 2,
    "agent.model.lr": 6e-4,
    "agent.behavior.hidden": 128,
    "agent.behavior.layers": 2,
    "agent.behavior.horizon": 10,
    "agent.behavior.starts": 100,
    "agent.behavior.actor_lr": 3e-4,
    "agent.behavior.critic_lr": 3e-4,
    "train.batch": 8,
    "train.length": 25,
    "train.precision": "float32",  # at this size, autocast's casts cost more than bfloat16 saves
    "train.threads": 1,
    "train.prefill": 500,
    "train.pretrain": 50,
    **budgets.MINIATURE,
}

# Its agents are to learn within the run: more updates, and a policy that keeps exploring. The reward is small, so that
# weights between 1 and 100 decide what is worth encoding; the entropy is small in proportion.
_DIAL: dict[str, Any] = _MINI | {
    "env.reward": 0.2,
    "agent.behavior.actor_lr": 1e-4,
    "agent.behavior.entropy": 6e-4,
    "train.train_every": 2,
}

_SMOKE: dict[str, Any] = {
    "agent.model.depth": 2,
    "agent.model.rssm.deter": 8,
    "agent.model.rssm.hidden": 8,
    "agent.model.rssm.stoch": 4,
    "agent.model.rssm.classes": 4,
    "agent.model.hidden": 8,
    "agent.model.layers": 1,
    "agent.behavior.hidden": 8,
    "agent.behavior.layers": 1,
    "agent.behavior.horizon": 3,
    "train.batch": 2,
    "train.length": 8,
    "train.threads": 1,
    **_steps(80),
    "train.pretrain": 2,
    **budgets.SMOKE,
    **budgets.MINIATURE_SMOKE,
}

_FULL = "Table 1 at full size; needs a GPU: half an hour to an hour per run on a recent one"
_TEST = "a test: some updates of a toy-size model"
# An online smoke run must be longer than its prefill, which is a whole episode.
_SMOKE_500 = _REDUCED | _SMOKE | _steps(580) | {"train.prefill": 500} | budgets.METAWORLD["smoke"]
_DMC_REDUCED = _REDUCED | PAPER["dmc"]
_DMC_PRESETS: Presets = {
    "paper": ("Table 1 at full size; for a GPU, not timed yet", PAPER["dmc"]),
    "cpu": (
        "a reduced model; an hour per run on one core",
        _DMC_REDUCED | _steps(40_000, 10) | budgets.DMC["cpu"],
    ),
    "quick": (
        "a first look: the reduced model for minutes",
        _DMC_REDUCED | _steps(10_000, 10) | {"train.batch": 8, "agent.behavior.starts": 64} | budgets.DMC["quick"],
    ),
    "smoke": (
        _TEST,
        _DMC_REDUCED | _SMOKE | _steps(1160, 10) | {"train.prefill": 1000} | budgets.DMC["smoke"],
    ),
}

# A preset's name means the same budget in every suite.
PRESETS: dict[str, Presets] = {
    "metaworld": {
        "paper": (_FULL, {}),
        "cpu": (
            "a reduced model; sweeps with seeds take hours on two cores",
            _REDUCED | _steps(8000) | budgets.METAWORLD["cpu"],
        ),
        "long": (
            "a reduced model that learns online; 8,000 updates, an hour per run on one core",
            _LONG | _steps(40_000),
        ),
        "quick": (
            "a first look: the reduced model for minutes, one seed",
            _REDUCED | _steps(3000) | {"train.batch": 8, "agent.behavior.starts": 64} | budgets.METAWORLD["quick"],
        ),
        "smoke": (_TEST, _SMOKE_500),
    },
    "miniature": {
        "cpu": ("the miniature at full length; some six minutes per run on one core", _MINI | _steps(15_000)),
        "quick": ("a first look at the miniature", _MINI | _steps(5000)),
        "smoke": ("a test: 16 updates of a toy-size model", _MINI | _SMOKE | {"train.prefill": 50}),
    },
    "dial": {
        "cpu": (
            "the miniature with dials at full length; some fifteen minutes per run on one core",
            _DIAL | _steps(12_000, 2),
        ),
        "quick": ("a first look at the miniature with dials", _DIAL | _steps(4000, 2)),
        "smoke": ("a test: 16 updates of a toy-size model", _MINI | _SMOKE | {"train.prefill": 50}),
    },
    "dmc": _DMC_PRESETS,
    "dmcr": _DMC_PRESETS | {"paper": (_DMC_PRESETS["paper"][0], PAPER["dmcr"])},
    "dmcnbg": _DMC_PRESETS | {"paper": (_DMC_PRESETS["paper"][0], PAPER["dmcnbg"])},
    # On a CPU plain convolutions, because residual ones of the same depth take two to three times as long.
    "twin": {
        "paper": ("Table 1 at full size, on the twin of RLBench; for a GPU, not timed yet", PAPER["twin"]),
        "cpu": (_DMC_PRESETS["cpu"][0], _DMC_PRESETS["cpu"][1] | _TWIN | {"train.prefill": 4000}),
        "quick": (_DMC_PRESETS["quick"][0], _DMC_PRESETS["quick"][1] | _TWIN),
        "smoke": (
            _TEST,
            _DMC_PRESETS["smoke"][1]
            | _TWIN
            | _steps(560, 10)
            | {"agent.model.encoder": "resnet", "train.prefill": 400, "eval.every": 280, "log.checkpoint_every": 280},
        ),
    },
}
