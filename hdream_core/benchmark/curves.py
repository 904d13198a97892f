"""Whether the tuned update learns what the plain one does: loss curves from the same seed on the same batches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hdream_core.agent import DreamerV2
from hdream_core.benchmark.workers import Worker
from hdream_core.config import Config
from hdream_core.precision import native_bfloat16, pick_device
from hdream_core.replay import Replay, random_batch
from hdream_core.store import EpisodeStore

LOSSES = ("loss/observation", "loss/reward", "loss/dynamics", "loss/actor", "loss/critic")


def measure_curves(config: Config, size: int, action: int, updates: int, folder: Path | None) -> dict[str, float]:
    """How far loss curves of ``updates`` updates lie apart, relative to the plain ones' size.

    Returns:
        ``curves.float32``: tuned against plain in float32. Where bfloat16 is native also ``curves.bfloat16``, tuned
        against plain in bfloat16, and ``curves.bfloat16_noise``, plain in bfloat16 against plain in float32. Of each
        the mean and the largest over updates and losses.
    """
    precisions = ["float32"] + ["bfloat16"] * native_bfloat16(pick_device())
    curves = {}
    for precision in precisions:
        for kernels in ("plain", "tuned"):
            train = replace(config.train, precision=precision, kernels=kernels)
            with Worker(make_learner, replace(config, train=train), size, action, folder) as worker:
                curves[kernels, precision] = np.array([worker.ask("call", "update") for _ in range(updates)])
    scale = np.abs(curves["plain", "float32"]).mean(0)  # (losses,)
    pairs = {"float32": (("tuned", "float32"), ("plain", "float32"))}
    if len(precisions) == 2:
        pairs["bfloat16"] = ("tuned", "bfloat16"), ("plain", "bfloat16")
        pairs["bfloat16_noise"] = ("plain", "bfloat16"), ("plain", "float32")
    found = {"curves.updates": float(updates)}
    for name, (ours, theirs) in pairs.items():
        apart = np.abs(curves[ours] - curves[theirs]) / scale  # (updates, losses)
        found |= {f"curves.{name}_mean": float(apart.mean()), f"curves.{name}_max": float(apart.max())}
    return found


def make_learner(config: Config, size: int, action: int, folder: Path | None) -> dict[str, Any]:
    """An agent and its batches; ``update`` returns the losses."""
    torch.set_num_threads(config.train.threads or torch.get_num_threads())
    torch.manual_seed(config.seed)
    agent = DreamerV2(config, size, action)
    batches = _batches(config, size, action, folder)

    def update() -> list[float]:
        metrics = agent.update(next(batches))
        return [metrics[name].item() for name in LOSSES if name in metrics]

    return {"update": update}


def _batches(config: Config, size: int, action: int, folder: Path | None) -> Iterator[dict[str, np.ndarray]]:
    if folder is None:
        while True:
            yield random_batch(config.train.batch, config.train.length, size, action)
    store, rng = EpisodeStore(folder), np.random.default_rng(config.seed)
    store.rewind(np.load(folder / "episodes.npy", allow_pickle=False))
    replay = Replay(store)
    while True:
        yield replay.sample(rng, config.train.batch, config.train.length)
