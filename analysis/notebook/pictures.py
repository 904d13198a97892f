"""Pictures of rollouts, small enough for a notebook to keep."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from analysis.notebook.figure import draw
from analysis.notebook.rollouts import Rollout
from figures.shared import style


@style.look()
def picture(
    found: Rollout, title: str = "", recorded: np.ndarray | None = None, level: float | None = None
) -> Image.Image:
    """Draws a rollout as a small image, which a notebook shows with any backend.

    Args:
        found: to show.
        title: of the picture.
        recorded: reward of the record, to draw beside that under altered actions.
        level: to draw, that a reward rises above.
    """
    figure = draw(found, title=title)
    axes = figure.axes[-1]
    if recorded is not None:
        axes.plot(recorded, ":", color="0.4", linewidth=1, label="simulator, as recorded")
    if level is not None:
        axes.axhline(level, color="0.6", linewidth=0.8, dashes=(4, 2), label="level")
    axes.legend(ncols=len(axes.get_legend_handles_labels()[0]), fontsize=7)
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=100)
    return smaller(Image.open(buffer))


def smaller(image: Image.Image, width: int = 900) -> Image.Image:
    """An image of at most so many pixels across and 256 colours, so that a notebook stays light.

    The octree keeps the colours of thin lines, which a median cut gives away to the many shades of photographs.
    """
    image = image.convert("RGB")
    image.thumbnail((width, 10 * width), Image.Resampling.LANCZOS)
    return image.quantize(256, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
