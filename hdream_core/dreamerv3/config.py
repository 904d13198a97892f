"""Defines the settings of DreamerV3, the paper's values for each suite, and presets of full and smaller sizes."""

from __future__ import annotations

from dataclasses import field
from typing import Annotated, Any, Literal

from pydantic import Field

from hdream_core.config import budgets
from hdream_core.config.agents import AgentConfig, Presets
from hdream_core.support.settings import AboveZero, Share, Width, settings

Layers = Annotated[int, Field(ge=1, le=64)]
Unimix = Annotated[float, Field(ge=0, lt=1)]


@settings
class RSSMConfig:
    deter: Width = 512
    """Size of the deterministic state."""
    units: Width = 512
    """Units of the layers around the GRU."""
    stoch: Annotated[int, Field(ge=1, le=4096)] = 32
    """Number of categorical latents."""
    classes: Annotated[int, Field(ge=2, le=4096)] = 32
    """Classes of each categorical latent."""
    unimix: Unimix = 0.01
    """Share of the uniform distribution in every latent's."""
    free_nats: Annotated[float, Field(ge=0)] = 1.0
    """Free nats of each step's KL divergence, below which it gives no gradient."""
    prior_share: Annotated[float, Field(ge=0, le=1)] = 5 / 6
    """Share of L_d that trains the prior: alpha of Eq. 15. DreamerV3's 0.5 and 0.1 are 5/6 and 1/6 of w_d = 0.6."""


@settings
class ModelConfig:
    rssm: RSSMConfig = field(default_factory=RSSMConfig)
    """The recurrent state-space model."""
    depth: Annotated[int, Field(ge=1, le=1024)] = 32
    """Channels of the first convolution; the others are multiples of it."""
    units: Width = 512
    """Units per layer of the reward and continue heads."""
    layers: Layers = 2
    """Hidden layers of the reward and continue heads."""
    continue_detached: bool = False
    """Train only the continue head with its loss, not the features that it reads (as the authors do on Meta-world)."""
    lr: AboveZero = 1e-4
    """Learning rate of the world model."""
    grad_clip: AboveZero = 1000.0
    """Gradient norm of the world model, harmonizers included, is clipped to this."""
    harmonizer_lr: AboveZero | None = None
    """Learning rate of the harmonizers s_i. None: the model's, as in the paper. Any other value is a deviation."""
    harmonizer_start: Literal["zero", "analytic"] = "zero"
    """Initial s_i: 0 as in the paper, or (a deviation) the optimum for the first batch's losses."""


@settings
class BehaviorConfig:
    horizon: Annotated[int, Field(ge=1, le=10_000)] = 15
    """Imagined steps H."""
    gamma: Share = 1 - 1 / 333
    """Discount."""
    lam: Share = 0.95
    """Lambda of the lambda-return."""
    entropy: Annotated[float, Field(ge=0)] = 3e-4
    """Entropy regularisation of the actor, beside returns that are divided by their range."""
    units: Width = 512
    """Units per layer of actor and critic."""
    layers: Layers = 2
    """Hidden layers of actor and critic."""
    unimix: Unimix = 0.01
    """Share of the uniform distribution in a policy over discrete actions."""
    gradient: Literal["auto", "reinforce", "dynamics"] = "auto"
    """How the actor learns: by REINFORCE, or through the dynamics (continuous actions alone); auto: REINFORCE for
    discrete actions, through the dynamics for continuous ones."""
    evaluate: Literal["sample", "mode"] = "sample"
    """Actions in evaluations: sampled as in the authors' code, or the policy's mode."""
    actor_lr: AboveZero = 3e-5
    """Learning rate of the actor."""
    critic_lr: AboveZero = 3e-5
    """Learning rate of the critic."""
    grad_clip: AboveZero = 100.0
    """Gradient norm of the actor, and that of the critic, is clipped to this."""
    slow_share: Share = 0.02
    """Share of the critic that each update mixes into the slow critic."""
    starts: Annotated[int, Field(ge=1)] | None = None
    """Imagine from this many random posteriors of the batch (a deviation). None: from all, as in the paper."""


@settings
class DreamerV3Config(AgentConfig):
    name: Literal["dreamerv3"] = "dreamerv3"
    """Name of the agent; the method chooses it."""
    model: ModelConfig = field(default_factory=ModelConfig)
    """The world model."""
    behavior: BehaviorConfig = field(default_factory=BehaviorConfig)
    """Actor and critic."""


SETTINGS = DreamerV3Config

# The paper's values for a suite, where they differ from the defaults. The defaults are those of Atari 100K; steps are
# environment steps, frames in Atari. DreamerV3 samples every window of the stream, the running episode included.
_STREAM = {"train.windows": "stream", "train.running": True, "train.oversample_ends": False, "train.pretrain": 1}
PAPER: dict[str, dict[str, Any]] = {
    "atari": _STREAM
    | {
        "train.steps": 404_000,
        "train.batch": 16,
        "train.length": 64,
        "train.train_every": 4,
        "train.prefill": 4400,
        "eval.every": 20_000,
        "eval.episodes": 100,
        "eval.at_once": 20,
    },
    "metaworld": _STREAM
    | {
        "agent.model.depth": 48,
        "agent.model.units": 640,
        "agent.model.layers": 3,
        "agent.model.continue_detached": True,
        "agent.model.rssm.deter": 1024,
        "agent.model.rssm.units": 640,
        "agent.behavior.units": 640,
        "agent.behavior.layers": 3,
        "train.prefill": 5300,
    },
}


def _steps(steps: int, train_every: int) -> dict[str, Any]:
    """Returns the length of a run in environment steps, and the harmonizers' learning rate for that length."""
    return {
        "train.steps": steps,
        "train.train_every": train_every,
        "agent.model.harmonizer_lr": budgets.HARMONIZER_TRAVEL * train_every / steps,
    }


