"""Which settings make sense: one clear line before anything starts."""

from __future__ import annotations

from hdream_core.config.fields import BalancerConfig, Config
from hdream_core.config.settings import flatten
from hdream_core.support import untrusted
from hdream_core.support.errors import ConfigError

AT_LEAST = {
    "seed": 0,
    "model.depth": 1,
    "model.hidden": 1,
    "model.layers": 1,
    "model.rssm.deter": 1,
    "model.rssm.hidden": 1,
    "model.rssm.stoch": 1,
    "model.rssm.classes": 2,
    "model.rssm.free_nats": 0,
    "behavior.horizon": 2,  # the first imagined step is the first that an action bears on
    "behavior.entropy": 0,
    "behavior.hidden": 1,
    "behavior.layers": 1,
    "behavior.slow_update": 1,
    "behavior.starts": 1,
    "balancer.w_o": 0,
    "balancer.w_d": 0,
    "balancer.dwa_window": 1,
    "balancer.nash_every": 1,
    "train.steps": 1,
    "train.prefill": 0,
    "train.pretrain": 1,
    "train.train_every": 1,
    "train.batch": 1,
    "train.length": 2,
    "train.capacity": 1,
    "train.threads": 0,
    "eval.every": 1,
    "eval.episodes": 1,
    "eval.windows": 2,
    "eval.final_windows": 2,
    "eval.samples": 1,
    "eval.context": 1,
    "eval.horizon": 1,
    "log.every": 1,
    "log.checkpoint_every": 1,
}
LARGEST_SEED = 999_999  # of a run or a buffer; beyond lie those of evaluations (``sources.EVAL_SEED``) and of studies
AT_MOST = {  # far beyond any model that is trained, so a slip of the finger
    "seed": LARGEST_SEED,
    "model.depth": 1024,
    "model.hidden": 65_536,
    "model.layers": 64,
    "model.rssm.deter": 65_536,
    "model.rssm.hidden": 65_536,
    "model.rssm.stoch": 4096,
    "model.rssm.classes": 4096,
    "behavior.horizon": 10_000,
    "behavior.hidden": 65_536,
    "behavior.layers": 64,
    "balancer.dwa_window": 1_000_000,
    "train.steps": 10**9,
    "train.prefill": 10**9,
    "train.pretrain": 10**6,
    "train.capacity": 10**9,
    "train.batch": 65_536,
    "train.length": 65_536,
    "train.threads": 4096,
    "eval.episodes": 10_000,
    "eval.samples": 10_000,
    "eval.windows": 10_000_000,
    "eval.final_windows": 10_000_000,
    "eval.context": 65_536,
    "eval.horizon": 65_536,
}
ABOVE_ZERO = (
    "balancer.w_r",
    "balancer.dwa_temperature",
    "balancer.nash_max_norm",
    "model.lr",
    "model.grad_clip",
    "model.harmonizer_lr",
    "behavior.actor_lr",
    "behavior.critic_lr",
    "behavior.grad_clip",
)
UP_TO_ONE = ("model.rssm.kl_balance", "behavior.gamma", "behavior.lam", "eval.heldout_fraction")


def check(config: Config) -> Config:
    """Returns the config; raises ConfigError naming the first setting that cannot work."""
    values = flatten(config)
    for name, least in AT_LEAST.items():
        if values[name] is not None and not least <= values[name] < float("inf"):
            raise ConfigError(f"{name} is {values[name]}; it must be finite and {least} or more")
    for name, most in AT_MOST.items():
        if values[name] is not None and values[name] > most:
            raise ConfigError(f"{name} is {values[name]}; it must be {most} or less")
    for name in ("task", "method", "preset"):  # they name folders and files
        try:
            untrusted.plain_name(values[name], name)
        except ValueError as error:
            raise ConfigError(str(error)) from None
    for name in ABOVE_ZERO:
        if values[name] is not None and not 0 < values[name] < float("inf"):
            raise ConfigError(f"{name} is {values[name]}; it must be finite and above 0")
    for name in UP_TO_ONE:
        if not 0 < values[name] <= 1:
            raise ConfigError(f"{name} is {values[name]}; it must be above 0 and at most 1")
    check_weights(config.balancer)
    return config


def check_weights(config: BalancerConfig) -> None:
    """Raises ConfigError if a weight is given for a loss whose weight the balancer finds itself."""
    learned = {"fixed": (), "harmony": ("w_o", "w_r")}.get(config.kind, ("w_o", "w_r", "w_d"))  # E.4 fixes w_d alone
    for name in learned:
        if getattr(config, name) is not None:
            raise ConfigError(
                f"balancer.{name} is set, but {config.kind} learns its weights; unset it or take kind=fixed"
            )


def check_windows(config: Config, rows: int) -> None:
    """Raises ConfigError if training or held-out windows do not fit into episodes of so many rows."""
    windows = {"train.length": config.train.length}
    if config.offline_buffer:
        windows["eval.context + eval.horizon"] = config.eval.context + config.eval.horizon
    for name, length in windows.items():
        if length > rows:
            raise ConfigError(f"{name} is {length}, but the longest episode of {config.task} here has {rows} frames")
