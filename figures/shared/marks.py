"""Draws means, seeds and intervals in panels. The data, not the intervals, set the limits of an axis.

Intervals of three seeds are wide. An interval that reaches far beyond the means and seeds is cut at the edge of the
panel, with an arrow.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from analysis.results.schema import Result
from analysis.results.stats import Interval, known, seed_interval
from figures.shared import style, words
from hdream_core.support.drawing import (
    Axes,
    Collection,
    Figure,
    FuncFormatter,
    Line2D,
    LogLocator,
    MaxNLocator,
    NullFormatter,
    SubFigure,
)

FEW_SEEDS = 5  # up to so many are drawn one by one
GROUP = 0.8  # width of a group of points
ROOM, FAR = 0.07, 0.5  # shares of an axis: left free at both ends; that intervals may add at each
OVER_SEEDS = "95 % intervals over seeds (Student t)"
OVER_EPISODES = "over held-out episodes (bootstrap)"
# Labels of marks, hidden in legends; a caption explains the marks that are drawn.
SEED, SEEDS_LINE, BAND, BAR = "_seed", "_seed's line", "_band", "_bar"
THIN, WIDE, ARROW = "_thin", "_wide", "_arrow"


def limit(axes: Axes, values: np.ndarray, along: str = "y", log: bool = False, spans: Sequence[float] = ()) -> None:
    """Sets scale and limits of an axis by its data, before anything is drawn.

    Args:
        axes: to change.
        values: means and seeds.
        along: ``x`` or ``y``.
        log: whether the axis is logarithmic.
        spans: ends of intervals, for which the axis grows by a limited amount.
    """
    shown = np.asarray(values, np.float64)
    shown = shown[np.isfinite(shown) & ((shown > 0) | (not log))]
    if not len(shown):
        return
    low, high = np.log([shown.min(), shown.max()]) if log else (shown.min(), shown.max())
    ends = np.asarray(spans, np.float64)
    ends = ends[np.isfinite(ends) & ((ends > 0) | (not log))]
    ends = np.clip(np.log(ends) if log else ends, low - FAR * (high - low), high + FAR * (high - low))
    low, high = min(low, ends.min(initial=low)), max(high, ends.max(initial=high))
    room = ROOM * (high - low) or (0.1 if log else 0.1 * abs(high) or 0.1)
    edges = np.array([low - room, high + room])
    getattr(axes, f"set_{along}lim")(*(np.exp(edges) if log else edges))
    if log:
        plain_log(axes, along)


def ends(spans: Iterable[Interval]) -> list[float]:
    """Returns the ends of intervals."""
    return [end for span in spans for end in span[1:]]


def plain_log(axes: Axes, along: str = "y") -> None:
    """Makes an axis logarithmic with plain numbers at its ticks, and more ticks on a short axis."""
    ends = getattr(axes, f"get_{along}lim")()
    getattr(axes, f"set_{along}scale")("log")
    getattr(axes, f"set_{along}lim")(*ends)
    span = ends[1] / ends[0]
    subs = (1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9) if span < 3 else (1, 2, 3, 5, 7) if span < 20 else (1, 3)
    axis = getattr(axes, f"{along}axis")
    axis.set_major_locator(LogLocator(subs=subs if span < 1e3 else (1,), numticks=10))
    axis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
    axis.set_minor_formatter(NullFormatter())


def whisker(axes: Axes, at: float, span: Interval, color: str, along: str = "y", **line: Any) -> None:
    """Draws an interval, cut at the limits of the axis, which must be set."""
    if not known(span.low):
        return
    low, high = getattr(axes, f"get_{along}lim")()
    ends = np.clip((span.low, span.high), low, high)
    place = (ends, (at, at)) if along == "x" else ((at, at), ends)
    wide = line.get("linewidth", 1) > 2
    axes.plot(*place, color=color, solid_capstyle="butt", **{"label": WIDE if wide else THIN} | line)
    if wide:
        return
    for end, beyond, mark in ((low, span.low < low, "<v"), (high, span.high > high, ">^")):
        if beyond:
            tip = (end, at) if along == "x" else (at, end)
            dress = {"color": color, "markersize": 3.5, "markeredgewidth": 0, "clip_on": False, "label": ARROW}
            axes.plot(*tip, mark["xy".index(along)], **dress)


def spread(
    axes: Axes,
    at: float,
    seeds: np.ndarray,
    span: Interval,
    color: str,
    along: str = "y",
    over_episodes: Interval | None = None,
    aside: float = 0.0,
) -> None:
    """Draws the mean, the seeds and the intervals of a measure at a position of the other axis.

    Args:
        axes: to draw on; the limits must be set.
        at: the position.
        seeds: ``(seed,)``, NaN where missing.
        span: its interval over them.
        color: of all marks.
        along: the axis of the measure.
        over_episodes: interval over held-out episodes, where there is one.
        aside: distance of the seeds from the mean, along the other axis.
    """
    found = seeds[np.isfinite(seeds)]
    if not len(found):
        return
    if over_episodes:
        whisker(axes, at, over_episodes, color, along, linewidth=5, alpha=0.3)
    whisker(axes, at, span, color, along, linewidth=1)
    for value, place, size in ((span.mean, at, 4.5), *((seed, at + aside, 2.2) for seed in found if len(found) > 1)):
        point = (value, place) if along == "x" else (place, value)
        dress = {"alpha": 1} if size > 3 else {"alpha": 0.7, "label": SEED}
        axes.plot(*point, "o", color=color, markersize=size, markeredgewidth=0, **dress)


def note(figure: Figure | SubFigure) -> str:
    """Explains the means, seeds and intervals that are drawn in a figure."""
    drawn = {artist.get_label() for artist in figure.findobj(Line2D) + figure.findobj(Collection)}
    arrow = "; an arrow: it goes on" if ARROW in drawn else ""
    sides = {
        SEED: "Large dots: means over seeds; small dots: seeds.",
        THIN: f"Thin lines beside dots: {OVER_SEEDS}{arrow}.",
        WIDE: f"Wide lines: 95 % intervals {OVER_EPISODES}.",
        BAR: f"Lines on bars: {OVER_SEEDS}{arrow}.",
        SEEDS_LINE: "Curves: means over seeds; thin curves: seeds.",
        BAND: "Curves: means over seeds; bands: 95 % intervals over seeds.",
    }
    return " ".join(text for mark, text in sides.items() if mark in drawn)


def points(
    axes: Axes, result: Result, values: np.ndarray, spans: Sequence[Sequence[Interval]], groups: Sequence[str]
) -> None:
    """Draws groups of points, one for each method, on an axis whose limits are set.

    Args:
        axes: to draw on.
        result: that has the methods.
        values: ``(method, seed, group)``, NaN where missing.
        spans: intervals over seeds, for each method and group.
        groups: names of the groups.
    """
    for i, method in enumerate(result.methods):
        for j, at in enumerate(beside(i, len(values), len(groups))):
            aside = 0.25 * GROUP / len(values)
            spread(axes, at, values[i, :, j], spans[i][j], style.color(method, i), aside=aside)
    axes.set_xticks(range(len(groups)), groups)
    axes.set_xlim(-0.55, len(groups) - 0.45)


def methods(axes: Axes, result: Result, values: np.ndarray, spans: Sequence[Interval]) -> None:
    """Draws ``(method, seed)`` values with intervals, side by side, on axes whose limits are set."""
    names = result.methods
    for i, method in enumerate(names):
        spread(axes, i, values[i], spans[i], style.color(method, i), aside=0.12)
    axes.set_xticks(range(len(names)), [style.label(method).replace(", ", "\n") for method in names])
    axes.set_xlim(-0.5, len(names) - 0.5)


def beside(i: int, many: int, groups: int) -> np.ndarray:
    """Returns the positions of the ``i``-th of many points in each group."""
    return np.arange(groups) + (i - (many - 1) / 2) * GROUP / many


def mean(values: np.ndarray) -> np.ndarray:
    """Returns the mean over seeds, the first axis; NaN without a value."""
    known = np.isfinite(values)
    return np.where(known.any(0), np.where(known, values, 0).sum(0) / np.maximum(known.sum(0), 1), np.nan)


def curve(
    axes: Axes, steps: np.ndarray, values: np.ndarray, color: str, dash: str | tuple = "-", width: float = 1.5
) -> None:
    """Draws the mean of ``(seed, step)`` values over steps, and few seeds as thin lines or many as a band."""
    seen = np.isfinite(values).any(0)
    if not seen.any():
        return
    spans = np.array([seed_interval(values[:, t]) for t in np.flatnonzero(seen)])  # (steps, 3)
    axes.plot(steps[seen], spans[:, 0], color=color, linestyle=dash, linewidth=width)
    if len(values) > FEW_SEEDS:
        axes.fill_between(steps[seen], spans[:, 1], spans[:, 2], color=color, alpha=0.15, linewidth=0, label=BAND)
    elif len(values) > 1:
        for seed in values:
            axes.plot(steps, seed, color=color, linewidth=0.5, alpha=0.6, label=SEEDS_LINE)


def steps_axis(axes: Axes, result: Result, room: float = 0.0) -> None:
    """Sets an x-axis in environment steps; offline, updates drive this clock.

    Args:
        axes: to change.
        result: whose runs are drawn, up to their end or to the last step reached.
        room: share of the axis that is left free at both ends.
    """
    last = max(words.shown(result), 1)
    axes.set_xlim(-room * last, (1 + room) * last)
    offline = result.attributes.get("mode") == "offline"
    axes.set_xlabel("Steps (offline: clock)" if offline else "Environment steps")
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=(1, 2, 5, 10)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))