def _units(units: int, layers: int) -> dict[str, Any]:
    """Returns the size of all layers but the convolutions."""
    groups = ("model", "behavior")
    sizes = {f"agent.{group}.{name}": n for group in groups for name, n in (("units", units), ("layers", layers))}
    return sizes | {"agent.model.rssm.deter": units, "agent.model.rssm.units": units}


_RATES = {"agent.model.lr": 6e-4, "agent.behavior.actor_lr": 1e-4, "agent.behavior.critic_lr": 3e-4}
_REDUCED: dict[str, Any] = {
    **_units(256, 2),
    **_RATES,
    "agent.model.depth": 16,
    "agent.model.rssm.classes": 16,
    "agent.behavior.starts": 128,
    "train.batch": 8,
    "train.length": 32,
    "train.threads": 1,
}
_MINI: dict[str, Any] = {
    **_STREAM,
    **_units(128, 2),
    **_RATES,
    "agent.model.depth": 8,
    "agent.model.rssm.stoch": 16,
    "agent.model.rssm.classes": 16,
    "agent.behavior.horizon": 10,
    "agent.behavior.starts": 100,
    "train.batch": 8,
    "train.length": 25,
    "train.precision": "float32",  # at this size, autocast's casts cost more than bfloat16 saves
    "train.threads": 1,
    "train.prefill": 500,
    **budgets.MINIATURE,
}
_SMOKE: dict[str, Any] = {
    **_units(8, 1),
    "agent.model.depth": 2,
    "agent.model.rssm.stoch": 4,
    "agent.model.rssm.classes": 4,
    "agent.behavior.horizon": 3,
    "train.batch": 2,
    "train.length": 8,
    "train.threads": 1,
    **budgets.SMOKE,
}

_TEST = "a test: some updates of a toy-size model"
_METAWORLD = PAPER["metaworld"] | _REDUCED | {"train.prefill": 2500}
_ATARI = PAPER["atari"] | _REDUCED | {"eval.episodes": 5, "eval.at_once": 1}
_DMC = _STREAM | _REDUCED | {"train.prefill": 2000}
_MINIATURE: Presets = {
    "cpu": ("the miniature at full length; some ten minutes per run on one core", _MINI | _steps(15_000, 5)),
    "quick": ("a first look at the miniature", _MINI | _steps(5000, 5)),
    "smoke": (
        _TEST,
        _MINI | _SMOKE | _steps(80, 5) | {"train.prefill": 50} | budgets.MINIATURE_SMOKE,
    ),
}

_DMC_PRESETS: Presets = {
    "cpu": (
        "a reduced model; an hour and a half per run on one core",
        _DMC | _steps(40_000, 10) | budgets.DMC["cpu"],
    ),
    "quick": (
        "a first look: the reduced model for minutes",
        _DMC | _steps(10_000, 10) | {"agent.behavior.starts": 64} | budgets.DMC["quick"],
    ),
    "smoke": (
        _TEST,
        _DMC | _SMOKE | _steps(1160, 10) | {"train.prefill": 1000} | budgets.DMC["smoke"],
    ),
}

# A preset's name means the same budget in every suite, and for every agent.
PRESETS: dict[str, Presets] = {
    "atari": {
        "paper": ("the authors' settings at full size; for a GPU, not timed yet", PAPER["atari"]),
        "cpu": (
            "a reduced model and 20,000 actions, an update every two; hours per run on one core",
            _ATARI | _steps(80_000, 8) | {"eval.every": 16_000, "log.every": 1000, "log.checkpoint_every": 4000},
        ),
        "quick": (
            "a first look: the reduced model for minutes",
            _ATARI
            | _steps(16_000, 16)
            | {"eval.every": 8000, "eval.episodes": 2, "log.every": 400, "log.checkpoint_every": 2000},
        ),
        "smoke": (
            _TEST,
            _ATARI
            | _SMOKE
            | _steps(480, 8)
            | {"env.limit": 400, "train.prefill": 400, "eval.every": 400, "log.checkpoint_every": 400},
        ),
    },
    "metaworld": {
        "paper": ("the authors' settings at full size; for a GPU, not timed yet", PAPER["metaworld"]),
        "cpu": (
            "a reduced model; sweeps with seeds take hours on two cores",
            _METAWORLD | _steps(8000, 5) | budgets.METAWORLD["cpu"],
        ),
        "long": (
            "a reduced model, online or offline; 8,000 updates, an hour per run on one core",
            _METAWORLD | _steps(40_000, 5) | budgets.METAWORLD["long"],
        ),
        "quick": (
            "a first look: the reduced model for minutes, one seed",
            _METAWORLD | _steps(3000, 5) | {"agent.behavior.starts": 64} | budgets.METAWORLD["quick"],
        ),
        "smoke": (
            _TEST,
            _METAWORLD | _SMOKE | _steps(580, 5) | {"train.prefill": 500} | budgets.METAWORLD["smoke"],
        ),
    },
    "dmc": _DMC_PRESETS,
    "dmcr": _DMC_PRESETS,
    "dmcnbg": _DMC_PRESETS,
    "twin": _DMC_PRESETS
    | {
        "cpu": (_DMC_PRESETS["cpu"][0], _DMC_PRESETS["cpu"][1] | {"train.prefill": 4000}),
        "smoke": (
            _TEST,
            _DMC_PRESETS["smoke"][1]
            | _steps(560, 10)
            | {"train.prefill": 400, "eval.every": 280, "log.checkpoint_every": 280},
        ),
    },
    "miniature": _MINIATURE,
    "dial": _MINIATURE,
    "moves": _MINIATURE,
}
