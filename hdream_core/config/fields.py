"""Every setting of a run: frozen dataclasses, the paper's values as defaults, and named presets.

A config is built once, saved verbatim with the run and handed on in slices. ``Config()`` is the paper (Table 1);
a preset (``presets.py``) states what it changes. What departs from the paper is named in the field's docstring.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

Scale = Literal["paper", "reduced", "miniature"]
MINIATURE_TASKS = ("mini_lever",)


@dataclass(frozen=True)
class EnvConfig:
    render: Literal["auto", "fast", "paper"] = "auto"
    """Render quality of Meta-world; auto takes `paper` on a GPU renderer and `fast` on a software one."""
    camera: Literal["corner", "corner2"] = "corner2"
    """Camera of Meta-world: corner2, moved to (0.75, 0.075, 0.7), or corner as the released configs. On lever_pull at
    64 x 64 corner hides the goal in most of an expert's frames; the paper's text has lever and goal in view."""


@dataclass(frozen=True)
class RSSMConfig:
    deter: int = 1024
    """Size of the deterministic state (Table 1: RSSM hidden size)."""
    hidden: int = 1024
    """Units of the layers around the GRU."""
    stoch: int = 32
    """Number of categorical latents."""
    classes: int = 32
    """Classes of each categorical latent."""
    kl_balance: float = 0.8
    """Share of L_d that trains the prior towards the posterior."""
    free_nats: float = 0.0
    """L_d is not reduced below this mean, in nats (0 on Meta-world, 1 on DMC and RLBench)."""


@dataclass(frozen=True)
class ModelConfig:
    rssm: RSSMConfig = field(default_factory=RSSMConfig)
    """The recurrent state-space model."""
    depth: int = 48
    """Channels of the first convolution; the others are multiples of it."""
    hidden: int = 400
    """Units per layer of the reward and discount heads."""
    layers: int = 4
    """Hidden layers of the reward and discount heads."""
    discount_head: bool = False
    """Learn the discount from is_terminal. Off on Meta-world, which never terminates."""
    lr: float = 3e-4
    """Learning rate of the world model."""
    grad_clip: float = 100.0
    """Largest gradient norm of the world model, harmonizers included."""
    harmonizer_lr: float | None = None
    """Learning rate of the harmonizers s_i; None: the model's, as in the paper. Another value is a deviation."""
    harmonizer_start: Literal["zero", "analytic"] = "zero"
    """Where s_i start: 0 as in the paper, or (a deviation) at the optimum for the first batch's losses."""


@dataclass(frozen=True)
class BehaviorConfig:
    horizon: int = 15
    """Imagined steps H."""
    gamma: float = 0.99
    """Discount."""
    lam: float = 0.95
    """Lambda of the lambda-return, Eq. 8."""
    entropy: float = 1e-4
    """Entropy regularisation eta, Eq. 9."""
    hidden: int = 400
    """Units per layer of actor and critic."""
    layers: int = 4
    """Hidden layers of actor and critic."""
    actor_lr: float = 8e-5
    """Learning rate of the actor."""
    critic_lr: float = 8e-5
    """Learning rate of the critic."""
    grad_clip: float = 100.0
    """Largest gradient norm of actor and critic, each."""
    slow_update: int = 100
    """The slow critic is copied from the critic every so many updates."""
    starts: int | None = None
    """Imagine from this many random posteriors of the batch; None: from all, as in the paper. Else a deviation."""


@dataclass(frozen=True)
class BalancerConfig:
    kind: Literal["fixed", "harmony", "uw", "dwa", "nashmtl"] = "fixed"
    """Constant weights (Eq. 3), HarmonyDream's learned ones, or what Fig. 9b compares them with: uncertainty weighting,
    dynamic weight average, NashMTL."""
    w_o: float | None = None
    """Weight of the observation loss L_o, 1 if not given; 0 builds no decoder. Fixed weights only."""
    w_r: float | None = None
    """Weight of the reward loss L_r, 1 if not given. Fixed weights only."""
    w_d: float | None = None
    """Weight of the dynamics loss L_d. Fixed weights: 1 if not given. Harmony: learned if not given (1: E.4)."""
    rectified: bool = True
    """Harmony only: regulariser log(1 + sigma) of Eq. 5 (rectified) or log sigma of Eq. 4."""
    dwa_temperature: float = 2.0
    """DWA only: temperature T of the softmax over the losses' rates of descent."""
    dwa_window: int = 25
    """DWA only: updates in each of the two windows whose mean losses are compared."""
    nash_every: int = 1
    """NashMTL only: updates between two solutions of the bargain."""
    nash_max_norm: float | None = None
    """NashMTL only: all weights are scaled down until the shared gradient's norm is at most this; None: never."""


