"""Draws curves of many evaluations, one panel for each method, with the first method in grey."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from analysis.results.schema import Result
from figures.shared import curves, forest, marks, style
from hdream_core.support.drawing import Line2D

GREY = "0.55"
OFTEN = 0.5  # success rate above which success tells more than return


@style.look()
def draw(result: Result, source: Path, out: Path, title: str, pairs: list[tuple[str, str]]) -> Path:
    """Draws the policies of a result, each method against the first, and their means over the run as pairs."""
    methods = result.methods
    metric = curves.POLICY[0] if _often(result) else curves.POLICY[1]
    values, steps = result.values(metric), result.axes["step"]  # (method, seed, step)
    comparison = forest.of_area(result, metric, pairs)
    rows, high = -(-(len(methods) - 1) // 2), forest.height(comparison)
    figure = style.figure(style.WIDTH, curves.HIGH * rows + high + curves.AROUND)
    upper, lower = figure.subfigures(2, 1, height_ratios=(curves.HIGH * rows, high or 0.1))
    grid = upper.subplots(rows, 2, squeeze=False, sharex=True, sharey=True)
    for i, axes in enumerate(grid.flat, 1):
        if i >= len(methods):
            axes.set_visible(False)
            continue
        marks.limit(axes, values)
        marks.curve(axes, steps, values[0], GREY)
        marks.curve(axes, steps, values[i], style.color(methods[i], i))
        axes.set_title(style.label(methods[i]), color=style.color(methods[i], i))
        axes.set_ylabel(curves.PANELS[metric][0])
        marks.steps_axis(axes, result)
    for axes in grid.flat[: len(methods) - 3]:
        axes.set_xlabel("")
    if comparison:
        forest.draw(lower.subplots(), comparison)
    legend = [Line2D([], [], color=GREY, linewidth=1.5, label=f"{style.label(methods[0])}, in every panel")]
    note = " ".join(filter(None, (marks.note(figure), forest.note(comparison), _other(result, metric))))
    style.frame(figure, title, {source: result}, note, legend)
    return style.save(figure, out, source.stem)


def _often(result: Result) -> bool:
    if "success" not in result.data:
        return False
    return np.nanmax(marks.mean(result.values("success").swapaxes(0, 1)), initial=0) > OFTEN


def _other(result: Result, metric: str) -> str:
    """Why success is not drawn."""
    if metric == "success" or "success" not in result.data:
        return ""
    share = 100 * np.nanmax(marks.mean(result.values("success").swapaxes(0, 1)), initial=0)
    return f"Success is too rare to be drawn: no method's is over {share:.0f} % in any evaluation."
