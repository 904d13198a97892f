"""Makes pictures of rollouts that are small enough to be stored in a notebook."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Callable, Mapping

import numpy as np
from IPython.display import ProgressBar
from PIL import Image

from analysis.notebook.figure import draw
from analysis.notebook.rollouts import Record, Rollout
from analysis.results.tasks import task_facts
from figures.shared import style


@style.look()
def picture(
    found: Rollout,
    title: str = "",
    recorded: np.ndarray | None = None,
    level: float | None = None,
    record: Record | None = None,
) -> Image.Image:
    """Draws a rollout as a small image, which a notebook shows whatever its backend.

    Args:
        found: to show.
        title: of the picture.
        recorded: recorded reward, drawn beside the reward under altered actions.
        level: drawn as a line; a reward above it counts.
        record: of the same steps; its frames and paths are drawn beside those of altered actions.
    """
    figure = draw(found, title=title, record=record)
    axes = figure.axes[-1]
    if recorded is not None:
        axes.plot(recorded, ":", color="0.4", linewidth=1, label="simulator, as recorded")
    if level is not None:
        axes.axhline(level, color="0.6", linewidth=0.8, dashes=(4, 2), label="level")
    axes.legend(ncols=len(axes.get_legend_handles_labels()[0]), fontsize=7)
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=100)
    return smaller(Image.open(buffer))


def moment(task: str, found: Rollout, record: Record, step: int) -> str:
    """Returns one step of a rollout as an HTML table: frames side by side, reward and positions below each.

    Args:
        task: of the rollout.
        found: the rollout.
        record: what was recorded of the same steps.
        step: index, counted from the start of the context.
    """
    facts = task_facts(task)
    frames = {"recorded": record.image, "pushed": found.true_image, **found.dreamed_image}
    rewards = {"recorded": record.reward, "pushed": found.true_reward, **found.dreamed_reward}
    rows = {"reward": {name: f"{values[step]:.2f}" for name, values in rewards.items()}}
    for thing in record.where:
        both = {"recorded": record.where, "pushed": found.where}
        rows[f"{thing} ({facts.reported_length})"] = {
            name: ", ".join(f"{value * facts.reported_per_length:.1f}" for value in where[thing][step])
            for name, where in both.items()
            if thing in where
        }
    after = step - found.context + 1
    shown = "seen by the models" if after <= 0 else f"dreamed, +{after}"
    head = "".join(f"<th>{html.escape(name)}</th>" for name in frames)
    pictures = "".join(f"<td>{_tag(images[step])}</td>" for images in frames.values())
    lines = "".join(f"<tr><th>{html.escape(name)}</th>{_cells(row, frames)}</tr>" for name, row in rows.items())
    style_of = "border-collapse: collapse; text-align: center; font-size: 13px"
    return (
        f'<table style="{style_of}"><tr><th>step {step}<br>({shown})</th>{head}</tr>'
        f"<tr><th></th>{pictures}</tr>{lines}</table>"
    )


def _cells(row: Mapping[str, str], names: Mapping[str, object]) -> str:
    return "".join(f"<td>{row.get(name, '')}</td>" for name in names)


def _tag(frame: np.ndarray) -> str:
    """Returns a frame as an HTML image with visible pixels."""
    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, "png")
    data = base64.b64encode(buffer.getvalue()).decode()
    return f'<img width="150" style="image-rendering: pixelated" src="data:image/png;base64,{data}">'


def bar() -> Callable[[int, int], None]:
    """Shows a progress bar, and returns a function of the steps done and of all steps that moves it."""
    shown = ProgressBar(1)
    shown.display()

    def move(done: int, total: int) -> None:
        shown.total = total
        shown.progress = done

    return move


def smaller(image: Image.Image, width: int = 900) -> Image.Image:
    """Returns an image with a limited width and 256 colours, so that a notebook stays small.

    The octree keeps the colours of thin lines; a median cut would spend them on the shades of photographs.
    """
    image = image.convert("RGB")
    image.thumbnail((width, 10 * width), Image.Resampling.LANCZOS)
    return image.quantize(256, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
