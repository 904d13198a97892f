"""Computes features of windows, and fits probes that read the true state off them (C.4)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from analysis.models.dreams import batches
from analysis.models.probes import ConstantProbe, LinearProbe, MLPProbe, ProbeConfig
from analysis.models.segments import Segments
from analysis.results.tasks import task_facts
from hdream_core.agent import Agent
from hdream_core.support.errors import ConfigError

KINDS = ("posterior", "open_loop")  # features with all frames seen, and in open loop after the context


@dataclass(frozen=True)
class Features:
    """Holds the features of N windows of T rows."""

    posterior: np.ndarray  # (N, T, F) all frames seen
    open_loop: np.ndarray  # (N, T - context, F) after ``context`` frames seen


def features(agent: Agent, segments: Segments, context: int, seed: int = 0) -> Features:
    """Returns posterior and open-loop features of the same windows, one sample of the latents each."""
    import torch

    posterior = open_loop = np.empty(0)
    for some, batch in batches(agent, segments, seed=seed):
        with torch.no_grad():
            found = agent.features(batch), agent.open_loop(batch, context).feat
        if not posterior.size:  # filled in place: at full size it takes 8 GB
            posterior, open_loop = (np.empty((len(segments), *x.shape[1:]), np.float32) for x in found)
        posterior[some], open_loop[some] = (x.float().cpu().numpy() for x in found)
    return Features(posterior, open_loop)


def folds_of(segments: Segments, folds: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Returns training and validation segments of each fold; each episode is in one validation set.

    Raises:
        ConfigError: if there are fewer episodes than folds, or only one.
    """
    known = np.unique(segments.episode)
    if not 2 <= folds <= len(known):
        raise ConfigError(
            f"{folds} folds of whole episodes need as many episodes or more, at least 2; got {len(known)}"
        )
    parts = np.array_split(np.random.default_rng(0).permutation(known), folds)
    held = [np.isin(segments.episode, part) for part in parts]
    return [(np.flatnonzero(~inside), np.flatnonzero(inside)) for inside in held]


def read_off(
    x: np.ndarray, y: np.ndarray, segments: Segments, folds: int, probes: Mapping[str, Callable]
) -> dict[str, np.ndarray]:
    """Returns what probes read off features of episodes that they were not fitted on, ``(N, T, D)`` each.

    Args:
        x: ``(S, N, T, F)`` features, S samples of the latents. Probes are fitted on all samples, and their answers are
            averaged.
        y: ``(N, T, D)`` targets.
        segments: N windows.
        folds: of the episodes.
        probes: by name, what fits a probe to ``(M, F)`` features and ``(M, D)`` targets.
    """
    read = {name: np.full(y.shape, np.nan) for name in probes}
    for train, heldout in folds_of(segments, folds):
        x_train = x[:, train].reshape(-1, x.shape[-1])
        y_train = np.tile(y[train].reshape(-1, y.shape[-1]), (len(x), 1))
        for name, fit in probes.items():
            read[name][heldout] = fit(x_train, y_train)(x[:, heldout]).mean(0)
    return read


def positions_of(segments: Segments) -> dict[str, np.ndarray]:
    """Returns the true positions of hand and objects, ``(N, T, d)``, in centimetres (pixels on the miniature)."""
    scale = task_facts(segments.task).reported_per_length
    return {name: where * scale for name, where in segments.positions().items()}


def regress(
    agent: Agent, segments: Segments, context: int, config: ProbeConfig, seeds: int, folds: int
) -> dict[str, np.ndarray]:
    """Returns the errors of all probes on one agent's features, on episodes that the probe was not fitted on.

    Args:
        agent: whose features are probed.
        segments: from several episodes with different goals.
        context: frames seen before the open-loop features.
        config: of the MLP.
        seeds: fits of the MLP on each fold.
        folds: of the episodes.

    Returns:
        ``<probe>/<kind>`` to the mean squared distance of each object in each episode, ``(episodes, objects)``, in
        square centimetres (pixels on the miniature); for the MLP ``(seeds, episodes, objects)``. Both kinds are
        compared over the steps from ``context`` on. NaN for an episode that no segment is from.
    """
    found, truth = features(agent, segments, context), positions_of(segments)
    target = np.concatenate(list(truth.values()), -1)  # (N, T, D)
    ends = np.cumsum([values.shape[-1] for values in truth.values()])[:-1]  # of each object's columns
    probes = {f"mlp {seed}": partial(MLPProbe, config=config, seed=seed) for seed in range(seeds)}
    probes |= {"linear": LinearProbe, "constant": ConstantProbe, "shuffled": lambda x, y: _shuffled(x, y, config)}
    errors = {}
    for kind in KINDS:
        x, y = getattr(found, kind)[None], target if kind == "posterior" else target[:, context:]
        table = {}
        for name, positions in read_off(x, y, segments, folds, probes).items():
            difference = (positions - y)[:, context if kind == "posterior" else 0 :]
            table[name] = _by_episode(difference, segments, ends)
        errors[f"mlp/{kind}"] = np.stack([table.pop(f"mlp {seed}") for seed in range(seeds)])
        errors |= {f"{name}/{kind}": values for name, values in table.items()}
    return errors


def _shuffled(x: np.ndarray, y: np.ndarray, config: ProbeConfig) -> MLPProbe:
    """Returns an MLP fitted to shuffled targets, about which the features say nothing."""
    return MLPProbe(x, np.random.default_rng(0).permutation(y), config, 0)


def _by_episode(difference: np.ndarray, segments: Segments, ends: np.ndarray) -> np.ndarray:
    """Returns mean squared distances ``(episodes, objects)`` from differences ``(N, T, D)``."""
    errors = np.full((len(segments.episodes), len(ends) + 1), np.nan)
    for j, part in enumerate(np.split(difference, ends, -1)):
        squared = np.square(part).sum(-1).mean(-1)  # (N,)
        for episode in np.unique(segments.episode):
            errors[episode, j] = squared[segments.episode == episode].mean()
    return errors
