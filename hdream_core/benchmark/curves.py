"""Compares the loss curves of tuned and plain updates, from the same seed on the same batches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch

from hdream_core.agent import make_agent
from hdream_core.benchmark.workers import Worker
from hdream_core.config.fields import Config
from hdream_core.data.offline import open_unpacked
from hdream_core.data.replay import Replay, random_batch
from hdream_core.spec import Spec
from hdream_core.support.cuda_graph import capture
from hdream_core.support.precision import native_bfloat16, pick_device

TOLERANCE = 1e-4
_NAMES = ("observation", "swav", "temporal", "reward", "dynamics", "consistency", "value", "actor", "critic")
LOSSES = tuple(f"loss/{name}" for name in _NAMES)  # those that an agent has
NUDGE = 2.0**-23  # relative: one rounding of float32


class UpdateKind(NamedTuple):
    """Names the kind of update that gives a curve."""

    kernels: Literal["plain", "tuned"]
    precision: Literal["float32", "bfloat16"]
    nudge: bool = False  # start from weights that differ by one rounding


def measure_curves(config: Config, spec: Spec, updates: int, folder: Path | None) -> dict[str, float]:
    """Measures how far loss curves of ``updates`` updates differ, relative to the size of the plain ones.

    Latents are sampled. If two updates differ by a rounding, at some point a sample falls into another class. From then
    on the curves are two draws of the same randomness. So each difference is given together with the difference of
    plain curves that differ only by a rounding (``_noise``).

    Returns:
        The mean and the largest difference over updates and losses, and the number of updates before one exceeds
        ``TOLERANCE``. They are given for ``curves.float32`` (tuned against plain) and ``curves.float32_noise`` (plain
        from nudged weights against plain). If bfloat16 is native, there are also the mean and the largest difference of
        ``curves.bfloat16`` (tuned against plain in bfloat16) and ``curves.bfloat16_noise`` (plain in bfloat16 against
        plain in float32).
    """
    plain, tuned = UpdateKind("plain", "float32"), UpdateKind("tuned", "float32")
    pairs = {"float32": (tuned, plain), "float32_noise": (plain._replace(nudge=True), plain)}
    if native_bfloat16(pick_device(config.train.device)):
        plain_16, tuned_16 = (kind._replace(precision="bfloat16") for kind in (plain, tuned))
        pairs |= {"bfloat16": (tuned_16, plain_16), "bfloat16_noise": (plain_16, plain)}
    kinds = dict.fromkeys(kind for pair in pairs.values() for kind in pair)
    curves = {kind: _curve(config, spec, updates, folder, kind) for kind in kinds}
    scale = np.abs(curves[plain]).mean(0)  # (losses,)
    numbers = {"curves.updates": float(updates), "curves.tolerance": TOLERANCE}
    for name, (kind, reference) in pairs.items():
        difference = (np.abs(curves[kind] - curves[reference]) / scale).max(1)  # (updates,)
        numbers |= {f"curves.{name}_mean": float(difference.mean()), f"curves.{name}_max": float(difference.max())}
        if kind.precision == "float32":
            beyond = np.flatnonzero(difference > TOLERANCE)
            numbers[f"curves.{name}_updates_alike"] = float(beyond[0] if len(beyond) else updates)
    return numbers


def _curve(config: Config, spec: Spec, updates: int, folder: Path | None, kind: UpdateKind) -> np.ndarray:
    """Returns the losses of updates of a kind, ``(updates, losses)``."""
    train = replace(config.train, precision=kind.precision, kernels=kind.kernels)
    with Worker(make_update, replace(config, train=train), spec, folder, kind.nudge) as worker:
        return np.array([worker.ask("call", "update") for _ in range(updates)])


def make_update(config: Config, spec: Spec, folder: Path | None, nudge: bool) -> dict[str, Any]:
    """Makes ``update``, which trains an agent on its next batch and returns the losses."""
    torch.set_num_threads(config.train.threads or torch.get_num_threads())
    torch.manual_seed(config.seed)
    agent = make_agent(config, spec)
    if nudge:
        with torch.no_grad():
            for parameter in agent.parameters():
                parameter.mul_(1 + NUDGE)
    batches = _batches(config, spec, folder)
    captured_update = capture(agent.update, agent.device, agent.capturable)

    def update() -> list[float]:
        metrics = captured_update(next(batches))
        return [metrics[name].item() for name in LOSSES if name in metrics]

    return {"update": update}


def _batches(config: Config, spec: Spec, folder: Path | None) -> Iterator[dict[str, np.ndarray]]:
    if folder is None:
        while True:
            yield random_batch(config.train.batch, config.train.length, spec)
    replay, rng = Replay(open_unpacked(folder)), np.random.default_rng(config.seed)
    while True:
        yield replay.sample(rng, config.train.batch, config.train.length)
