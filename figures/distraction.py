"""Fig. 6: returns and dynamics losses under visual distraction, and the returns without it."""

from __future__ import annotations

from pathlib import Path

from analysis.results import comparisons
from analysis.results.measures import area
from analysis.results.schema import Result, load
from figures.shared import curves, forest, marks, paper, style, words
from hdream_core.support.drawing import Axes

ITEM = "Figs. 6 and 16"
SHOWS = (  # in the paper
    "Returns of DreamerV2 and HarmonyDream on three tasks of DMC Remastered, and on Cheetah Run their dynamics loss, "
    "which diverges for DreamerV2 alone. The runs without distraction are our control."
)
PANELS_HIGH = 1.9  # inches


@style.look()
def draw(source: Path, out: Path) -> Path:
    """Draws a result of ``analysis.distraction``; returns the PNG's path."""
    source, result = Path(source), load(source)
    names = [method for method in result.methods if not method.startswith(comparisons.PLAIN)]
    varied = paper.only(result, names)
    plain = paper.only(result, [f"{comparisons.PLAIN}{method}" for method in names])
    comparison = _comparison(result, names)
    figure = style.figure(style.WIDTH, 2 * PANELS_HIGH + forest.height(comparison) + curves.AROUND)
    beneath = forest.above(figure, comparison, 2 * PANELS_HIGH)
    rows = beneath.subplots(2, 2)
    for (scores, losses), shown, title in zip(rows, (varied, plain), ("With", "Without"), strict=True):
        for axes, metric in ((scores, "return"), (losses, "loss/dynamics")):
            _panel(axes, result, shown, names, metric)
        scores.set_title(f"{title} distraction: return")
        losses.set_title(f"{title} distraction: dynamics loss")
    note = " ".join(filter(None, (marks.note(figure), forest.note(comparison))))
    title = f"Visual distraction (Fig. 6), {words.task(result)}"
    style.frame(figure, title, {source: result}, note, style.handles(varied))
    return style.save(figure, out, source.stem)


def _panel(axes: Axes, result: Result, shown: Result, names: list[str], metric: str) -> None:
    """Draws a metric of one kind of runs on the limits of both kinds; a method's colour is the same in both."""
    if metric not in result.data:
        return
    marks.limit(axes, result.values(metric), log=metric.startswith("loss/"))
    steps = result.axes[result.data[metric][0][2]]
    for method, values in zip(shown.methods, shown.values(metric), strict=True):
        name = method.removeprefix(comparisons.PLAIN)
        marks.curve(axes, steps, values, style.color(name, names.index(name)), style.dash(name))
    axes.set_ylabel(curves.PANELS[metric][0])
    marks.steps_axis(axes, result)


def _comparison(result: Result, names: list[str]) -> forest.Comparison | None:
    """Each method against the first, with distraction and without it, and the difference of the two."""
    pairs = [(method, names[0]) for method in names[1:]]
    found = forest.of_area(result, "return", pairs)
    if found is None:
        return None
    rows = []
    for row, (method, first) in zip(found.rows, pairs, strict=True):
        rows.append(row)
        if more := comparisons.extra_gain(result, area("return"), method):
            values = dict(zip(result.methods, result.values("return").mean(-1), strict=True))
            plain = values[comparisons.PLAIN + method] - values[comparisons.PLAIN + first]
            label = f"{style.label(method)}: so much more than without"
            rows.append(forest.Row(label, row.color, values[method] - values[first] - plain, more))
    return forest.Comparison(found.title, found.measure, rows)


if __name__ == "__main__":
    style.main("distraction", draw)
