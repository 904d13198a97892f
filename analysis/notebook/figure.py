"""Draws a rollout for notebooks: frames of simulator and models, and rewards and positions below them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from figures.shared import style
from hdream_core.support.drawing import Axes, Drawing

if TYPE_CHECKING:
    from analysis.notebook.rollouts import Record, Rollout

BENEATH = 1.9  # inches of the panels beneath the frames


@style.look()
def draw(rollout: Rollout, every: int = 5, title: str = "", record: Record | None = None) -> Drawing:
    """Draws every few frames of truth and predictions, and rewards against steps; predictions begin at the line.

    Args:
        rollout: to draw.
        every: steps between two frames.
        title: of the figure.
        record: what was recorded of the same steps; its frames are drawn on top, and its path beside the pushed one.
    """
    shown = np.arange(0, len(rollout.true_reward), every)
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
    _rewards(axes, rollout, record)  # ``picture`` adds to these, the last axes
    if title:
        figure.suptitle(title, fontsize=9)
    return figure


def _rewards(axes: Axes, rollout: Rollout, record: Record | None) -> None:
    axes.plot(rollout.true_reward, color=style.INK, label="simulator" if record is None else "pushed")
    if record is not None:
        axes.plot(record.reward, ":", color="0.4", label="recorded")
    for i, (name, reward) in enumerate(rollout.dreamed_reward.items()):
        steps = np.arange(rollout.context, len(reward))
        axes.plot(steps, reward[steps], color=style.color(name, i), label=style.label(name))
    axes.axvline(rollout.context - 0.5, color="0.7", linewidth=0.8)
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
