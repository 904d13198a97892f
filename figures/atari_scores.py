"""Atari 100K by the authors' own runs: aggregates with intervals over seeds (Fig. 7), and all curves (Fig. 13)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from analysis.results.schema import Result, load
from analysis.results.stats import read_interval, t_factor
from figures.shared import style
from hdream_core.support.drawing import Axes, FuncFormatter, Line2D, MaxNLocator

ITEM = "Figs. 7 and 13"
SHOWS = (  # in the paper
    "Fig. 13: learning curves of 26 games; Fig. 7: mean of human-normalised scores. In the paper Harmony DreamerV3 "
    "reaches 136.5 %. Intervals over seeds of the aggregates are ours."
)

COLUMNS = 6
COLORS = {"dreamerv3": "#0072B2", "harmony_dreamerv3": style.COLORS["harmony"]}
AGGREGATES = {"mean": "Mean", "median": "Median", "iqm": "IQM", "optimality_gap": "Gap to human"}


@style.look()
def draw(source: Path, out: Path) -> Path:
    """Draws a result of ``analysis.atari_scores``; returns the picture's path."""
    source, result = Path(source), load(source)
    games = list(map(str, result.axes["game"]))
    rows = -(-(len(games) + len(AGGREGATES)) // COLUMNS)
    figure = style.figure(style.WIDTH, 1.22 * rows + 0.5)
    grid = figure.subplots(rows, COLUMNS).ravel()
    for axes, (name, title) in zip(grid, AGGREGATES.items(), strict=False):
        _aggregate(axes, result, name)
        axes.set_title(title, fontweight="bold")
    for j, axes in enumerate(grid[len(AGGREGATES) : len(AGGREGATES) + len(games)]):
        _curves(axes, result, j)
        axes.set_title(games[j])
    for axes in grid[len(AGGREGATES) + len(games) :]:
        axes.set_visible(False)
    seeds = result.notes["seeds"]
    legend = [Line2D([], [], color=COLORS[m], label=label) for m, label in result.notes["labels"].items()]
    note = (
        f"From the scores that the authors publish ({result.notes['source']}). Bold titles: human-normalised, %, at "
        "the last evaluation, intervals over seeds (stratified bootstrap). IQM: interquartile mean; gap to human: the "
        "optimality gap, better when smaller. Other panels: scores against thousands of frames, means of "
        f"{seeds} seeds, bands: 95 % intervals (Student t)."
    )
    style.frame(figure, "Atari 100K, seed by seed (Figs. 7 and 13)", {source: result}, note, legend)
    return style.save(figure, out, source.stem)


def _aggregate(axes: Axes, result: Result, name: str) -> None:
    for i, method in enumerate(result.methods):
        mean, low, high = (100 * end for end in read_interval(result.notes["aggregates"][name][method]))
        axes.plot([i, i], [low, high], color=COLORS[method], linewidth=1.2)
        axes.plot(i, mean, "o", color=COLORS[method], markersize=4)
        axes.annotate(f"{mean:.1f}", (i, mean), (5, 0), textcoords="offset points", va="center", fontsize=style.small())
    axes.set_xlim(-0.5, 1.9)
    axes.set_xticks([])
    axes.margins(y=0.15)


def _curves(axes: Axes, result: Result, game: int) -> None:
    steps, half = result.axes["step"] / 1000, t_factor(result.notes["seeds"])
    for i, method in enumerate(result.methods):
        mean, spread = (result.values(name)[i, game] for name in ("score", "score_sd"))
        axes.plot(steps, mean, color=COLORS[method], linewidth=1)
        low, high = mean - half * spread, mean + half * spread
        axes.fill_between(steps, low, high, color=COLORS[method], alpha=0.18, linewidth=0)
    axes.set_xlim(0, steps[-1])
    axes.xaxis.set_major_locator(MaxNLocator(2))
    axes.yaxis.set_major_locator(MaxNLocator(3))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y / 1000:g}K" if abs(y) >= 10_000 else f"{y:g}"))
    axes.tick_params(labelsize=style.small())
    axes.set_ylim(*np.array(axes.get_ylim()))


if __name__ == "__main__":
    style.main("atari_scores", draw)
