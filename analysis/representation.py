"""What a world model's representation says of the true state: features of windows, and probes on them (C.4)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from analysis.probes import ConstantProbe, LinearProbe, MLPProbe, ProbeConfig
from analysis.segments import Segments
from hdream_core.agent import DreamerV2
from hdream_core.config import ConfigError
from hdream_core.envs.layout import centimetres
from hdream_core.evaluate import WINDOWS_AT_ONCE, own_randomness
from hdream_core.precision import autocast

KINDS = ("posterior", "open_loop")  # features with all frames seen, and imagined after the context
PROBES = ("mlp", "linear", "shuffled", "constant")
VALIDATION = 0.1  # share of the episodes (C.4)


@dataclass(frozen=True)
class Features:
    """Features of N windows of T rows."""

    posterior: np.ndarray  # (N, T, F) all frames seen
    open_loop: np.ndarray  # (N, T - context, F) the first ``context`` frames seen, the rest imagined


@torch.no_grad()
def features(agent: DreamerV2, segments: Segments, context: int, seed: int = 0) -> Features:
    """Posterior and open-loop features of the same windows, one sample of the latents each."""
    posterior, open_loop = [], []
    rssm = agent.model.rssm
    with own_randomness(seed), autocast(agent.config.train.precision, agent.device):
        for some in np.split(np.arange(len(segments)), range(WINDOWS_AT_ONCE, len(segments), WINDOWS_AT_ONCE)):
            batch = agent.to_device(segments.take(some).batch())
            post, _ = rssm.observe(agent.model.encode(batch["image"]), batch["action"], batch["is_first"])
            last = post.map(lambda x: x[:, context - 1])
            imagined = rssm.imagine(last, batch["action"][:, context:])
            posterior.append(post.feat.float().cpu().numpy())
            open_loop.append(imagined.feat.float().cpu().numpy())
    return Features(np.concatenate(posterior), np.concatenate(open_loop))


def split(segments: Segments, share: float = VALIDATION) -> tuple[np.ndarray, np.ndarray]:
    """Training and validation segments: whole episodes go to one side, so that no segment leaks to the other.

    Raises:
        ConfigError: if there is only one episode.
    """
    known = np.unique(segments.episode)
    if len(known) < 2:
        raise ConfigError("probes need segments of two episodes or more: one side is fitted on, the other measured")
    held = np.random.default_rng(0).permutation(known)[: max(round(share * len(known)), 1)]
    validation = np.isin(segments.episode, held)
    return np.flatnonzero(~validation), np.flatnonzero(validation)


def regress(
    agent: DreamerV2, segments: Segments, context: int, config: ProbeConfig, seeds: int
) -> dict[str, np.ndarray]:
    """Validation errors of all probes on one agent's features.

    Args:
        agent: whose representation is probed.
        segments: with at least two episodes.
        context: frames seen before the open-loop features.
        config: of the MLP.
        seeds: fits of the MLP.

    Returns:
        ``<probe>/<kind>`` to the mean squared distance of each object, ``(objects,)``, in square centimetres (pixels on
        the miniature); for the MLP ``(seeds, objects)``.
    """
    found, truth = features(agent, segments, context), segments.positions()
    target = np.concatenate(list(truth.values()), -1) * centimetres(segments.task)  # (N, T, D)
    ends = np.cumsum([values.shape[-1] for values in truth.values()])[:-1]  # of each object's columns
    train, validation = split(segments)
    errors = {}
    for kind in KINDS:
        x, y = getattr(found, kind), target if kind == "posterior" else target[:, context:]
        x_train, y_train = (a[train].reshape(-1, a.shape[-1]) for a in (x, y))
        shuffled = np.random.default_rng(0).permutation(y_train)  # features say nothing of these targets
        fitted: dict[str, list[Callable]] = {
            "mlp": [MLPProbe(x_train, y_train, config, seed) for seed in range(seeds)],
            "linear": [LinearProbe(x_train, y_train)],
            "shuffled": [MLPProbe(x_train, shuffled, config, 0)],
            "constant": [ConstantProbe(x_train, y_train)],
        }
        for name, probes in fitted.items():
            distances = np.stack([_squared_distances(probe(x[validation]) - y[validation], ends) for probe in probes])
            errors[f"{name}/{kind}"] = distances if name == "mlp" else distances[0]
    return errors


def _squared_distances(difference: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """``(n, T, D)`` to the mean squared distance of each object, ``(objects,)``."""
    return np.array([np.square(part).sum(-1).mean() for part in np.split(difference, ends, -1)])
