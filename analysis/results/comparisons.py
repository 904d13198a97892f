"""Intervals of what methods have and of how they differ, computed where a result is made and stored in its notes.

Summaries, judges and figures read them through ``mean_of``, ``difference`` and their like. A file that was written
before they were stored has them computed from its arrays, by the same code.

Tables of the notes, each by measure and method, the last three by a second method, too:

- ``means``: what each method has;
- ``ends``: what its runs logged last, and what claims say of it;
- ``differences``: the method minus the other, paired by seed, and by window where both dreamed of the same;
- ``corrected``: the same of each larger reward weight and w_r = 1, at Bonferroni's level for their number;
- ``ratios``: the method over the other, of what was logged last.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import permutations
from typing import Any, NamedTuple

import numpy as np

from analysis.results.schema import Result
from analysis.results.stats import (
    ANY,
    FIXED,
    OVER_EPISODES,
    OVER_SEEDS,
    Bounds,
    Interval,
    bounds_of,
    cluster_interval,
    read_interval,
    seed_interval,
    variance_ratio,
)

LEVEL = 0.95
ORIGINAL = "w_r=1"
POLICIES, DREAMS = ("return", "success"), "window/error"
LOSSES = ("observation", "reward", "dynamics")
ORDERS, SMALLEST = "log10 of L_o / L_r", "least over greatest weight"
LEARNED = "learned over analytic/{}"  # of a loss
Table = dict[str, Any]


class Measure(NamedTuple):
    """What methods are compared by.

    Attributes:
        values: ``(method, seed)``, or ``(method, seed, window)``; NaN where missing.
        cluster: ``(window,)``, the episode of each window.
        within: least and greatest value.
    """

    values: np.ndarray
    cluster: np.ndarray | None = None
    within: Bounds = ANY


def area(metric: str) -> str:
    """Returns the measure of sample efficiency: a metric's mean over all evaluations, the area under its curve."""
    return f"area/{metric}"


def whole_state(features: str) -> str:
    """Returns the measure of a probe: its squared distances, added up over all positions (C.4 has one loss)."""
    return f"all positions/{features}"


def moving(features: str) -> str:
    """Returns the measure of a probe over positions that change alone: its mean squared distance, as Fig. 2c's."""
    return f"moving positions/{features}"


def measures(result: Result) -> dict[str, Measure]:
    """Returns what the methods of a result can be compared by."""
    found = {}
    for metric in POLICIES:
        if metric in result.data:
            values, within = result.values(metric), bounds_of(metric)
            found[area(metric)] = Measure(values.mean(-1), within=within)
            if len(reached := np.flatnonzero(np.isfinite(values).all((0, 1)))):
                found[metric] = Measure(values[..., reached[-1]], within=within)  # where all runs have come
    if DREAMS in result.data:
        found[DREAMS] = Measure(result.values(DREAMS).astype(np.float64), result.values("window/episode"))
    for features in ("posterior", "open_loop"):
        axes, values = result.data.get(f"mlp/{features}", ((), np.zeros(0)))
        if axes == ("method", "seed", "episode"):
            found[f"mlp/{features}"] = Measure(values, np.arange(values.shape[-1]))
        elif axes == ("method", "seed", "probe_seed", "episode", "object"):
            errors = values.mean(2).sum(-1)  # over fits of the probe
            errors = errors[:, :, np.isfinite(errors).all((0, 1))]
            found[whole_state(features)] = Measure(errors, np.arange(errors.shape[-1]))
            if f"constant/{features}" in result.data:
                change = np.nanmean(result.values(f"constant/{features}"), (0, 1, 2)) > FIXED  # (object,)
                found[moving(features)] = Measure(np.nanmean(values[..., change], (2, 3, 4)), within=(0.0, np.inf))
    return {name: measure for name, measure in found.items() if np.isfinite(measure.values).any()}


def means(result: Result) -> Table:
    """Returns the interval over seeds of what each method has, by measure."""
    found = {}
    for name, (values, cluster, within) in measures(result).items():
        found[name] = (values if cluster is None else values.mean(-1), within)
    return _by_method(result, found)


