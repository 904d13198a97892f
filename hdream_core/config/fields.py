"""Defines all settings of a run. ``Config()`` is the paper's DreamerV2 on Meta-world (Table 1).

A config is built once, frozen, saved verbatim with the run and passed in parts. The agent's and the suite's own
settings are groups; their classes are in the agent's package and the suite's file. A field's docstring says where it
departs from the paper.
"""

from __future__ import annotations

import re
from dataclasses import field
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from hdream_core.config import agents
from hdream_core.config.agents import AgentConfig
from hdream_core.config.balancer import BalancerConfig
from hdream_core.envs import registry
from hdream_core.envs.suite import LOOK, PICTURES, EnvConfig
from hdream_core.support.settings import Name, Share, Steps, Width, flatten, override, settings

Scale = Literal["paper", "reduced", "miniature", "twin"]
LARGEST_SEED = 999_999  # of a run or a buffer; larger ones serve evaluations (``sources.EVAL_SEED``) and studies
# Settings that do not change the mathematics, or change only the length of a run.
IGNORED_BY_SCALE = ("steps", "capacity", "precision", "kernels", "threads", "device")


def _device(text: str) -> str:
    if not re.fullmatch(r"auto|cpu|cuda(:(0|[1-9]\d{0,2}))?", text):
        raise ValueError("auto, cpu, cuda, or one GPU such as cuda:1")
    return text


Device = Annotated[str, AfterValidator(_device)]


@settings
class TrainConfig:
    steps: Steps = 250_000
    """Length of the run in environment steps, online and offline alike."""
    prefill: Annotated[int, Field(ge=0, le=10**9)] = 5000
    """Online: environment steps of random actions at the start; more if no window can be drawn by then."""
    pretrain: Annotated[int, Field(ge=1, le=10**6)] = 100
    """Online: updates right after the prefill."""
    train_every: Annotated[int, Field(ge=1)] = 5
    """Environment steps per update; offline, each update advances the clock by as many. Table 1 counts agent steps:
    with an action repeat of 2, its 5 are 10 here."""
    updates: Literal["steady", "episode"] = "steady"
    """Online: take each update when it is due, or those of an episode at its end, as TD-MPC does."""
    batch: Width = 50
    """Windows per batch, B."""
    length: Annotated[int, Field(ge=2, le=65_536)] = 50
    """Steps per window, T."""
    windows: Literal["episode", "stream"] = "episode"
    """episode: a window lies within one episode, and shorter episodes are not used. stream: the episodes are
    concatenated, and a window may cross episode ends."""
    reward: Literal["identity", "tanh"] = "identity"
    """What the reward head learns, and so the unit of imagined rewards: the true reward, or its tanh (RLBench). Replay
    and returns keep the true reward."""
    running: bool = False
    """Online, stream windows: sample the episode that is being played, too, as DreamerV3 does."""
    oversample_ends: bool = True
    """Episode windows: draw their starts from a range one window longer and clip, so that episode ends are sampled more
    often."""
    capacity: Steps = 1_000_000
    """Online: frames that the replay can hold, one for each action."""
    device: Device = "auto"
    """Device of the networks: cpu, cuda, cuda:1 ...; auto takes a GPU if there is one."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Arithmetic of the networks; auto takes bfloat16 autocast if the device multiplies bfloat16 natively."""
    kernels: Literal["tuned", "plain"] = "tuned"
    """Implementations of the most expensive operations, which compute the same: tuned for this device, or plain."""
    threads: Annotated[int, Field(ge=0, le=4096)] = 0
    """Threads of PyTorch on a CPU; 0 keeps PyTorch's own choice."""


