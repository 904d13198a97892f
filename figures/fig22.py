"""Fig. 22 (and 2a): policies against steps by weight of the reward loss, a panel a task."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from figures.fig2 import metric_of, policies
from figures.shared import curves, marks, paper, style, words

ITEM = "Fig. 22"
SHOWS = (  # in the paper
    "Policies by weight of the reward loss, a panel a task; the paper has Hammer there."
)

STUDIES = ("finding1",)


@paper.look()
def draw(results: Path, out: Path, tasks: Sequence[str] | None = None, preset: str | None = None) -> Path:
    """Draws the figure from the results of a folder; returns the picture's path.

    Args:
        results: folder of result files.
        out: folder of the figure.
        tasks: a panel each; None takes all of the largest scale that the folder has.
        preset: of the runs; None takes those of the fullest result of each task.

    Raises:
        ResultError: if a task has no result of the sweep over the weight of the reward loss.
    """
    shown, figure, grid = paper.task_panels(results, *STUDIES, tasks, preset)
    metric = metric_of(*shown.values())
    drawn = []
    for axes, result in zip(grid, shown.values(), strict=True):
        drawn.append(policies(axes, result, metric))
        axes.set_title(words.task(result))
        axes.set_ylabel(curves.PANELS[metric][0] if axes is grid[0] else "")
    note = f"{curves.PANELS[metric][0]} of policies by weight of the reward loss. {marks.note(figure)}"
    legend = {line.get_label(): line for result in drawn for line in style.handles(result)}
    title = "Fig. 22: weights of the reward loss"
    return paper.save_panels(figure, out, "fig22", title, shown, note, list(legend.values()), tasks, preset)


if __name__ == "__main__":
    paper.main("fig22", __doc__, draw, "all of one scale")
