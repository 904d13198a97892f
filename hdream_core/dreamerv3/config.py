"""Defines the settings of DreamerV3, the paper's values for each suite, and presets of full and smaller sizes."""

from __future__ import annotations

from dataclasses import field
from typing import Annotated, Any, Literal

from pydantic import Field

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
PAPER: dict[str, dict[str, Any]] = {}
PRESETS: dict[str, Presets] = {}
