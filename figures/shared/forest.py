"""Draws paired differences of methods, with seeds, both intervals, and the numbers beside them.

The measure is the ledger's: the open-loop reward error on the same held-out windows; for online runs, which have none,
the mean of a policy's evaluations, that is, the area under its curve.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analysis.results import comparisons
from analysis.results.measures import DREAMS
from analysis.results.schema import Result
from analysis.results.stats import Interval, known
from figures.shared import marks, style
from hdream_core.support.drawing import Axes, Figure, SubFigure

ROW, AROUND = 0.21, 0.8  # inches
COLUMNS = (8, 92)  # points right of the panel, of the numbers


@dataclass(frozen=True)
class Row:
    """Holds one difference.

    Attributes:
        label: names of the two methods.
        color: of the method.
        seeds: of each seed, NaN where one of the two has none.
        over_seeds: its interval over them.
        over_episodes: its interval over held-out episodes, if it was measured on such.
    """

    label: str
    color: str
    seeds: np.ndarray
    over_seeds: Interval
    over_episodes: Interval | None = None


@dataclass(frozen=True)
class Comparison:
    """Holds the rows of one measure, with its title and label."""

    title: str
    measure: str
    rows: Sequence[Row]


def of_dreams(result: Result, reference: str, judged: bool = False) -> Comparison | None:
    """Compares reward errors of all other methods with the reference's, window by window; None without any.

    Args:
        result: of runs that were evaluated on held-out windows.
        reference: a method; the first, if the result has not got it.
        judged: take the reference's error minus the other's instead.
    """
    methods = result.methods
    if DREAMS not in result.data or len(methods) < 2:
        return None
    judged &= reference in methods
    base = methods.index(reference) if reference in methods else 0
    errors, rows = result.values(DREAMS), []
    for i, method in enumerate(methods):
        gap = (errors[i] - errors[base]) * (-1 if judged else 1)  # (seed, window)
        if i != base and np.isfinite(gap).all(1).any():
            pair = (methods[base], method) if judged else (method, methods[base])
            spans = comparisons.difference(result, DREAMS, *pair)
            rows.append(Row(style.label(method), style.color(method, i), gap.mean(1), *spans))
    name = style.label(methods[base])
    if judged:
        words = f"Reward error of dreams: {name}'s minus the other's", f"left of the line: {name} is better"
    else:
        words = f"Reward error of dreams minus that of {name}", "left of the line: better"
    return Comparison(words[0], f"Difference of squared errors ({words[1]})", rows) if rows else None


def of_area(result: Result, metric: str, pairs: Sequence[tuple[str, str]], judged: bool = False) -> Comparison | None:
    """Compares means over all evaluations with those of references, seed by seed; None if runs are not finished.

    Args:
        result: of runs.
        metric: that policies were evaluated by.
        pairs: of methods and their references.
        judged: take the colours of the references, where all rows are about one method.
    """
    methods = result.methods
    pairs = [pair for pair in pairs if set(pair) <= set(methods)]
    if metric not in result.data or not result.attributes.get("complete", True):
        return None
    area = result.values(metric).mean(-1)  # (method, seed)
    rows = []
    for method, base in pairs:
        i, j = methods.index(method), methods.index(base)
        label = f"{style.label(method)} minus {style.label(base)}"
        if np.isfinite(area[i] - area[j]).any():
            shown = (base, j) if judged else (method, i)
            spans = comparisons.difference(result, comparisons.area(metric), method, base)
            rows.append(Row(label, style.color(*shown), area[i] - area[j], *spans))
    title = f"Mean {metric} over all evaluations, paired by seed"
    return Comparison(title, f"Difference of mean {metric} (right of the line: better)", rows) if rows else None


def height(comparison: Comparison | None) -> float:
    """Returns the height in inches."""
    return ROW * len(comparison.rows) + AROUND if comparison else 0.0


def above(figure: Figure, comparison: Comparison | None, beneath: float) -> Figure | SubFigure:
    """Draws a comparison, if any, at the top of a figure; returns the part below, ``beneath`` inches high."""
    if not comparison:
        return figure
    upper, lower = figure.subfigures(2, 1, height_ratios=(height(comparison), beneath))
    draw(upper.subplots(), comparison)
    return lower


def draw(axes: Axes, comparison: Comparison) -> None:
    """Draws a row for each difference, the first on top."""
    rows = comparison.rows
    episodes = [row.over_episodes for row in rows if row.over_episodes]
    shown = [0.0], *(row.seeds for row in rows), *(span[1:] for span in episodes)
    marks.limit(axes, np.concatenate(shown), "x", spans=[end for row in rows for end in row.over_seeds[1:]])
    axes.axvline(0, color="0.5", linewidth=0.8)
    digits = 2 if max(map(abs, axes.get_xlim())) < 10 else 1
    for at, row in enumerate(rows):
        marks.spread(axes, at, row.seeds, row.over_seeds, row.color, "x", row.over_episodes, aside=-0.27)
        _write(axes, at, short(row.over_seeds, digits), short(row.over_episodes, digits))
    many = max(np.isfinite(row.seeds).sum() for row in rows) > 1
    _write(axes, -0.95, "over seeds" if many else "one seed", "over episodes" if episodes else "")
    axes.set_yticks(range(len(rows)), [row.label for row in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_title(comparison.title, pad=15)
    axes.set_xlabel(comparison.measure)


def _write(axes: Axes, at: float, *cells: str) -> None:
    """A row of numbers right of the panel."""
    for x, text in zip(COLUMNS, cells, strict=True):
        axes.annotate(
            text,
            (1, at),
            (x, 0),
            axes.get_yaxis_transform(),
            textcoords="offset points",
            fontsize=style.small(),
            va="center",
            annotation_clip=False,
        )


def short(span: Interval | None, digits: int) -> str:
    """Formats a difference with its interval in few characters."""
    if not span:
        return ""
    mean = f"{span.mean:+.{digits}f}"
    text = f"{mean} [{span.low:+.{digits}f}, {span.high:+.{digits}f}]" if known(span.low) else mean
    return text.replace("-", "\N{MINUS SIGN}")


def note(comparison: Comparison | None) -> str:
    """Says that intervals are not widened for the number of rows."""
    if not comparison or len(comparison.rows) < 2:
        return ""
    several = max(np.isfinite(row.seeds).sum() for row in comparison.rows) > 1
    found = several or any(row.over_episodes for row in comparison.rows)
    return "Intervals of differences are not widened for the number of rows." if found else ""
