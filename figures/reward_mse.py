"""E.10: open-loop reward error with and without observation modelling, beside the paper's two numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from analysis.results import comparisons
from analysis.results.measures import DREAMS
from analysis.results.schema import Result, load
from figures.shared import forest, marks, style, words
from hdream_core.support.drawing import Axes

ITEM = "E.10"
SHOWS = (  # in the paper
    "Open-loop reward error with (0.379) and without (0.416) observation modelling, on 20,000 segments, 35 "
    "frames seen and 15 rewards predicted."
)


@style.look()
def draw(source: Path, out: Path) -> Path:
    """Draws a result of ``analysis.reward_mse``; returns the PNG's path."""
    source, result = Path(source), load(source)
    comparison = forest.of_dreams(result, str(result.axes["method"][0]))
    figure = style.figure(style.WIDTH, 2.3 + forest.height(comparison) + 0.7)
    left, right = forest.above(figure, comparison, 2.3).subplots(1, 2)
    _means(left, result)
    _tail(right, result)
    title = f"Reward error with and without observations (E.10), {words.task(result)}"
    episode = result.values("window/episode")
    sizes = f"{len(episode):,} segments of {len(np.unique(episode))} episodes: 35 frames seen, 15 rewards dreamed."
    sizes += words.short(result, len(episode), "segments")
    note = f"{marks.note(figure)} {forest.note(comparison)} {sizes}"
    if set(result.notes["paper"]) & set(result.methods):
        note += " Diamonds: the paper (no task named; v2, its own buffer)."
    style.frame(figure, title, {source: result}, note, style.handles(result))
    return style.save(figure, out, source.stem)


def _means(axes: Axes, result: Result) -> None:
    means, paper = result.values("window/error").mean(-1), result.notes["paper"]  # (method, seed)
    spans = [comparisons.mean_of(result, DREAMS, method) for method in result.methods]
    marks.limit(axes, np.append(means, [0, *paper.values()]), spans=marks.ends(spans))
    marks.methods(axes, result, means, spans)
    for i, method in enumerate(result.methods):
        if method in paper:
            axes.plot(i, paper[method], "D", color="white", markeredgecolor=style.color(method, i), markersize=4.5)
    axes.set_ylabel("Mean squared reward error")
    axes.set_title("Mean over windows")


def _tail(axes: Axes, result: Result) -> None:
    for i, method in enumerate(result.methods):
        errors = np.sort(result.values("window/error")[i].ravel())  # of all seeds
        share = 1 - np.arange(len(errors)) / len(errors)
        axes.plot(errors, share, color=style.color(method, i), linewidth=1.5)
    axes.set(xscale="log", yscale="log", xlabel="Squared reward error of a window", ylabel="Share of windows above")
    axes.set_title("The tail makes the mean")


if __name__ == "__main__":
    style.main("reward_mse", draw)
