"""What a world model's representation says of the true state: features of windows, and probes on them (C.4)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from analysis.models.dreams import batches
from analysis.models.probes import ConstantProbe, LinearProbe, MLPProbe, ProbeConfig
from analysis.models.segments import Segments
from analysis.results.tasks import task_facts
from hdream_core.agent import Agent
from hdream_core.support.errors import ConfigError

KINDS = ("posterior", "open_loop")  # features with all frames seen, and imagined after the context
PROBES = ("mlp", "linear", "shuffled", "constant")


@dataclass(frozen=True)
class Features:
    """Features of N windows of T rows."""

    posterior: np.ndarray  # (N, T, F) all frames seen
    open_loop: np.ndarray  # (N, T - context, F) the first ``context`` frames seen, the rest imagined


def features(agent: Agent, segments: Segments, context: int, seed: int = 0) -> Features:
    """Posterior and open-loop features of the same windows, one sample of the latents each."""
    import torch

    posterior = open_loop = np.empty(0)
    for some, batch in batches(agent, segments, seed=seed):
        with torch.no_grad():
            found = agent.features(batch), agent.open_loop(batch, context).feat
        if not posterior.size:  # filled in place: at full size it is 8 GB
            posterior, open_loop = (np.empty((len(segments), *x.shape[1:]), np.float32) for x in found)
        posterior[some], open_loop[some] = (x.float().cpu().numpy() for x in found)
    return Features(posterior, open_loop)


def folds_of(segments: Segments, folds: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Training and validation segments of each fold; whole episodes go to one side, and each is validated on once.

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


def regress(
    agent: Agent, segments: Segments, context: int, config: ProbeConfig, seeds: int, folds: int
) -> dict[str, np.ndarray]:
    """Errors of all probes on one agent's features, on episodes that the probe was not fitted on.

    Args:
        agent: whose representation is probed.
        segments: from several episodes that differ in their goals.
        context: frames seen before the open-loop features.
        config: of the MLP.
        seeds: fits of the MLP on each fold.
        folds: of the episodes.

    Returns:
        ``<probe>/<kind>`` to the mean squared distance of each object in each episode, ``(episodes, objects)``, in
        square centimetres (pixels on the miniature); for the MLP ``(seeds, episodes, objects)``. Over the steps from
        ``context`` on for both kinds, so that they can be compared. NaN for an episode that no segment is from.
    """
    found, truth = features(agent, segments, context), segments.positions()
    target = np.concatenate(list(truth.values()), -1) * task_facts(segments.task).reported_per_length  # (N, T, D)
    ends = np.cumsum([values.shape[-1] for values in truth.values()])[:-1]  # of each object's columns
    shape = (len(segments.episodes), len(truth))
    errors = {f"{name}/{kind}": np.full((seeds, *shape), np.nan) for name in PROBES for kind in KINDS}
    for train, validation in folds_of(segments, folds):
        for kind in KINDS:
            x, y = getattr(found, kind), target if kind == "posterior" else target[:, context:]
            x_train, y_train = (a[train].reshape(-1, a.shape[-1]) for a in (x, y))
            shuffled = np.random.default_rng(0).permutation(y_train)  # features that say nothing of their targets
            fitted: dict[str, list[Callable]] = {
                "mlp": [MLPProbe(x_train, y_train, config, seed) for seed in range(seeds)],
                "linear": [LinearProbe(x_train, y_train)],
                "constant": [ConstantProbe(x_train, y_train)],
                "shuffled": [MLPProbe(x_train, shuffled, config, 0)],
            }
            for name, probes in fitted.items():
                for seed, probe in enumerate(probes):
                    difference = (probe(x[validation]) - y[validation])[:, context if kind == "posterior" else 0 :]
                    _by_episode(difference, segments.episode[validation], ends, errors[f"{name}/{kind}"][seed])
    return {name: values if name.startswith("mlp/") else values[0] for name, values in errors.items()}


def _by_episode(difference: np.ndarray, episode: np.ndarray, ends: np.ndarray, out: np.ndarray) -> None:
    """Fills ``(episodes, objects)`` with mean squared distances, from differences ``(n, T, D)`` of n segments."""
    for j, part in enumerate(np.split(difference, ends, -1)):
        squared = np.square(part).sum(-1).mean(-1)  # (n,)
        for e in np.unique(episode):
            out[e, j] = squared[episode == e].mean()
