"""What panels are drawn with: means, seeds and intervals, on axes whose limits the data set and not the intervals.

Intervals of three seeds are wide: one that reaches far beyond the means and seeds that an axis shows is cut at the
edge, and an arrow says so.
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

FEW_SEEDS = 5  # so many are drawn each
GROUP = 0.8  # width of a group of points
ROOM, FAR = 0.07, 0.5  # shares of an axis: left free at both ends; that intervals may add at each
OVER_SEEDS = "95 % intervals over seeds (Student t)"
OVER_EPISODES = "over held-out episodes (bootstrap)"
# Labels of what is drawn, which no legend shows: a caption explains these marks alone.
SEED, SEEDS_LINE, BAND, BAR = "_seed", "_seed's line", "_band", "_bar"
THIN, WIDE, ARROW = "_thin", "_wide", "_arrow"


def limit(axes: Axes, values: np.ndarray, along: str = "y", log: bool = False, spans: Sequence[float] = ()) -> None:
    """Sets scale and limits of an axis by the data that it is to show, before anything is drawn.

    Args:
        axes: to change.
        values: means and seeds.
        along: which axis.
        log: whether it is logarithmic.
        spans: ends of intervals, for which it grows a little, but not far.
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
    """Ends of intervals."""
    return [end for span in spans for end in span[1:]]


def plain_log(axes: Axes, along: str = "y") -> None:
    """A logarithmic axis with plain numbers at its ticks, which are enough where it spans little."""
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
    """An interval, cut where it leaves the axis; the limits must have been set."""
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
    """A measure of several seeds at a place of the other axis: mean, seeds, and intervals over seeds and episodes.

    Args:
        axes: to draw on; the limits must have been set.
        at: where.
        seeds: ``(seed,)``, NaN where missing.
        span: its interval over them.
        color: of all of it.
        along: the axis of the measure.
        over_episodes: interval over held-out episodes, where there is one.
        aside: how far beside the mean the seeds are drawn.
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
    """How to read the means, seeds and intervals that a figure's panels have; nothing of marks that are not there."""
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
    """Groups of points, one a method, on an axis whose limits have been set.

    Args:
        axes: to draw on.
        result: whose methods they are.
        values: ``(method, seed, group)``, NaN where missing.
        spans: intervals over seeds, for each method and group.
        groups: their names.
    """
    for i, method in enumerate(result.methods):
        for j, at in enumerate(beside(i, len(values), len(groups))):
            aside = 0.25 * GROUP / len(values)
            spread(axes, at, values[i, :, j], spans[i][j], style.color(method, i), aside=aside)
    axes.set_xticks(range(len(groups)), groups)
    axes.set_xlim(-0.55, len(groups) - 0.45)


def methods(axes: Axes, result: Result, values: np.ndarray, spans: Sequence[Interval]) -> None:
    """``(method, seed)`` values with their intervals, a place of the x-axis each, on axes with set limits."""
    names = result.methods
    for i, method in enumerate(names):
        spread(axes, i, values[i], spans[i], style.color(method, i), aside=0.12)
    axes.set_xticks(range(len(names)), [style.label(method).replace(", ", "\n") for method in names])
    axes.set_xlim(-0.5, len(names) - 0.5)


def beside(i: int, many: int, groups: int) -> np.ndarray:
    """Where the ``i``-th of many stands in each group."""
    return np.arange(groups) + (i - (many - 1) / 2) * GROUP / many


def mean(values: np.ndarray) -> np.ndarray:
    """Over seeds, the first axis; NaN where there is none."""
    known = np.isfinite(values)
    return np.where(known.any(0), np.where(known, values, 0).sum(0) / np.maximum(known.sum(0), 1), np.nan)


def curve(
    axes: Axes, steps: np.ndarray, values: np.ndarray, color: str, dash: str | tuple = "-", width: float = 1.5
) -> None:
    """Mean of ``(seed, step)`` values as a line over steps, and the seeds: each as a thin one, or many as a band."""
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
    """An x-axis in environment steps; of an offline result, a clock that its updates drive.

    Args:
        axes: to change.
        result: whose runs are drawn, to their end or to where they have come.
        room: share of the axis left free at both ends.
    """
    last = max(words.shown(result), 1)
    axes.set_xlim(-room * last, (1 + room) * last)
    offline = result.attributes.get("mode") == "offline"
    axes.set_xlabel("Steps (offline: clock)" if offline else "Environment steps")
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=(1, 2, 5, 10)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))
