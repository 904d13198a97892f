"""Draws learning curves of a sweep, one line for each method, below the differences of the methods."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from analysis.results.measures import BALANCED
from analysis.results.schema import Result
from figures.shared import forest, marks, style, words
from hdream_core.support.drawing import Axes

# Metric: label of the axis, title.
PANELS = {
    "success": ("Success rate", "Policy: success"),
    "return": ("Episode return", "Policy: return"),
    "reward_error": ("Squared error", "Held-out dreams: mean reward error"),
    "reward_error_median": ("Squared error", "Held-out dreams: median reward error"),
    "return_rank_correlation": ("Rank correlation", "Held-out dreams: dreamed vs true return"),
    "weight/observation": (r"$\exp(-s_o)$ or $w_o$", "Weight of the observation loss"),
    "weight/reward": (r"$\exp(-s_r)$ or $w_r$", "Weight of the reward loss"),
    "weight/dynamics": (r"$\exp(-s_d)$ or $w_d$", "Weight of the dynamics loss"),
    "weight/swav": (r"$\exp(-s)$ or $w$", "Weight of the SwAV loss"),
    "weight/temporal": (r"$\exp(-s)$ or $w$", "Weight of the temporal loss"),
    "weight/consistency": ("$w$", "Weight of the consistency loss"),
    "weight/value": ("$w$", "Weight of the value loss"),
    "loss/observation": (r"$L_o$, unweighted", "Observation loss"),
    "loss/reward": (r"$L_r$, unweighted", "Reward loss"),
    "loss/dynamics": (r"$L_d$, unweighted", "Dynamics loss"),
    "loss/swav": (r"$L_{SwAV}$, unweighted", "SwAV loss"),
    "loss/temporal": (r"$L_{Temp}$, unweighted", "Temporal loss"),
    "loss/consistency": ("$L$, unweighted", "Consistency loss"),
    "loss/value": ("$L$, unweighted", "Value loss"),
}
POLICY = ("success", "return")
LOSSES = tuple(f"loss/{loss}" for loss in BALANCED)
BALANCE = tuple(f"{kind}/{loss}" for loss in BALANCED for kind in ("weight", "loss"))
FEW = 5  # evaluations, of which each is drawn as points
MANY = 6  # panels, above which there are three in a row
HIGH, LOW, LEAST, AROUND = 1.7, 1.4, 1.3, 0.7  # inches: of a row of panels, where there are many, of title and footer
ROOM = 0.018  # share of the axis between the marks of two methods


@style.look()
def draw(
    result: Result,
    source: Path,
    out: Path,
    title: str,
    panels: Sequence[str],
    comparison: forest.Comparison | None,
    longer: tuple[Path, Result] | None = None,
) -> Path:
    """Draws those of the panels that have something to show, under the comparison; returns the PNG's path.

    Args:
        result: to draw.
        source: its file.
        out: folder of the picture.
        title: of the figure.
        panels: metrics.
        comparison: of methods, above the panels.
        longer: a shipped result of longer runs, whose policies are drawn in a last row.
    """
    found = measured(result, panels)
    places = _places(found)
    beneath = [name for name in POLICY if longer and name in longer[1].data]
    rows, columns = (1 + max(numbers, default=0) for numbers in zip(*places, strict=True)) if found else (1, 1)
    high, panels_high = forest.height(comparison), rows * (HIGH if rows < 3 else LOW if columns < 3 else LEAST)
    panels_high += LOW if beneath else 0
    figure = style.figure(style.WIDTH, panels_high + high + AROUND)
    upper, lower = forest.above(figure, comparison, panels_high), None
    if beneath:
        upper, lower = upper.subfigures(2, 1, height_ratios=(panels_high - LOW, LOW))
    grid = upper.subplots(rows, columns, squeeze=False)
    room = ROOM * (len(result.axes["method"]) + 1) / 2 if any(few(result, name) for name in found) else 0.0
    for axes in grid.flat:
        axes.set_visible(False)
    for (row, column), name in zip(places, found, strict=True):
        grid[row, column].set_visible(True)
        panel(grid[row, column], result, name, room)
        if (row + 1, column) in places:  # all have the same axis
            grid[row, column].set_xlabel("")
    sources = {source: result}
    if longer and lower:
        for axes, name in zip(lower.subplots(1, len(beneath), squeeze=False).flat, beneath, strict=True):
            panel(axes, longer[1], name)
            axes.set_title(f"Shipped, longer runs online: {name}")
        sources |= dict([longer])
    note = " ".join(filter(None, (marks.note(figure), forest.note(comparison), _note(result, found))))
    style.frame(figure, title, sources, note, style.handles(result))
    return style.save(figure, out, source.stem)


def measured(result: Result, names: Sequence[str]) -> list[str]:
    """Returns those of some metrics that have something to show; success has nothing if no episode succeeds."""
    found = [name for name in names if name in result.data and np.isfinite(result.values(name)).any()]
    return [name for name in found if name != "success" or np.nanmax(result.values(name)) > 0]


def _places(found: Sequence[str]) -> list[tuple[int, int]]:
    """Row and column of each panel: two in a row, or where they are many, three, with weights above their losses."""
    if len(found) <= MANY:
        return [divmod(i, 2) for i in range(len(found))]
    rows, places = -1, {}
    for kind in ("", "weight/", "loss/"):
        of = [name for name in found if (name in BALANCE and name.startswith(kind)) == bool(kind)]
        for i, name in enumerate(of):
            rows += i % 3 == 0
            places[name] = rows, i % 3
    return [places[name] for name in found]


def _note(result: Result, found: Sequence[str]) -> str:
    """What a reader of the panels must know besides."""
    parts = []
    if "success" in result.data and not np.nanmax(result.values("success")):
        parts.append("No episode of any evaluation succeeds.")
    settings = next(iter(result.config.values())).get("eval", {})
    size, last = settings.get("windows"), settings.get("final_windows")
    if "reward_error" in found and size != last:
        parts.append(f"Dreams: {size:,} held-out windows, {last:,} at the end.")
    if any(constant(values) for name in found if name.startswith("weight/") for values in result.values(name)):
        parts.append("Weights that are fixed are not drawn.")
    return " ".join(parts)


def few(result: Result, name: str) -> bool:
    """Returns whether a metric has so few evaluations that each is drawn as a point."""
    return result.data[name][0][2] == "step" and np.isfinite(result.values(name)).any((0, 1)).sum() <= FEW


def constant(values: np.ndarray) -> bool:
    """Returns whether a weight never changes."""
    known = values[np.isfinite(values)]
    return not len(known) or np.ptp(known) == 0


def panel(axes: Axes, result: Result, name: str, room: float = 0.0) -> None:
    """Draws one metric of all methods against environment steps, with room for marks at both ends."""
    values, steps = result.values(name).copy(), result.axes[result.data[name][0][2]]  # (method, seed, step)
    if name.startswith("weight/"):
        values[[i for i, of in enumerate(values) if constant(of)]] = np.nan
    log = name.startswith(("reward_error", "loss/", "weight/"))  # these fall by orders of magnitude, or differ by them
    marks.limit(axes, values, log=log and not (values <= 0).any())
    if name == "success" and np.nanmax(values) > 0.5:
        axes.set_ylim(-0.03, 1.03)
    marks.steps_axis(axes, result, room)
    for i, method in enumerate(result.methods):
        color = style.color(method, i)
        if few(result, name):
            _points(axes, steps + (i - (len(values) - 1) / 2) * ROOM * words.shown(result), values[i], color)
        else:
            marks.curve(axes, steps, values[i], color, style.dash(method))
    text, title = PANELS[name]
    axes.set_title(title)
    axes.set_ylabel(text)


def _points(axes: Axes, at: np.ndarray, values: np.ndarray, color: str) -> None:
    """A method's few evaluations: means, joined, and seeds."""
    seen = np.isfinite(values).any(0)
    axes.plot(at[seen], np.nanmean(values[:, seen], 0), color=color, linewidth=0.8, marker="o", markersize=4)
    if len(values) > 1:
        axes.plot(at, values.T, "o", color=color, markersize=2, markeredgewidth=0, alpha=0.7, label=marks.SEED)
