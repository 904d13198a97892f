"""Computes intervals of methods and of their differences. A result stores them in its notes when it is made.

Summaries, judges and figures read them through ``mean_of``, ``difference`` and the functions beside them. For a file
that was written before intervals were stored, the same code computes them from its arrays.

The notes have these tables, by measure and method; the last three also by a second method:

- ``means``: the value of each method;
- ``ends``: what its runs logged last, and what claims say about it;
- ``differences``: the method minus the other, paired by seed, and by window if both were measured on the same windows;
- ``corrected``: the same for each larger reward weight and w_r = 1, at Bonferroni's level for their number;
- ``ratios``: the method over the other, of what was logged last;
- ``extra_gains``: where methods were also run without distraction, what one gains on the first with it, minus without.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import permutations
from typing import Any

import numpy as np

from analysis.results.measures import (
    BALANCED,
    SMALLEST,
    area,
    last_reached,
    logged_last,
    losses_of,
    measures,
    of_losses,
)
from analysis.results.schema import Result
from analysis.results.stats import (
    ANY,
    OVER_EPISODES,
    OVER_SEEDS,
    Bounds,
    Interval,
    both_intervals,
    bounds_of,
    cluster_interval,
    read_interval,
    seed_interval,
    variance_ratio,
)

LEVEL = 0.95
ORIGINAL = "w_r=1"
PLAIN = "vary=none,"  # begins the name of a method's runs without distraction
Table = dict[str, Any]
Pairs = Sequence[tuple[str, str]]


def by_method(result: Result, values: np.ndarray, within: Bounds = ANY) -> Table:
    """Returns the interval over seeds for each method, from values ``(method, seed)``."""
    return {m: seed_interval(row, within=within)._asdict() for m, row in zip(result.methods, values, strict=True)}


def beside_first(
    result: Result, values: np.ndarray, episode: np.ndarray, within: Bounds = ANY, weight: np.ndarray | None = None
) -> Table:
    """Returns, for each method, both intervals of its value and of its difference to the first method.

    Args:
        result: whose methods they are.
        values: ``(method, seed, window)``.
        episode: ``(window,)``.
        within: least and greatest possible value.
        weight: ``(window,)``; None counts windows alike.
    """
    span = within[1] - within[0]
    return {
        method: both_intervals(row, episode, "", within, weight)
        | both_intervals(row - values[0], episode, "paired_", (-span, span), weight)
        for method, row in zip(result.methods, values, strict=True)
    }


def final_intervals(result: Result) -> Table:
    """Returns the intervals over seeds of each evaluation metric, at the last step that every run has reached."""
    table: Table = {"interval": "Student t over seeds, 95 %"}
    for name, (axes, values) in result.data.items():
        if axes == ("method", "seed", "step") and (last := last_reached(values)) is not None:
            step = int(result.axes["step"][last])
            table[name] = {"step": step, **by_method(result, values[..., last], bounds_of(name))}
    return table


def means(result: Result) -> Table:
    """Returns the interval over seeds of each measure, by method."""
    table: Table = {"interval": OVER_SEEDS}
    for name, (values, cluster, within) in measures(result).items():
        table[name] = by_method(result, values if cluster is None else values.mean(-1), within)
    return table


def ends(result: Result) -> Table:
    """Returns the interval over seeds of what runs logged last, and of what claims say about it (Sec. 2.3, App. B)."""
    last = logged_last(result)
    table: Table = {"interval": OVER_SEEDS}
    table |= {name: by_method(result, values) for name, values in (last | of_losses(result)).items()}
    losses = losses_of(result)
    if all(f"weight/{loss}" in last for loss in losses):
        weights = np.stack([last[f"weight/{loss}"] for loss in losses], 1)  # (method, loss, seed)
        pairs = zip(result.methods, weights.min(1), weights.max(1), strict=True)
        table[SMALLEST] = {method: _ratio_interval(low, high) for method, low, high in pairs}
    return table


def differences(result: Result) -> Table:
    """Returns the intervals of each method minus each other method, by measure."""
    words = {"interval": OVER_SEEDS, "interval_over_episodes": OVER_EPISODES}
    return _differences(result, [*permutations(result.methods, 2)], LEVEL) | words


def corrected(result: Result) -> Table:
    """Returns the intervals of every reward weight above 1 minus w_r = 1, which together hold with 95 % confidence."""
    weights, level = larger_weights(result), corrected_level(result)
    at = f"{100 * level:.4g} %, Bonferroni's level for {len(weights)} weights"
    pairs = [(weight, ORIGINAL) for weight in weights if ORIGINAL in result.methods]
    words = {"interval": OVER_SEEDS.replace("95 %", at), "interval_over_episodes": OVER_EPISODES.replace("95 %", at)}
    return _differences(result, pairs, level) | words


def ratios(result: Result) -> Table:
    """Returns the ratio of two methods, for each loss and weight logged last and for the variances over seeds."""
    table: Table = {"interval": "Student t over training seeds, of logarithms, 95 %; of variances: F, 95 %"}
    pairs = [*permutations(result.methods, 2)]
    for name, values in logged_last(result).items():
        if name.partition("/")[0] in ("loss", "weight") and name.partition("/")[2] in BALANCED:
            rows = dict(zip(result.methods, values, strict=True))
            table[name] = _nested({pair: _ratio_interval(*(rows[m] for m in pair)) for pair in pairs})
    for name, measure in measures(result).items():
        if name.startswith(area("")):
            rows = dict(zip(result.methods, measure.values, strict=True))
            spreads = {pair: variance_ratio(*(rows[m] for m in pair))._asdict() for pair in pairs}
            table[f"variance/{name}"] = _nested(spreads)
    return table


def extra_gains(result: Result) -> Table:
    """Returns how much more each method gains on the first with distraction than without it, seed by seed."""
    first, table = result.methods[0], {}
    with_both = [method for method in result.methods[1:] if {PLAIN + method, PLAIN + first} <= set(result.methods)]
    for name, measure in measures(result).items() if with_both else ():
        if measure.cluster is None:
            rows = dict(zip(result.methods, measure.values, strict=True))
            gaps = {m: rows[m] - rows[first] - rows[PLAIN + m] + rows[PLAIN + first] for m in with_both}
            table[name] = {method: seed_interval(gap)._asdict() for method, gap in gaps.items()}
    return table | {"interval": OVER_SEEDS} if table else {}


TABLES: Mapping[str, Callable[[Result], Table]] = {
    "means": means,
    "ends": ends,
    "differences": differences,
    "corrected": corrected,
    "ratios": ratios,
    "extra_gains": extra_gains,
}


def add(result: Result) -> Result:
    """Stores all tables in a result's notes; returns the result."""
    tables = {name: table(result) for name, table in TABLES.items()}
    result.notes |= {name: table for name, table in tables.items() if table}
    return result


