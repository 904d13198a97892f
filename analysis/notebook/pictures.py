"""Draws rollouts for notebooks: frames of simulator and models, and rewards and positions below them."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Callable, Mapping

import numpy as np
from IPython.display import ProgressBar
from PIL import Image

from analysis.notebook.rollouts import Record, Rollout
from analysis.results.tasks import task_facts
from figures.shared import style
from hdream_core.support.drawing import Axes, Drawing

EVERY = 5  # steps between two frames
BENEATH = 1.9  # inches of the panels beneath the frames


@style.look()
def draw(
    rollout: Rollout,
    title: str = "",
    recorded: np.ndarray | None = None,
    level: float | None = None,
    record: Record | None = None,
) -> Drawing:
    """Draws every few frames of truth and predictions, and rewards against steps; predictions begin at the line.

    Args:
        rollout: to draw.
        title: of the figure.
        recorded: recorded reward, drawn beside the reward under altered actions.
        level: drawn as a line; a reward above it counts.
        record: what was recorded of the same steps; its frames are drawn on top, and its path beside the pushed one.
    """
    shown = np.arange(0, len(rollout.true_reward), EVERY)
    rows = {} if record is None else {"recorded": record.image}
    rows |= {"simulator" if record is None else "pushed": rollout.true_image, **rollout.dreamed_image}
    # Not a figure of pyplot: a notebook shows and closes those at the end of a cell, even while a thread draws one.
    figure = style.figure(0.85 * len(shown), 0.95 * len(rows) + BENEATH)
    top, bottom = figure.subfigures(2, 1, height_ratios=(0.95 * len(rows), BENEATH))
    grid = top.subplots(len(rows), len(shown), squeeze=False, gridspec_kw={"wspace": 0.02, "hspace": 0.02})
    for line, (name, images) in zip(grid, rows.items(), strict=True):
        for axes, step in zip(line, shown, strict=True):
            axes.imshow(images[step])
            axes.set(xticks=[], yticks=[])
            seen = step < rollout.context
            color = style.color(name, 0) if name in rollout.dreamed_image else "0.15"
            for spine in axes.spines.values():
                spine.set(visible=True, color="0.7" if seen else color, linewidth=0.6 if seen else 1.4)
        line[0].set_ylabel(style.label(name), fontsize=8)
    for axes, step in zip(grid[0], shown, strict=True):
        axes.set_title("seen" if step < rollout.context else f"+{step - rollout.context + 1}", fontsize=7)
    if record is not None:
        places, axes = bottom.subplots(1, 2, width_ratios=(1, 2.2))
        _paths(places, rollout, record)
    else:
        axes = bottom.subplots()
    _rewards(axes, rollout, recorded, level, record)
    if title:
        figure.suptitle(title, fontsize=9)
    return figure


def _rewards(
    axes: Axes, rollout: Rollout, recorded: np.ndarray | None, level: float | None, record: Record | None
) -> None:
    axes.plot(rollout.true_reward, color=style.INK, label="simulator" if record is None else "pushed")
    if record is not None:
        axes.plot(record.reward, ":", color="0.4", label="recorded")
    for i, (name, reward) in enumerate(rollout.dreamed_reward.items()):
        steps = np.arange(rollout.context, len(reward))
        axes.plot(steps, reward[steps], color=style.color(name, i), label=style.label(name))
    axes.axvline(rollout.context - 0.5, color="0.7", linewidth=0.8)
    if recorded is not None:
        axes.plot(recorded, ":", color="0.4", linewidth=1, label="simulator, as recorded")
    if level is not None:
        axes.axhline(level, color="0.6", linewidth=0.8, dashes=(4, 2), label="level")
    axes.set(xlabel="Step (dreams begin at the line)", ylabel="Reward", xlim=(0, len(rollout.true_reward) - 1))
    axes.legend(ncols=len(axes.get_legend_handles_labels()[0]), fontsize=7)


def _paths(axes: Axes, rollout: Rollout, record: Record) -> None:
    """Draws the paths of hand and object from above, recorded and pushed."""
    for thing, dark in zip(record.where, ("0.1", "#0072B2"), strict=False):
        for where, dash in ((record.where, ":"), (rollout.where, "-")):
            if thing in where:
                x, y = where[thing][rollout.context - 1 :, :2].T
                axes.plot(x, y, dash, color=dark, linewidth=1.2)
                axes.plot(x[-1], y[-1], "o", color=dark, markersize=3, alpha=0.5 if dash == ":" else 1)
        axes.plot([], [], color=dark, label=thing)
    axes.set(xlabel="x", ylabel="y", title="From above (dotted: recorded)")
    axes.margins(0.1)
    axes.legend(fontsize=7)


@style.look()
def picture(
    found: Rollout,
    title: str = "",
    recorded: np.ndarray | None = None,
    level: float | None = None,
    record: Record | None = None,
) -> Image.Image:
    """Draws a rollout as a small image, which a notebook shows whatever its backend; arguments as for ``draw``."""
    buffer = io.BytesIO()
    draw(found, title, recorded, level, record).savefig(buffer, dpi=100)
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
