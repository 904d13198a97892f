"""Fig. 2b: scales of the three losses, per dimension too, and their shares of the gradient at the shared parameters."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from analysis.results import Result, load
from analysis.stats import SHARE
from figures import curves, style

LOSSES = {"observation": "-", "reward": "--", "dynamics": ":"}


def draw(source: Path, out: Path) -> Path:
    """Draws a result of ``analysis.loss_scales``; returns the PNG's path."""
    result = load(source)
    style.apply()
    figure, ((scales, ratio), shares) = plt.subplots(2, 2, figsize=(7.2, 5.8), layout="constrained")
    _losses(scales, result)
    _ratio(ratio, result)
    values = np.stack([result.values(f"gradient_share/{loss}") for loss in LOSSES], -1)  # (method, seed, stage, loss)
    for at, axes in enumerate(shares):
        style.bars(axes, result, values[:, :, at], list(LOSSES), SHARE)
        axes.set_ylim(0, 1)
        axes.set_ylabel("Share of weighted norms")
        axes.set_title(f"Gradients at shared parameters, {result.axes['stage'][at]}")
    style.frame(figure, f"Loss scales (Fig. 2b), {style.task(result)}", result, Path(source))
    return style.save(figure, out, Path(source).stem)


def _losses(axes: Axes, result: Result) -> None:
    """The first method's losses, as Fig. 2b has them, and the observation loss per number of the image."""
    steps = result.axes["log_step"]
    color = style.color(str(result.axes["method"][0]), 0)
    handles = []
    for loss, dash in LOSSES.items():
        curves.line(axes, steps, result.values(f"loss/{loss}")[0], color, None, dash=dash)
        handles.append(Line2D([], [], color=color, linestyle=dash, label=loss))
    pixel = result.values("loss/observation")[0] / result.notes["dimensions"]["observation"]
    curves.line(axes, steps, pixel, "0.6", None)
    handles.append(Line2D([], [], color="0.6", label="observation / HWC"))
    axes.set_yscale("log")
    axes.set_title(f"Losses with {style.label(str(result.axes['method'][0]))}")
    axes.set_ylabel("Loss (unweighted)")
    axes.legend(handles=handles, fontsize=6.5, loc="center right", bbox_to_anchor=(1.0, 0.265), labelspacing=0.25)
    style.steps_axis(axes, max(config["train"]["steps"] for config in result.config.values()), result)


def _ratio(axes: Axes, result: Result) -> None:
    steps = result.axes["log_step"]
    values = result.values("loss/observation") / result.values("loss/reward")  # (method, seed, step)
    for i, method in enumerate(map(str, result.axes["method"])):
        curves.line(axes, steps, values[i], style.color(method, i), None)
    axes.axhline(100, color="0.6", linestyle=":", linewidth=1)
    style.plain_log(axes)
    axes.set_title("Observation loss over reward loss")
    axes.set_ylabel("Ratio (dotted: 100)")
    style.steps_axis(axes, max(config["train"]["steps"] for config in result.config.values()), result)


if __name__ == "__main__":
    style.main("loss_scales", draw)