def has(result: Result, measure: str) -> bool:
    """Returns whether a result has a measure."""
    return measure in _stored(result, "means")


def mean_of(result: Result, measure: str, method: str) -> Interval:
    """Returns the interval over seeds of a method's value."""
    return read_interval(_stored(result, "means")[measure][method])


def end_of(result: Result, name: str, method: str) -> Interval | None:
    """Returns the interval over seeds of what a method's runs logged last; None if they did not log it."""
    interval = _stored(result, "ends").get(name, {}).get(method)
    return None if interval is None else read_interval(interval)


def difference(result: Result, measure: str, method: str, other: str, correct: bool = False) -> list[Interval]:
    """Returns the intervals of a method minus another: over seeds and, if there is one, over episodes.

    Args:
        result: that has both methods.
        measure: one of ``measures``.
        method, other: the two methods.
        correct: widen the intervals for the number of reward weights.
    """
    row = _stored(result, "corrected" if correct else "differences")[measure][method][other]
    return [read_interval(row[f"over_{over}"]) for over in ("seeds", "episodes") if f"over_{over}" in row]


def ratio(result: Result, name: str, method: str, other: str) -> Interval:
    """Returns the interval of one of the ``ratios``."""
    return read_interval(_stored(result, "ratios")[name][method][other])


def extra_gain(result: Result, measure: str, method: str) -> Interval | None:
    """Returns what a method gains with distraction minus without it; None if it was not run without."""
    row = _stored(result, "extra_gains").get(measure, {}).get(method)
    return None if row is None else read_interval(row)


def larger_weights(result: Result) -> list[str]:
    """Returns the methods that are DreamerV2 with a reward weight above 1."""
    return [name for name in result.methods if name.startswith("w_r=") and float(name[4:]) > 1]


def corrected_level(result: Result) -> float:
    """Returns Bonferroni's level for the number of larger reward weights in a result."""
    return 1 - (1 - LEVEL) / max(len(larger_weights(result)), 1)


def _stored(result: Result, table: str) -> Table:
    return result.notes[table] if table in result.notes else TABLES[table](result)


def _nested(table: Mapping[tuple[str, str], Table]) -> Table:
    """Turns a table by pairs of methods into one by method and other method."""
    nested: Table = {}
    for (method, other), row in table.items():
        nested.setdefault(method, {})[other] = row
    return nested


def _differences(result: Result, pairs: Pairs, level: float) -> Table:
    table: Table = {}
    for name, measure in measures(result).items():
        rows = dict(zip(result.methods, measure.values, strict=True))
        known: dict[tuple[str, str], Table] = {}
        for method, other in pairs:
            if back := known.get((other, method)):
                known[method, other] = {over: _negated(interval) for over, interval in back.items()}
            else:
                known[method, other] = _difference(rows[method] - rows[other], measure.cluster, level)
        table[name] = _nested(known)
    return table


def _difference(gap: np.ndarray, cluster: np.ndarray | None, level: float) -> Table:
    """Returns both intervals of paired values ``(seed,)`` or ``(seed, window)``."""
    if cluster is None:
        return {"over_seeds": seed_interval(gap, level)._asdict()}
    row = {"over_seeds": seed_interval(gap.mean(1), level)._asdict()}
    if len(whole := gap[np.isfinite(gap).all(1)]):
        row["over_episodes"] = cluster_interval(whole.mean(0), cluster, level)._asdict()
    return row


def _negated(interval: Table) -> Table:
    return {"mean": -interval["mean"], "low": -interval["high"], "high": -interval["low"]}


def _ratio_interval(values: np.ndarray, reference: np.ndarray) -> Table:
    """Returns the interval of a ratio of values ``(seed,)``, which are compared as logarithms."""
    with np.errstate(all="ignore"):
        return Interval(*np.exp(seed_interval(np.log(values / reference))))._asdict()
