"""What a preset's name means for every agent: when its runs evaluate, log and save. And the rate of harmonizers."""

from __future__ import annotations

from typing import Any

# Adam moves a harmonizer s by about one learning rate per update: by up to 15 in the paper's 50,000 updates at 3e-4.
# Reduced runs set the rate so that s can move as far. This is a deviation; the paper's presets do not have it.
HARMONIZER_TRAVEL = 15.0

Settings = dict[str, Any]
SMOKE: Settings = {
    "eval.episodes": 1,
    "eval.heldout_fraction": 0.3,
    "eval.windows": 4,
    "eval.final_windows": 6,
    "eval.samples": 2,
    "log.every": 20,
}
METAWORLD: dict[str, Settings] = {
    "cpu": {"eval.every": 2000, "log.every": 250, "log.checkpoint_every": 500},
    "long": {"eval.every": 2500, "eval.episodes": 5, "log.checkpoint_every": 2500, "log.gradients_every": 4000},
    "quick": {
        "log.every": 125,
        "log.checkpoint_every": 500,
        "eval.every": 1000,
        "eval.episodes": 5,
        "eval.heldout_fraction": 0.2,
    },
    "smoke": {"eval.every": 290, "log.checkpoint_every": 290},
}
DMC: dict[str, Settings] = {
    "cpu": {"eval.every": 5000, "eval.episodes": 5, "log.every": 500, "log.checkpoint_every": 2000},
    "quick": {
        "log.every": 250,
        "log.checkpoint_every": 1000,
        "eval.every": 5000,
        "eval.episodes": 3,
        "eval.heldout_fraction": 0.2,
    },
    "smoke": {"eval.every": 580, "log.checkpoint_every": 580},
}
MINIATURE: Settings = {"eval.every": 1000, "log.every": 250, "log.checkpoint_every": 1000}
MINIATURE_SMOKE: Settings = {"eval.every": 40, "log.checkpoint_every": 40}
