"""Reads positions off the features of two models, and computes their errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import pandas as pd

from analysis.models.probes import ConstantProbe, LinearProbe, MLPProbe, ProbeConfig
from analysis.models.representation import KINDS, features, read_off
from analysis.models.representation import positions_of as true_positions
from analysis.models.segments import CONTEXT, Segments
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
    """Returns positions that probes read off features of stretches that they were not fitted on (C.4).

    Their errors are those of ``representation.regress``. Each kind of features has probes of its own.

    Args:
        agent: whose features are read.
        windows: that do not overlap, of some stretches.
        config: of the MLP.
        folds: of the stretches.
        context: frames seen before the open-loop features.
        probes: to fit.
        samples: of the latents; the study has one.

    Returns:
        By probe, kind of features and object, ``(N, T, d)`` in centimetres (pixels on the miniature); for open-loop
        features ``(N, T - context, d)``.
    """
    drawn, truth = [features(agent, windows, context, seed) for seed in range(samples)], true_positions(windows)
    target = np.concatenate(list(truth.values()), -1)
    ends = np.cumsum([values.shape[-1] for values in truth.values()])[:-1]
    fits = {"mlp": partial(MLPProbe, config=config, seed=0), "linear": LinearProbe, "constant": ConstantProbe}
    read: Read = {probe: {} for probe in probes}
    for kind in KINDS:
        x, y = np.stack([getattr(one, kind) for one in drawn]), target if kind == "posterior" else target[:, context:]
        for probe, values in read_off(x, y, windows, folds, {probe: fits[probe] for probe in probes}).items():
            read[probe][kind] = dict(zip(truth, np.split(values, ends, -1), strict=True))
    return read


def probe_errors(read: Mapping[str, Read], windows: Segments, context: int = CONTEXT) -> pd.DataFrame:
    """Returns the mean squared distance by kind of features and object, over the steps from ``context`` on.

    Args:
        read: by model.
        windows: whose positions were read.
        context: frames seen before the open-loop features.

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
    """Says in Markdown which model's MLP has the lower error, and where it is no better than the constant."""
    lower: dict[str, list[str]] = {name: [] for name in models}
    blind = []
    for (kind, thing), row in errors.iterrows():
        lower[min(models, key=row.__getitem__)].append(f"{thing} {kind}")
        blind += [f"{thing} {kind} with {m} ({row[m]:.0f} against {row.constant:.0f})" for m in models
                  if row[m] >= row.constant]  # fmt: skip
    lines = [f"- Lower error with **{name}**: {', '.join(where) or 'nowhere'}." for name, where in lower.items()]
    return "\n".join([*lines, f"- No better than the constant, so not read at all: {'; '.join(blind) or 'nowhere'}."])
