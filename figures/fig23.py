"""Fig. 23: coefficients of the three losses that HarmonyDream learns, a panel a task."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from analysis.results.measures import losses_of
from figures.shared import marks, paper, words
from hdream_core.support.drawing import Line2D

ITEM = "Fig. 23"
SHOWS = (  # in the paper
    "Learned coefficients, a panel a task; the paper has Lever Pull and Handle Pull Side."
)

STUDIES = ("coefficients",)


@paper.look()
def draw(results: Path, out: Path, tasks: Sequence[str] | None = None, preset: str | None = None) -> Path:
    """Draws the figure from the results of a folder; returns the picture's path.

    Args:
        results: folder of result files.
        out: folder of the figure.
        tasks: a panel each; None takes all of the largest scale that the folder has.
        preset: of the runs; None takes those of the fullest result of each task.

    Raises:
        ResultError: if a task has no result of the learned coefficients.
    """
    shown, figure, grid = paper.task_panels(results, *STUDIES, tasks, preset)
    losses = [loss for loss in paper.LOSSES if any(loss in losses_of(result) for result in shown.values())]
    learned = [result.values(f"weight/{loss}")[0].ravel() for result in shown.values() for loss in losses
               if f"weight/{loss}" in result.data]  # fmt: skip
    for axes, result in zip(grid, shown.values(), strict=True):
        marks.limit(axes, np.concatenate([np.zeros(0), *learned]), log=True)  # the same for all tasks
        paper.steps_axis(axes, result)
        for loss in losses:
            if f"weight/{loss}" in result.data:  # not before the first log
                marks.curve(axes, result.axes["log_step"], result.values(f"weight/{loss}")[0], paper.LOSSES[loss])
        axes.set_ylabel(r"Coefficient $\exp(-s)$" if axes is grid[0] else "")
    count = words.few(len(losses))
    note = f"Learned coefficients exp(-s) of the {count} losses, on a logarithmic axis. {marks.note(figure)}"
    legend = [Line2D([], [], color=paper.LOSSES[loss], label=f"{loss} loss") for loss in losses]
    title = "Fig. 23: coefficients that HarmonyDream learns"
    return paper.save_panels(figure, out, "fig23", title, shown, note, legend, tasks, preset)


if __name__ == "__main__":
    paper.main("fig23", __doc__, draw, "all of one scale")
