"""Learning curves of a sweep: one line a method, its mean over seeds and 95 % interval."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from analysis.results import Result
from analysis.stats import ANY, Bounds, bounds_of, seed_interval
from figures import style

# Metric: label of the axis, title, limits.
PANELS = {
    "success": ("Success rate", "Policy: success", (-0.03, 1.03)),
    "return": ("Episode return", "Policy: return", None),
    "reward_error": ("Open-loop reward error", "Dreams, held out: error (lower is better)", None),
    "return_rank_correlation": ("Rank correlation of return", "Dreams, held out: dreamed vs true return", None),
    "weight/observation": (r"$\exp(-s_o)$ or $w_o$", "Weight of the observation loss", None),
    "weight/reward": (r"$\exp(-s_r)$ or $w_r$", "Weight of the reward loss", None),
    "weight/dynamics": (r"$\exp(-s_d)$ or $w_d$", "Weight of the dynamics loss", None),
    "loss/dynamics": (r"$L_d$, unweighted", "Dynamics loss (Fig. 15b)", None),
}
EVALUATION = ("success", "return", "reward_error", "return_rank_correlation")
FEW = 5  # evaluations, of which bands would be mere triangles
WEIGHTS = ("weight/observation", "weight/reward", "weight/dynamics")


def draw(result: Result, source: Path, out: Path, title: str, panels: Sequence[str], columns: int = 2) -> Path:
    """Draws those of the panels that the result has; returns the PNG's path."""
    style.apply()
    found = [name for name in panels if name in result.data and np.isfinite(result.values(name)).any()]
    columns = min(columns, len(found))
    rows = -(-len(found) // columns)
    size = (3.4 * columns, 2.3 * rows + style.HEAD + style.FOOT)
    figure, grid = plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained")
    for axes, name in zip(grid.flat, found, strict=False):
        panel(axes, result, name)
    for axes in grid.flat[len(found) :]:
        axes.set_visible(False)
    style.frame(figure, title, result, source, _note(result, found))
    return style.save(figure, out, source.stem)


def _note(result: Result, found: Sequence[str]) -> str:
    """What a reader of the panels must know besides."""
    parts = []
    if "success" in found and not np.nanmax(result.values("success")):
        parts.append("No episode of any evaluation succeeds.")
    settings = next(iter(result.config.values())).get("eval", {})
    size, last = settings.get("windows"), settings.get("final_windows")
    if "reward_error" in found and size != last:
        parts.append(f"Dreams: {size:,} held-out windows, {last:,} at the end.")
    return " ".join(parts)


def panel(axes: Axes, result: Result, name: str) -> None:
    """One metric of all methods against environment steps."""
    along, values = result.data[name][0][2], result.values(name)  # (method, seed, step)
    steps, methods = result.axes[along], [str(m) for m in result.axes["method"]]
    few = along == "step" and np.isfinite(values).any((0, 1)).sum() <= FEW
    for i, method in enumerate(methods):
        within = bounds_of(name)
        color, label, dots = style.color(method, i), style.label(method), along == "step"
        aside = (i - (len(methods) - 1) / 2) * steps[-1] / 80 if few else 0.0  # bars side by side, not on each other
        line(axes, steps + aside, values[i], color, label, dots, within=within, bars=few)
    text, title, limits = PANELS[name]
    axes.set_title(title)
    axes.set_ylabel(text)
    if limits and (name != "success" or axes.get_ylim()[1] > 0.5 or not np.nanmax(values)):
        axes.set_ylim(*limits)
    if name in ("reward_error", "loss/dynamics", *WEIGHTS):
        style.plain_log(axes)  # errors fall by an order of magnitude; weights differ by several
    last = style.planned(result)
    if not result.attributes.get("complete", True):
        last = min(last, 1.1 * style.reached(result))
    style.steps_axis(axes, last, result)
    if few:
        axes.set_xlim(-0.04 * max(last, 1), 1.04 * max(last, 1))  # whole bars at both ends


def line(
    axes: Axes,
    steps: np.ndarray,
    values: np.ndarray,
    color: str,
    label: str | None,
    dots: bool = False,
    dash: str = "-",
    within: Bounds = ANY,
    bars: bool = False,
) -> None:
    """Mean of ``(seed, step)`` values over seeds as a line, with its interval as a band or as bars."""
    seen = np.isfinite(values).any(0)
    if not seen.any():
        return
    spans = np.array([seed_interval(values[:, t], within=within) for t in np.flatnonzero(seen)])  # (steps, 3)
    marker = "o" if dots else None
    axes.plot(steps[seen], spans[:, 0], color=color, label=label, marker=marker, markersize=2.5, linestyle=dash)
    if bars:
        axes.vlines(steps[seen], spans[:, 1], spans[:, 2], color=color, linewidth=1)
    else:
        axes.fill_between(steps[seen], spans[:, 1], spans[:, 2], color=color, alpha=0.15, linewidth=0)