def ends(result: Result) -> Table:
    """Returns the same of what runs logged last, and of what claims say of it (Sec. 2.3, App. B, D.2)."""
    last = _logged_last(result)
    table = _by_method(result, {name: (values, ANY) for name, values in (last | _of_losses(result)).items()})
    if all(f"weight/{loss}" in last for loss in LOSSES):
        weights = np.stack([last[f"weight/{loss}"] for loss in LOSSES])  # (loss, method, seed)
        spans = [_times(*pair)._asdict() for pair in zip(weights.min(0), weights.max(0), strict=True)]
        table[SMALLEST] = dict(zip(_methods(result), spans, strict=True))
    return table


def differences(result: Result) -> Table:
    """Returns the intervals of each method minus each other, by measure."""
    words = {"interval": OVER_SEEDS, "interval_over_episodes": OVER_EPISODES}
    return _pairs(result, [*permutations(_methods(result), 2)], LEVEL) | words


def corrected(result: Result) -> Table:
    """Returns those of every reward weight above 1 and w_r = 1, all of which hold together with 95 % confidence."""
    weights = larger_weights(result)
    level = corrected_level(result)
    at = f"{100 * level:.4g} %, Bonferroni's level for {len(weights)} weights"
    known = [(weight, ORIGINAL) for weight in weights if ORIGINAL in _methods(result)]
    words = {"interval": OVER_SEEDS.replace("95 %", at), "interval_over_episodes": OVER_EPISODES.replace("95 %", at)}
    return _pairs(result, known, level) | words


def ratios(result: Result) -> Table:
    """Returns how many times as large as another's is what a method logged last, and how its seeds vary."""
    methods = _methods(result)
    table: Table = {"interval": "Student t over training seeds, of logarithms, 95 %; of variances: F, 95 %"}
    for name, values in _logged_last(result).items():
        if name.partition("/")[0] in ("loss", "weight") and name.partition("/")[2] in LOSSES:
            rows = dict(zip(methods, values, strict=True))
            table[name] = _nested(
                permutations(methods, 2), lambda one, other, rows=rows: _times(rows[one], rows[other])._asdict()
            )
    for name, measure in measures(result).items():
        if name.startswith(area("")):
            rows = dict(zip(methods, measure.values, strict=True))
            table[f"variance/{name}"] = _nested(
                permutations(methods, 2), lambda one, other, rows=rows: variance_ratio(rows[one], rows[other])._asdict()
            )
    return table


TABLES: Mapping[str, Callable[[Result], Table]] = {
    "means": means,
    "ends": ends,
    "differences": differences,
    "corrected": corrected,
    "ratios": ratios,
}


def add(result: Result) -> Result:
    """Stores all tables in a result's notes; returns the result."""
    result.notes |= {name: table(result) for name, table in TABLES.items()}
    return result


def has(result: Result, measure: str) -> bool:
    """Returns whether a result's methods are compared by a measure."""
    return measure in _stored(result, "means")


def mean_of(result: Result, measure: str, method: str) -> Interval:
    """Returns the interval over seeds of what a method has."""
    return read_interval(_stored(result, "means")[measure][method])


def end_of(result: Result, name: str, method: str) -> Interval | None:
    """Returns the interval over seeds of what a method's runs logged last; None where they did not log it."""
    found = _stored(result, "ends").get(name, {}).get(method)
    return None if found is None else read_interval(found)


def difference(result: Result, measure: str, method: str, other: str, correct: bool = False) -> list[Interval]:
    """Returns the intervals of a method minus another, over seeds and, where there is one, over episodes.

    Args:
        result: that has both.
        measure: of ``measures``.
        method, other: which.
        correct: whether for the number of reward weights.
    """
    found = _stored(result, "corrected" if correct else "differences")[measure][method][other]
    return [read_interval(found[f"over_{over}"]) for over in ("seeds", "episodes") if f"over_{over}" in found]


def ratio(result: Result, name: str, method: str, other: str) -> Interval:
    """Returns the interval of a ratio of ``ratios``."""
    return read_interval(_stored(result, "ratios")[name][method][other])