@dataclass(frozen=True)
class TrainConfig:
    steps: int = 250_000
    """Length of the run in environment steps, online and offline alike."""
    prefill: int = 5000
    """Online: environment steps of random actions first."""
    pretrain: int = 100
    """Online: updates right after the prefill."""
    train_every: int = 5
    """Environment steps per update; offline each update moves the clock by as many."""
    batch: int = 50
    """Windows per batch, B."""
    length: int = 50
    """Steps per window, T."""
    oversample_ends: bool = True
    """Draw window starts from a range one window longer and clip, so that episode ends are seen more often."""
    capacity: int = 1_000_000
    """Online: steps that the replay can hold."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Arithmetic of the networks; auto takes bfloat16 autocast where the processor multiplies it natively."""
    kernels: Literal["tuned", "plain"] = "tuned"
    """Forms of the costliest operations, the same mathematics: tuned for this device, or plain to compare with."""
    threads: int = 0
    """Threads of PyTorch on a CPU; 0 leaves its own choice."""


@dataclass(frozen=True)
class EvalConfig:
    every: int = 10_000
    """Environment steps between evaluations."""
    episodes: int = 10
    """Episodes per evaluation. Their seeds are no training episode's, and the same ones at every evaluation and for
    every method, so that curves are compared in pairs."""
    processes: bool | None = None
    """Step each of these episodes in a process of its own; None: with a GPU, where there are more processors than
    episodes."""
    heldout_fraction: float = 0.1
    """Offline: share of the buffer's episodes kept out of training, the same ones for every run on that buffer."""
    windows: int = 256
    """Offline: held-out windows of open-loop prediction per evaluation."""
    final_windows: int = 1000
    """Offline: held-out windows at the last evaluation."""
    samples: int = 3
    """Dreams per held-out window."""
    context: int = 15
    """Frames observed before the open-loop prediction (C.4)."""
    horizon: int = 35
    """Steps predicted open-loop (C.4)."""


@dataclass(frozen=True)
class LogConfig:
    every: int = 500
    """Environment steps between two lines of training metrics, each their mean since the last."""
    checkpoint_every: int = 5000
    """Environment steps between checkpoints, at the least. Online a run can be saved, and so stop when told to, only
    where an episode and a stride of train_every end together: after each episode if train_every divides its length,
    else after as many as the least common multiple of the two takes."""
    tensorboard: bool = False
    """Write TensorBoard events too (needs the tensorboard extra)."""


@dataclass(frozen=True)
class Config:
    task: str = "lever_pull"
    """Task by the paper's name, e.g. lever_pull, hammer, mini_lever."""
    method: str = "dreamerv2"
    """Name of the method, also of its folder; dreamerv2, harmony, uw, dwa and nashmtl set the balancer."""
    seed: int = 0
    """Seed of everything random in the run."""
    preset: str = "paper"
    """Preset that the other fields started from."""
    offline_buffer: str | None = None
    """Folder of a fixed buffer; None trains online."""
    env: EnvConfig = field(default_factory=EnvConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    behavior: BehaviorConfig = field(default_factory=BehaviorConfig)
    balancer: BalancerConfig = field(default_factory=BalancerConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    eval: EvalConfig = field(default_factory=EvalConfig)
    log: LogConfig = field(default_factory=LogConfig)

    @property
    def scale(self) -> Scale:
        """How far results may be compared with the paper's: its sizes and rates, reduced ones, or the miniature.

        The length of the run does not count (curves are drawn against environment steps), nor does what leaves the
        mathematics alone.
        """
        if self.task in MINIATURE_TASKS:
            return "miniature"
        free = ("steps", "capacity", "precision", "kernels", "threads")
        train = replace(self.train, **{name: getattr(TrainConfig, name) for name in free})
        full = (self.model, self.behavior, train) == (ModelConfig(), BehaviorConfig(), TrainConfig())
        return "paper" if full else "reduced"
