"""Presets and methods: what each changes of ``Config()``, which is the paper's Table 1.

A preset is a size that a machine can carry; a method is a way to weigh the losses. Both are plain tables.
"""

from __future__ import annotations

import difflib
from typing import Any

from hdream_core.config.check import check
from hdream_core.config.fields import MINIATURE_TASKS, Config, TrainConfig
from hdream_core.config.settings import override
from hdream_core.support.errors import ConfigError

# Adam moves a harmonizer s by about one learning rate an update, so the paper's 50,000 updates at 3e-4 let it travel
# 15. Reduced runs set their rate so that s can travel as far: a named deviation, off at paper scale.
HARMONIZER_TRAVEL = 15.0


def _steps(steps: int) -> dict[str, Any]:
    return {"train.steps": steps, "model.harmonizer_lr": HARMONIZER_TRAVEL * TrainConfig.train_every / steps}


_REDUCED: dict[str, Any] = {
    "model.depth": 16,
    "model.rssm.deter": 256,
    "model.rssm.hidden": 256,
    "model.rssm.classes": 16,
    "model.hidden": 256,
    "model.lr": 6e-4,
    "behavior.hidden": 256,
    "behavior.actor_lr": 3e-4,
    "behavior.critic_lr": 3e-4,
    "behavior.starts": 128,
    "train.batch": 16,
    "train.length": 32,
    "train.threads": 1,
    "train.prefill": 2500,
}

_MINI: dict[str, Any] = {
    "model.depth": 8,
    "model.rssm.deter": 128,
    "model.rssm.hidden": 128,
    "model.rssm.stoch": 16,
    "model.rssm.classes": 16,
    "model.hidden": 128,
    "model.layers": 2,
    "model.lr": 6e-4,
    "behavior.hidden": 128,
    "behavior.layers": 2,
    "behavior.horizon": 10,
    "behavior.starts": 100,
    "behavior.actor_lr": 3e-4,
    "behavior.critic_lr": 3e-4,
    "train.batch": 8,
    "train.length": 25,
    "train.precision": "float32",  # at this size the casts of autocast cost more than its products save
    "train.threads": 1,
    "train.prefill": 500,
    "train.pretrain": 50,
    "eval.every": 1000,
    "log.every": 250,
    "log.checkpoint_every": 1000,
}

_SMOKE: dict[str, Any] = {
    "model.depth": 2,
    "model.rssm.deter": 8,
    "model.rssm.hidden": 8,
    "model.rssm.stoch": 4,
    "model.rssm.classes": 4,
    "model.hidden": 8,
    "model.layers": 1,
    "behavior.hidden": 8,
    "behavior.layers": 1,
    "behavior.horizon": 3,
    "train.batch": 2,
    "train.length": 8,
    "train.threads": 1,
    **_steps(80),
    "train.pretrain": 2,
    "eval.every": 40,
    "eval.episodes": 1,
    "eval.heldout_fraction": 0.3,
    "eval.windows": 4,
    "eval.final_windows": 6,
    "eval.samples": 2,
    "log.every": 20,
    "log.checkpoint_every": 40,
}

# For Meta-world: name -> (who it is for, changes).
PRESETS: dict[str, tuple[str, dict[str, Any]]] = {
    "paper": ("Table 1 at full size; for a GPU, half an hour to an hour per run on a recent one", {}),
    "cpu": (
        "a reduced model, sweeps with seeds on two cores in hours",
        _REDUCED | _steps(8000) | {"eval.every": 2000, "log.every": 250, "log.checkpoint_every": 500},
    ),
    "quick": (
        "the reduced model for minutes, one seed, a first look",
        _REDUCED
        | _steps(3000)
        | {"train.batch": 8, "behavior.starts": 64, "log.every": 125, "log.checkpoint_every": 500}
        | {"eval.every": 1000, "eval.episodes": 5, "eval.heldout_fraction": 0.2},
    ),
    "smoke": (
        "some updates of a toy-size model: does every part run?",
        # An online run must get beyond its prefill, that is, an episode.
        _REDUCED | _SMOKE | _steps(580) | {"train.prefill": 500, "eval.every": 290, "log.checkpoint_every": 290},
    ),
}

# For the miniature the same names mean the same budgets.
MINIATURE_PRESETS: dict[str, tuple[str, dict[str, Any]]] = {
    "cpu": ("the miniature's full length, some six minutes per run on one core", _MINI | _steps(15_000)),
    "quick": ("the miniature, a first look", _MINI | _steps(5000)),
    "smoke": ("16 updates of a toy-size model: does every part run?", _MINI | _SMOKE | {"train.prefill": 50}),
}

METHODS: dict[str, dict[str, Any]] = {
    "dreamerv2": {"balancer.kind": "fixed"},
    "harmony": {"balancer.kind": "harmony"},
    "uw": {"balancer.kind": "uw"},
    "dwa": {"balancer.kind": "dwa"},
    "nashmtl": {"balancer.kind": "nashmtl"},
}


def presets_for(task: str) -> dict[str, tuple[str, dict[str, Any]]]:
    """The presets that exist for a task."""
    return MINIATURE_PRESETS if task in MINIATURE_TASKS else PRESETS


def check_preset(task: str, preset: str) -> dict[str, tuple[str, dict[str, Any]]]:
    """The presets that exist for a task; raises ConfigError, naming them, if ``preset`` is not one."""
    table = presets_for(task)
    if preset not in table:
        raise ConfigError(f"no preset {preset!r} for {task}; there are {', '.join(table)}{_nearest(preset, table)}")
    return table


def make_config(task: str, preset: str, method: str = "dreamerv2", changes: dict[str, Any] | None = None) -> Config:
    """Preset, then method, then single changes by dotted name.

    Raises:
        ConfigError: for an unknown preset, method or setting, naming what there is.
    """
    table = check_preset(task, preset)
    if method not in METHODS:
        raise ConfigError(f"no method {method!r}; there are {', '.join(METHODS)}{_nearest(method, METHODS)}")
    config = override(Config(task=task, preset=preset, method=method), table[preset][1] | METHODS[method])
    return check(override(config, changes or {}))


def _nearest(name: str, known: Any) -> str:
    near = difflib.get_close_matches(name, list(known), 1)
    return f" (did you mean {near[0]}?)" if near else ""
