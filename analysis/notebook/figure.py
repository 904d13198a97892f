"""A rollout for notebooks: the simulator's frames above each model's dream of them, and all rewards beneath."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from figures.shared import style
from hdream_core.support.drawing import Drawing

if TYPE_CHECKING:
    from analysis.notebook.rollouts import Rollout


@style.look()
def draw(rollout: Rollout, every: int = 5, title: str = "") -> Drawing:
    """Every few frames of truth and dreams, and rewards against steps; dreamt frames stand right of the line."""
    shown = np.arange(0, len(rollout.true_reward), every)
    rows = {"simulator": rollout.true_image, **rollout.dreamed_image}
    # Not pyplot's: at the end of a cell a notebook shows and closes all of those, whichever thread is drawing one.
    figure = style.figure(0.85 * len(shown), 0.95 * len(rows) + 1.9)
    top, bottom = figure.subfigures(2, 1, height_ratios=(0.95 * len(rows), 1.9))
    grid = top.subplots(len(rows), len(shown), squeeze=False, gridspec_kw={"wspace": 0.02, "hspace": 0.02})
    for line, (name, images) in zip(grid, rows.items(), strict=True):
        for axes, step in zip(line, shown, strict=True):
            axes.imshow(images[step])
            axes.set(xticks=[], yticks=[])
            seen = step < rollout.context
            color = "0.7" if seen else "0.15" if name == "simulator" else style.color(name, 0)
            for spine in axes.spines.values():
                spine.set(visible=True, color=color, linewidth=0.6 if seen else 1.4)
        line[0].set_ylabel(style.label(name), fontsize=8)
    for axes, step in zip(grid[0], shown, strict=True):
        axes.set_title("seen" if step < rollout.context else f"+{step - rollout.context + 1}", fontsize=7)
    axes = bottom.subplots()
    axes.plot(rollout.true_reward, color=style.INK, label="simulator")
    for i, (name, reward) in enumerate(rollout.dreamed_reward.items()):
        dreamt = np.arange(rollout.context, len(reward))
        axes.plot(dreamt, reward[dreamt], color=style.color(name, i), label=style.label(name))
    axes.axvline(rollout.context - 0.5, color="0.7", linewidth=0.8)
    axes.set(xlabel="Step (dreams begin at the line)", ylabel="Reward", xlim=(0, len(rollout.true_reward) - 1))
    axes.legend(ncols=len(rows), fontsize=7)
    if title:
        figure.suptitle(title, fontsize=9)
    return figure
