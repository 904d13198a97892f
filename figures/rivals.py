"""Figs. 8, 9a, 20 and 21: HarmonyDream and other agents, by environment steps, updates and seconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from analysis.results import costs
from analysis.results.schema import Result, load
from figures.shared import curves, forest, marks, style, words
from hdream_core.support.drawing import Axes, FuncFormatter, MaxNLocator

ITEM = "Figs. 8 (right), 9a, 20 and 21"
SHOWS = (  # in the paper
    "HarmonyDream far above TD-MPC on Meta-world and above Denoised MDP on DMC Remastered, and Harmony DreamerPro "
    "above DreamerPro. All curves there are by environment steps."
)
PANELS_HIGH = 1.7  # inches
OURS = "harmony"


@style.look()
def draw(source: Path, out: Path) -> Path:
    """Draws a result of ``analysis.rivals``; returns the PNG's path."""
    source, result = Path(source), load(source)
    metrics = curves.measured(result, curves.POLICY)
    comparison = forest.of_area(result, "return", _pairs(result.methods))
    high = PANELS_HIGH * len(metrics)
    figure = style.figure(style.WIDTH, high + forest.height(comparison) + curves.AROUND)
    grid = forest.above(figure, comparison, high).subplots(len(metrics), 3, squeeze=False)
    for row, metric in zip(grid, metrics, strict=True):
        curves.panel(row[0], result, metric)
        _against(row[1], result, metric, costs.updates(result), "Updates")
        unit = "Minutes on a core" if costs.clock(result) == costs.CORES else "Minutes"
        _against(row[2], result, metric, costs.seconds(result) / 60, unit)
        row[0].set_title("")
    for axes, title in zip(grid[0], ("By environment steps", "By updates", "By time"), strict=True):
        axes.set_title(title)
    mean = "$w_r=1$ is DreamerV2. A run's time includes evaluations and is spread evenly over its updates."
    parts = (marks.note(figure), forest.note(comparison), mean)
    title = f"HarmonyDream and its rivals (Figs. 8, 9a, 20, 21), {words.task(result)}"
    style.frame(figure, title, {source: result}, " ".join(filter(None, parts)), style.handles(result))
    return style.save(figure, out, source.stem)


def _against(axes: Axes, result: Result, metric: str, at: np.ndarray, label: str) -> None:
    """Draws a metric's mean over seeds against a cost ``(method, seed, step)``, of which the mean is taken, too."""
    marks.limit(axes, result.values(metric))
    for i, (method, values, cost) in enumerate(zip(result.methods, result.values(metric), at, strict=True)):
        seen = np.isfinite(values).any(0) & np.isfinite(cost).any(0)
        if seen.any():
            marks.curve(axes, np.nanmean(cost[:, seen], 0), values[:, seen], style.color(method, i), style.dash(method))
    axes.set_xlim(0, None)
    axes.set_xlabel(label)
    axes.xaxis.set_major_locator(MaxNLocator(4, steps=(1, 2, 5, 10)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.6g}"))


def _pairs(methods: list[str]) -> list[tuple[str, str]]:
    """Returns what is compared: HarmonyDream with each agent, and Harmony on another agent with that agent."""
    balanced = [method for method in methods if method.startswith("harmony")]
    others = [method for method in methods if method not in balanced]
    of_agent = [(one, other) for one in balanced if one != OURS for other in others if other.startswith(one[8:])]
    return [(OURS, other) for other in others if OURS in methods] + of_agent


if __name__ == "__main__":
    style.main("rivals", draw)
