"""What the paper's own figures share: their command line, small axes, and letters for a column of print."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from analysis.results.schema import SCALES, SHIPPED, Result, using
from figures.shared import choice, marks, options, style, words
from hdream_core.support import drawing
from hdream_core.support.commandline import OneLineParser
from hdream_core.support.drawing import Axes, FuncFormatter, Line2D, MaxNLocator
from hdream_core.support.errors import exit_on_user_error

WIDTH, LETTERS = 5.5, 7.0  # inches; points
NARROWEST = 1.3  # inches, of a panel
LOSSES = {
    "observation": "#009E73",
    "reward": "#D55E00",
    "dynamics": "#0072B2",
    "swav": "#009E73",
    "temporal": "#CC79A7",
    "consistency": "#0072B2",
    "value": "#E69F00",
}


def main(name: str, text: str, draw: Callable[..., Path], tasks: str) -> None:
    """Entry point of a figure of the paper.

    Args:
        name: of the module in ``figures``.
        text: what it draws, for its help.
        draw: the figure by folder of results, folder of the picture, tasks and preset.
        tasks: which are drawn unless told otherwise; more than one may be named where the first word is ``all``.
    """
    several = tasks.startswith("all")
    parser = OneLineParser(prog=f"python -m figures.{name}", description=text)
    parser.add_argument("--results", type=Path, default=SHIPPED, help="folder of result files (the shipped ones)")
    parser.add_argument("--out", type=Path, default=style.OUT, help="folder of the figure (%(default)s)")
    parser.add_argument(
        "--task", nargs="+" if several else None, default=None if several else tasks, help=f"task ({tasks})"
    )
    parser.add_argument("--preset", help="preset of the runs (that of the fullest result)")
    options.add_flags(parser, WIDTH, LETTERS)
    with exit_on_user_error("nothing is drawn"):
        given = parser.parse_args()
        with options.using(options.read(given)), using(given.results):
            print(draw(given.results, given.out, given.task, given.preset))


@contextlib.contextmanager
def look() -> Iterator[None]:
    """Gives a figure the look of all, with the letters of the paper's figures where no size is chosen."""
    chosen = options.chosen()
    with options.using(replace(chosen, font_size=chosen.font_size or LETTERS)), style.look():
        yield


def a_task_each(
    results: Path, study: str, tasks: Sequence[str] | None, preset: str | None
) -> list[tuple[Path, Result]]:
    """Returns the best result of each task, or if none are named, of all tasks of the largest scale.

    Raises:
        ResultError: if a task has none, or there is none at all.
    """
    found = choice.results_of(results, study, preset=preset)
    choice.demand(found, results, list(tasks or ()), study)
    pairs = [choice.best(found, study, task) for task in tasks or choice.tasks_of(found)]
    if not tasks:
        scales = [result.attributes["scale"] for _, result in pairs]
        pairs = [pair for pair, scale in zip(pairs, scales, strict=True) if scale == min(scales, key=SCALES.index)]
    return pairs


def task_panels(
    results: Path, study: str, tasks: Sequence[str] | None, preset: str | None
) -> tuple[dict[Path, Result], drawing.Drawing, np.ndarray]:
    """Returns the results of ``a_task_each`` by file, and a figure with a titled panel for each.

    Raises:
        ResultError: as ``a_task_each``.
    """
    shown = dict(a_task_each(results, study, tasks, preset))
    figure, grid = row(len(shown))
    for axes, result in zip(grid, shown.values(), strict=True):
        axes.set_title(words.task(result))
    return shown, figure, grid


def save_panels(
    figure: drawing.Drawing,
    out: Path,
    name: str,
    title: str,
    shown: Mapping[Path, Result],
    note: str,
    legend: Sequence[Line2D],
    tasks: Sequence[str] | None,
    preset: str | None,
) -> Path:
    """Finishes a figure of ``task_panels`` and writes it under its name and the tasks that were asked for."""
    drawn = drawn_by(name, [result.attributes["task"] for result in shown.values()], preset)
    style.frame(figure, title, shown, f"{note}\n{drawn}", legend)
    return style.save(figure, out, "_".join([name, *(tasks or ())]))


def drawn_by(name: str, tasks: Sequence[str], preset: str | None) -> str:
    """Returns the command that draws a figure, but for its folders, as a line of its caption."""
    words = ["python", "-m", f"figures.{name}", "--task", *tasks, *(["--preset", preset] if preset else [])]
    return f"Drawn by: {shlex.join(words)}"


def only(result: Result, methods: Sequence[str]) -> Result:
    """Returns a result with some of its methods."""
    which = [i for i, method in enumerate(result.axes["method"]) if str(method) in methods]
    data = {
        name: (axes, np.take(values, which, axes.index("method")) if "method" in axes else values)
        for name, (axes, values) in result.data.items()
    }
    return replace(result, axes=result.axes | {"method": result.axes["method"][which]}, data=data)


def row(panels: int, height: float = 1.3) -> tuple[drawing.Drawing, np.ndarray]:
    """Makes a figure with panels side by side, or where it is too narrow for that, some beneath each other.

    Args:
        panels: how many.
        height: of each, in inches.
    """
    width = style.chosen_width(WIDTH)
    rows = -(-panels // max(1, min(panels, int(width / NARROWEST))))
    figure = style.figure(WIDTH, rows * height + 0.85)
    grid = figure.subplots(rows, -(-panels // rows), squeeze=False).ravel()
    for axes in grid[panels:]:
        axes.set_visible(False)
    return figure, grid[:panels]


def steps_axis(axes: Axes, result: Result, limits: bool = True) -> None:
    """An x-axis of steps with few ticks, in thousands where that is shorter; with or without setting its limits."""
    if limits:
        marks.steps_axis(axes, result)
    axes.xaxis.set_major_locator(MaxNLocator(3, steps=(1, 2, 2.5, 5, 10)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x / 1000:g}K" if x >= 1000 else f"{x:g}"))


def nothing(axes: Axes, text: str) -> None:
    """Says in a panel's place why it is empty."""
    axes.set_axis_off()
    axes.text(0.5, 0.5, text, ha="center", va="center", fontsize=style.small(), color="0.4", transform=axes.transAxes)