@settings
class EvalConfig:
    every: Annotated[int, Field(ge=1)] = 10_000
    """Environment steps between evaluations."""
    episodes: Annotated[int, Field(ge=1, le=10_000)] = 10
    """Episodes per evaluation. Their seeds differ from those of training, and are the same at every evaluation and for
    every method, so that curves can be compared in pairs."""
    at_once: Annotated[int, Field(ge=1, le=10_000)] | None = None
    """Of these, how many are played side by side, until the longest ends; None: all. The results do not depend on it
    but for random numbers."""
    processes: bool | None = None
    """Step each of those side by side in its own process; None: with a GPU, if there are more processor cores than
    episodes."""
    heldout_fraction: Share = 0.1
    """Offline: share of the buffer's episodes held out from training, the same ones for every run on that buffer."""
    windows: Annotated[int, Field(ge=2, le=10**7)] = 256
    """Offline: held-out windows of open-loop prediction per evaluation."""
    final_windows: Annotated[int, Field(ge=2, le=10**7)] = 1000
    """Offline: held-out windows at the last evaluation."""
    samples: Annotated[int, Field(ge=1, le=10_000)] = 3
    """Open-loop predictions per held-out window."""
    context: Width = 15
    """Frames observed before the open-loop prediction (C.4)."""
    horizon: Width = 35
    """Steps predicted open-loop (C.4)."""


@settings
class LogConfig:
    every: Annotated[int, Field(ge=1)] = 500
    """Environment steps between two lines of training metrics, each the mean since the last."""
    checkpoint_every: Annotated[int, Field(ge=1)] = 5000
    """Fewest environment steps between checkpoints. Online, a run can be saved (and so stopped) only where an episode
    ends."""
    gradients_every: Annotated[int, Field(ge=0)] = 0
    """Environment steps between measurements of each loss's gradient at the shared parameters, on batches of the run's
    own data, and one at the end; 0 measures none. They do not change the run."""
    tensorboard: bool = False
    """Write TensorBoard events too (needs the tensorboard extra)."""


@settings
class Config:
    task: Name = "lever_pull"
    """Task by the paper's name, e.g. lever_pull, hammer, mini_lever, dmc_walker_run."""
    method: Name = "dreamerv2"
    """Name of the method, also of its folder; the method chooses agent and balancer."""
    seed: Annotated[int, Field(ge=0, le=LARGEST_SEED)] = 0
    """Seed of all randomness of the run."""
    preset: Name = "paper"
    """Preset that the other fields started from."""
    offline_buffer: str | None = None
    """Folder of a fixed buffer; None trains online."""
    agent: AgentConfig = field(default_factory=lambda: agents.settings_of("dreamerv2")())
    """The agent's own settings; the agent defines their class."""
    env: EnvConfig = field(default_factory=lambda: registry.suite("metaworld").settings())
    """The suite's own settings; the suite defines their class."""
    balancer: BalancerConfig = field(default_factory=BalancerConfig)
    """The weighting of the losses."""
    train: TrainConfig = field(default_factory=TrainConfig)
    """The training loop."""
    eval: EvalConfig = field(default_factory=EvalConfig)
    """Evaluations."""
    log: LogConfig = field(default_factory=LogConfig)
    """Metrics and checkpoints."""

    @property
    def scale(self) -> Scale:
        """Returns what results may be compared with: the paper's, reduced ones, or those of another environment.

        The agent's table for the suite has the paper's settings. The length of the run is ignored (curves are drawn
        against environment steps), and so are settings that do not change the mathematics. Where made pictures stand in
        for the paper's, results are reduced.
        """
        suite_scale = registry.suite(self.env.suite).scale
        if suite_scale is not None:
            return suite_scale
        changes = agents.paper_settings(self.agent.name, self.env.suite)
        if changes is None or any(not getattr(self.env, name, True) for name in PICTURES):
            return "reduced"
        paper = override(Config(agent=type(self.agent)(), env=type(self.env)()), changes)
        return "paper" if _scale_settings(self) == _scale_settings(paper) else "reduced"


def _scale_settings(config: Config) -> dict[str, Any]:
    """Returns the settings that decide the scale, by dotted name."""
    train = {f"train.{name}": value for name, value in flatten(config.train).items() if name not in IGNORED_BY_SCALE}
    env = {name: value for name, value in flatten(config.env).items() if name not in (*LOOK, *PICTURES)}
    return train | env | flatten(config.agent, "agent.")
