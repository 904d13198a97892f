"""Fig. 2a, and beside it, for offline runs, how well the world models dream held-out rewards."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import LogFormatter, ScalarFormatter

from analysis.results import Result, load
from analysis.stats import seed_interval
from figures import style

PANELS = {
    "success": ("Success rate", (-0.03, 1.03)),
    "return": ("Episode return", None),
    "reward_error": ("Open-loop reward error", None),
    "return_rank_correlation": ("Rank correlation of return", None),
}
TITLES = {
    "success": "Policy: success",
    "return": "Policy: return",
    "reward_error": "Dreams, held out: error (lower is better)",
    "return_rank_correlation": "Dreams, held out: dreamed vs true return",
}


def draw(source: Path, out: Path) -> Path:
    """Draws a result of ``analysis.finding1`` to ``<out>/<name>.png`` and ``.pdf``; returns the PNG's path."""
    result = load(source)
    style.apply()
    panels = [name for name in PANELS if name in result.data]
    columns = 2 if len(panels) > 1 else 1
    rows = -(-len(panels) // columns)
    figure, grid = plt.subplots(
        rows, columns, figsize=(3.4 * columns, 2.3 * rows + 0.9), squeeze=False, layout="constrained"
    )
    for axes, name in zip(grid.flat, panels, strict=False):
        _curves(axes, result, name)
    for axes in grid.flat[len(panels) :]:
        axes.set_visible(False)
    style.frame(figure, f"Finding 1: weight of the reward loss, {style.task(result)}", result, Path(source))
    return style.save(figure, out, Path(source).stem)


def _curves(axes: Axes, result: Result, name: str) -> None:
    steps = result.axes["step"]
    values = result.values(name)  # (method, seed, step)
    for i, method in enumerate(str(m) for m in result.axes["method"]):
        seen = np.isfinite(values[i]).any(0)
        if not seen.any():
            continue
        intervals = np.array([seed_interval(values[i, :, t]) for t in np.flatnonzero(seen)])  # (steps, 3)
        color = style.color(method, i)
        axes.plot(steps[seen], intervals[:, 0], color=color, label=style.label(method), marker="o", markersize=2.5)
        axes.fill_between(steps[seen], intervals[:, 1], intervals[:, 2], color=color, alpha=0.15, linewidth=0)
    text, limits = PANELS[name]
    axes.set_title(TITLES[name])
    axes.set_ylabel(text)
    if limits:
        axes.set_ylim(*limits)
    if name == "reward_error":
        axes.set_yscale("log")  # it falls by an order of magnitude, and seeds differ by factors
        axes.yaxis.set_major_formatter(ScalarFormatter())
        axes.yaxis.set_minor_formatter(LogFormatter(minor_thresholds=(1.5, 0.8)))
    style.steps_axis(axes, max(config["train"]["steps"] for config in result.config.values()))


if __name__ == "__main__":
    style.main("finding1", draw)
