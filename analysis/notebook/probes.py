"""Positions read off features of two models, and how far off they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from analysis.models.probes import ConstantProbe, LinearProbe, MLPProbe, ProbeConfig
from analysis.models.representation import KINDS, features, folds_of
from analysis.models.segments import CONTEXT, Segments
from analysis.results.tasks import task_facts
from hdream_core.agent import Agent

NAMES = {"posterior": "seen (posterior)", "open_loop": "imagined (open loop)"}  # kinds of features

Read = dict[str, dict[str, dict[str, np.ndarray]]]  # positions by probe, kind of features, and object


def read_positions(
    agent: Agent,
    windows: Segments,
    config: ProbeConfig,
    folds: int,
    context: int = CONTEXT,
    probes: Sequence[str] = ("mlp", "linear", "constant"),
    samples: int = 1,
) -> Read:
    """Positions read off features, each window's by a probe that was not fitted on its stretch (C.4).

    As in ``representation.regress``, whose errors are these positions': each kind of features has probes of its own,
    fitted on features of that kind.

    Args:
        agent: whose features.
        windows: that do not overlap, of some stretches.
        config: of the MLP.
        folds: of the stretches.
        context: frames seen before the imagined features.
        probes: to fit.
        samples: of the latents; probes are fitted on all of them, and what they read is averaged. The study has one.

    Returns:
        By probe, kind of features and object, ``(N, T, d)`` in centimetres (pixels on the miniature); of imagined
        features ``(N, T - context, d)``.
    """
    found, truth = [features(agent, windows, context, seed) for seed in range(samples)], true_positions(windows)
    target = np.concatenate(list(truth.values()), -1)
    ends = np.cumsum([values.shape[-1] for values in truth.values()])[:-1]
    make = {"mlp": lambda x, y: MLPProbe(x, y, config, seed=0), "linear": LinearProbe, "constant": ConstantProbe}
    read: Read = {probe: {} for probe in probes}
    for kind in KINDS:
        x, y = np.stack([getattr(some, kind) for some in found]), target if kind == "posterior" else target[:, context:]
        out = {probe: np.full(y.shape, np.nan) for probe in probes}
        for train, held in folds_of(windows, folds):
            x_train = x[:, train].reshape(-1, x.shape[-1])
            y_train = np.tile(y[train].reshape(-1, y.shape[-1]), (samples, 1))
            for probe in probes:
                out[probe][held] = make[probe](x_train, y_train)(x[:, held]).mean(0)
        for probe, values in out.items():
            read[probe][kind] = dict(zip(truth, np.split(values, ends, -1), strict=True))
    return read


def true_positions(windows: Segments) -> dict[str, np.ndarray]:
    """Of hand and objects, ``(N, T, d)`` in the units of ``read_positions``."""
    return {name: where * task_facts(windows.task).reported_per_length for name, where in windows.positions().items()}


def probe_errors(read: Mapping[str, Read], windows: Segments, context: int = CONTEXT) -> pd.DataFrame:
    """Mean squared distance by kind of features and object, over the steps from ``context`` on for both kinds.

    Args:
        read: by model.
        windows: whose positions were read.
        context: frames seen before the imagined features.

    Returns:
        A column for the best constant, one for each model's MLP, and one for its linear probe.
    """
    truth, rows = true_positions(windows), {}
    for kind in KINDS:
        for thing, where in truth.items():
            row = {}
            for probe in ("mlp", "linear", "constant"):
                for name, values in read.items():
                    gap = values[probe][kind][thing][:, context if kind == "posterior" else 0 :] - where[:, context:]
                    column = {"mlp": name, "linear": f"{name}, linear", "constant": "constant"}[probe]
                    row[column] = np.square(gap).sum(-1).mean()
            rows[NAMES[kind], thing] = row
    frame = pd.DataFrame(rows.values(), pd.MultiIndex.from_tuples(rows, names=["features", "object"]))
    return frame[["constant", *frame.columns.drop("constant")]]


def probes_in_words(errors: pd.DataFrame, models: Sequence[str]) -> str:
    """Which of two models' MLP has the lower error where, and where none is better than the constant; in Markdown."""
    lower: dict[str, list[str]] = {name: [] for name in models}
    blind = []
    for (kind, thing), row in errors.iterrows():
        lower[min(models, key=row.__getitem__)].append(f"{thing} {kind}")
        blind += [f"{thing} {kind} with {m} ({row[m]:.0f} against {row.constant:.0f})" for m in models
                  if row[m] >= row.constant]  # fmt: skip
    told = [f"- Lower error with **{name}**: {', '.join(where) or 'nowhere'}." for name, where in lower.items()]
    return "\n".join([*told, f"- No better than the constant, so not read at all: {'; '.join(blind) or 'nowhere'}."])