def larger_weights(result: Result) -> list[str]:
    """Returns the methods that are DreamerV2 with a reward weight above 1."""
    return [name for name in _methods(result) if name.startswith("w_r=") and float(name[4:]) > 1]


def corrected_level(result: Result) -> float:
    """Returns Bonferroni's level for the number of larger reward weights in a result."""
    return 1 - (1 - LEVEL) / max(len(larger_weights(result)), 1)


def _stored(result: Result, table: str) -> Table:
    return result.notes[table] if table in result.notes else TABLES[table](result)


def _methods(result: Result) -> list[str]:
    return [str(method) for method in result.axes["method"]]


def _by_method(result: Result, found: Mapping[str, tuple[np.ndarray, Bounds]]) -> Table:
    table: Table = {"interval": OVER_SEEDS}
    for name, (values, within) in found.items():
        spans = [seed_interval(one, within=within)._asdict() for one in values]
        table[name] = dict(zip(_methods(result), spans, strict=True))
    return table


def _nested(pairs: Any, of: Callable[[str, str], Table]) -> Table:
    table: Table = {}
    for one, other in pairs:
        table.setdefault(one, {})[other] = of(one, other)
    return table


def _pairs(result: Result, pairs: list[tuple[str, str]], level: float) -> Table:
    table: Table = {}
    for name, measure in measures(result).items():
        rows = dict(zip(_methods(result), measure.values, strict=True))
        found: dict[tuple[str, str], Table] = {}
        for one, other in pairs:
            back = found.get((other, one))
            found[one, other] = _negated(back) if back else _difference(rows[one] - rows[other], measure.cluster, level)
        table[name] = _nested(pairs, lambda one, other, found=found: found[one, other])
    return table


def _difference(gap: np.ndarray, cluster: np.ndarray | None, level: float) -> Table:
    """Both intervals of paired values ``(seed,)`` or ``(seed, window)``."""
    if cluster is None:
        return {"over_seeds": seed_interval(gap, level)._asdict()}
    spans = {"over_seeds": seed_interval(gap.mean(1), level)._asdict()}
    if len(whole := gap[np.isfinite(gap).all(1)]):
        spans["over_episodes"] = cluster_interval(whole.mean(0), cluster, level)._asdict()
    return spans


def _negated(spans: Table) -> Table:
    return {over: {"mean": -s["mean"], "low": -s["high"], "high": -s["low"]} for over, s in spans.items()}


def _times(values: np.ndarray, reference: np.ndarray) -> Interval:
    """The ratio of two methods' values ``(seed,)``, compared as logarithms."""
    with np.errstate(all="ignore"):
        return Interval(*np.exp(seed_interval(np.log(values / reference))))


def _logged_last(result: Result) -> dict[str, np.ndarray]:
    """``(method, seed)`` of each training metric: a mean over the updates since the line of the log before."""
    if not len(result.axes.get("log_step", ())):
        return {}
    axes = ("method", "seed", "log_step")
    return {name: values[..., -1] for name, (dims, values) in result.data.items() if dims == axes}


def _of_losses(result: Result) -> dict[str, np.ndarray]:
    """``(method, seed)`` of what claims say of losses and weights.

    The first is the mean of the ratio's logarithm in the second half of training: a claim about orders of magnitude is
    about logarithms, and single small reward losses do not make it.
    """
    last, found = _logged_last(result), {}
    with np.errstate(all="ignore"):
        if last and {"loss/observation", "loss/reward"} <= set(last):
            late = result.axes["log_step"] > result.axes["log_step"][-1] / 2
            orders = np.log10(result.values("loss/observation") / result.values("loss/reward"))[..., late]
            known = np.isfinite(orders)
            total = np.where(known, orders, 0).sum(-1)
            every = known.any(-1).all(-1, keepdims=True)  # seed of a method
            found[ORDERS] = np.where(every, total / np.maximum(known.sum(-1), 1), np.nan)
        for loss in LOSSES:
            if f"analytic_weight/{loss}" in last and f"weight/{loss}" in last:
                found[LEARNED.format(loss)] = last[f"weight/{loss}"] / last[f"analytic_weight/{loss}"]
    return found
