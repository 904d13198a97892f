"""Lists what the methods of a result can be compared by, and computes it for each seed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from analysis.results.schema import Result
from analysis.results.stats import ANY, FIXED, Bounds, bounds_of

POLICIES, DREAMS = ("return", "success"), "window/error"
LOSSES = ("observation", "reward", "dynamics")
OF_FRAMES = ("observation", "swav", "temporal")  # DreamerPro's two stand for the observation loss
BALANCED = (*OF_FRAMES, *LOSSES[1:], "consistency", "value")  # of any agent; the last two are TD-MPC's
ORDERS, SMALLEST = "log10 of L_o / L_r", "least over greatest weight"
LEARNED = "learned over analytic/{}"  # of a loss


class Measure(NamedTuple):
    """Holds the values of a measure.

    Attributes:
        values: ``(method, seed)`` or ``(method, seed, window)``; NaN where missing.
        cluster: ``(window,)``, the episode of each window.
        within: least and greatest possible value.
    """

    values: np.ndarray
    cluster: np.ndarray | None = None
    within: Bounds = ANY


def area(metric: str) -> str:
    """Returns the name of a metric's mean over all evaluations: the area under its curve, for sample efficiency."""
    return f"area/{metric}"


def whole_state(features: str) -> str:
    """Returns the name of a probe's squared distances, added up over all positions (C.4 has one loss)."""
    return f"all positions/{features}"


def moving(features: str) -> str:
    """Returns the name of a probe's mean squared distance over the positions that change, as in Fig. 2c."""
    return f"moving positions/{features}"


def measures(result: Result) -> dict[str, Measure]:
    """Returns the measures of a result that have any value, by name."""
    table = _of_policies(result)
    if DREAMS in result.data:
        table[DREAMS] = Measure(result.values(DREAMS).astype(np.float64), result.values("window/episode"))
    for features in ("posterior", "open_loop"):
        table |= _of_probe(result, features)
    return {name: measure for name, measure in table.items() if np.isfinite(measure.values).any()}


def _of_policies(result: Result) -> dict[str, Measure]:
    table = {}
    for metric in POLICIES:
        if metric in result.data:
            values, within = result.values(metric), bounds_of(metric)
            table[area(metric)] = Measure(values.mean(-1), within=within)
            if (last := last_reached(values)) is not None:
                table[metric] = Measure(values[..., last], within=within)
    return table


def _of_probe(result: Result, features: str) -> dict[str, Measure]:
    axes, values = result.data.get(f"mlp/{features}", ((), np.zeros(0)))
    if axes == ("method", "seed", "episode"):
        return {f"mlp/{features}": Measure(values, np.arange(values.shape[-1]))}
    if axes != ("method", "seed", "probe_seed", "episode", "object"):
        return {}
    errors = values.mean(2).sum(-1)  # mean over fits of the probe
    errors = errors[:, :, np.isfinite(errors).all((0, 1))]
    table = {whole_state(features): Measure(errors, np.arange(errors.shape[-1]))}
    if f"constant/{features}" in result.data:
        change = np.nanmean(result.values(f"constant/{features}"), (0, 1, 2)) > FIXED  # (object,)
        table[moving(features)] = Measure(np.nanmean(values[..., change], (2, 3, 4)), within=(0.0, np.inf))
    return table


def losses_of(result: Result) -> tuple[str, ...]:
    """Returns the losses of a result that balancers are about; those of DreamerV2 before anything is logged."""
    kinds = ("loss", "weight", "gradient_norm")
    known = {loss for kind, _, loss in (name.partition("/") for name in result.data) if kind in kinds}
    return tuple(loss for loss in BALANCED if loss in known) or LOSSES


def of_frames(losses: Sequence[str]) -> tuple[str, ...]:
    """Returns those of some losses that learn frames."""
    return tuple(loss for loss in losses if loss in OF_FRAMES)


def last_reached(values: np.ndarray) -> int | None:
    """Returns the last index of ``(method, seed, step)`` values that every run has reached; None if there is none."""
    reached = np.flatnonzero(np.isfinite(values).all((0, 1)))
    return int(reached[-1]) if len(reached) else None


def logged_last(result: Result) -> dict[str, np.ndarray]:
    """Returns ``(method, seed)`` of each training metric: the mean over the updates since the previous line."""
    if not len(result.axes.get("log_step", ())):
        return {}
    axes = ("method", "seed", "log_step")
    return {name: values[..., -1] for name, (dims, values) in result.data.items() if dims == axes}


def of_losses(result: Result) -> dict[str, np.ndarray]:
    """Returns ``(method, seed)`` of what claims say about losses and weights.

    ``ORDERS`` is the mean of the ratio's logarithm in the second half of training: a claim about orders of magnitude is
    about logarithms, and single small reward losses do not change it much.
    """
    last, table = logged_last(result), {}
    with np.errstate(all="ignore"):
        if {"loss/observation", "loss/reward"} <= set(last):
            late = result.axes["log_step"] > result.axes["log_step"][-1] / 2
            orders = np.log10(result.values("loss/observation") / result.values("loss/reward"))[..., late]
            finite = np.isfinite(orders)
            mean = np.where(finite, orders, 0).sum(-1) / np.maximum(finite.sum(-1), 1)
            complete = finite.any(-1).all(-1, keepdims=True)  # (method, 1): every seed has logged a ratio
            table[ORDERS] = np.where(complete, mean, np.nan)
        for loss in BALANCED:
            if f"analytic_weight/{loss}" in last and f"weight/{loss}" in last:
                table[LEARNED.format(loss)] = last[f"weight/{loss}"] / last[f"analytic_weight/{loss}"]
    return table
