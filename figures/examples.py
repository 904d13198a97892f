"""Figs. 10 to 12: what the tasks of a benchmark look like, a row for each task, a column for each episode."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from analysis.results.schema import Result, ResultError, load
from figures.shared import style, words

ITEM = "Figs. 10, 11, 12"
SHOWS = (  # in the paper
    "Example observations of six Meta-world tasks, of two RLBench tasks, and of three tasks of DMC Remastered, whose "
    "sky, floor, colours, light and camera change with every episode."
)
NAMES = {  # of suites, and their figure in the paper
    "metaworld": "Meta-world (Fig. 10)",
    "twin": "the twin of RLBench (Fig. 11)",
    "dmc": "DeepMind Control",
    "dmcnbg": "DeepMind Control with natural backgrounds",
    "dmcr": "DMC Remastered (Fig. 12)",
    "atari": "Atari",
}
LABEL, LEAST, HIGHEST = 1.05, 3.6, 5.0  # inches: beside a row; width of the figure; height of all rows


@style.look()
def draw(source: Path, out: Path) -> Path:
    """Draws a result of ``analysis.examples`` to ``<out>/<name>.png`` and ``.pdf``; returns the PNG's path.

    Raises:
        ResultError: naming the file, if it is not a result of that study.
    """
    result = load(source)
    if result.attributes["study"] != "examples":
        raise ResultError(f"{source}: is a result of {result.attributes['study']}, not of examples")
    pixels = result.values("picture/example")  # (row, episode, y, x, channel)
    side = min((style.chosen_width(style.WIDTH) - LABEL) / pixels.shape[1], HIGHEST / pixels.shape[0])
    figure = style.figure(max(LEAST, LABEL + side * pixels.shape[1]), side * pixels.shape[0] + 0.6)
    figure.get_layout_engine().set(h_pad=0.01, w_pad=0.01, hspace=0, wspace=0)
    grid = figure.subplots(len(pixels), pixels.shape[1], squeeze=False)
    for axes, name, row in zip(grid, result.axes["row"], pixels, strict=True):
        for each, picture in zip(axes, row, strict=True):
            each.imshow(picture, interpolation="nearest")
            each.set(xticks=[], yticks=[])
            for spine in each.spines.values():
                spine.set(visible=False)
        axes[0].set_ylabel(_name(str(name), result), fontsize=style.small(), rotation=0, ha="right", va="center")
    suite = result.attributes["task"]
    style.frame(figure, f"Frames of {NAMES.get(suite, words.name(suite))}", {Path(source): result}, _note(result))
    return style.save(figure, out, Path(source).stem)


def _name(row: str, result: Result) -> str:
    """A row's name: its task without the suite's, or the factor that varies alone."""
    return row if " " in row else words.name(row.removeprefix(f"{result.attributes['task']}_"))


def _note(result: Result) -> str:
    settings, looks = result.notes["settings"], result.notes["looks"]
    pictures = {look["pictures"] for look in looks if "pictures" in look}
    made = " Skies and floors are made by NumPy; the original's photos may not be passed on." * ("made" in pictures)
    alone = settings["alone"]
    only = (
        f" 'x alone': {_name(alone, result)} with one factor varied; the others look as in dm_control." if alone else ""
    )
    render = ", ".join(sorted({look.get("render", "none") for look in looks}))
    many = int(np.size(result.axes["episode"]))
    return (
        f"A row a task, a column an episode (0 to {many - 1}), after {settings['steps']} actions. Render quality: "
        f"{render}.{made}{only}"
    )


if __name__ == "__main__":
    style.main("examples", draw)
