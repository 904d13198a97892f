"""Fig. 23: learned coefficients beside Eq. 13's, and Fig. 4 (right): what rectifying the loss does to them."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from analysis.results import load
from figures import curves, style

LOSSES = {"observation": r"$\exp(-s_o)$", "reward": r"$\exp(-s_r)$", "dynamics": r"$\exp(-s_d)$"}


def draw(source: Path, out: Path) -> Path:
    """Draws a result of ``analysis.coefficients``; returns the PNG's path."""
    result = load(source)
    style.apply()
    figure, panels = plt.subplots(2, 2, figsize=(7.2, 5.2), layout="constrained")
    grid = panels.ravel()
    steps = result.axes["log_step"]
    for axes, (loss, text) in zip(grid, LOSSES.items(), strict=False):
        if f"weight/{loss}" in result.data:  # not before the first line of training metrics
            curves.line(axes, steps, result.values(f"weight/{loss}")[0], style.color("harmony", 0), "learned")
            analytic = result.values(f"analytic_weight/{loss}")[0]
            curves.line(axes, steps, analytic, "0.35", "Eq. 13 for the loss's running mean", dash="--")
            style.plain_log(axes)
        axes.set_title(f"{loss.capitalize()} loss")
        axes.set_ylabel(text)
        style.steps_axis(axes, max(config["train"]["steps"] for config in result.config.values()), result)
    _rectified(grid[-1])
    title = f"Coefficients that HarmonyDream learns (Fig. 23), {style.task(result)}"
    style.frame(figure, title, result, Path(source))
    return style.save(figure, out, Path(source).stem)


def _rectified(axes: Axes) -> None:
    """The weight that minimises the expected harmonious loss, as a function of the loss (Prop. 3.1, Eq. 13)."""
    loss = np.logspace(-4, 4, 200)
    axes.plot(loss, 1 / loss, color="0.5", linestyle=":", label="Eq. 4")
    axes.plot(loss, 2 / (loss + np.sqrt(loss**2 + 4 * loss)), color=style.color("harmony", 0), label="Eq. 5")
    axes.set(xscale="log", yscale="log", xlabel="Mean loss", ylabel="Weight at the optimum", title="Fig. 4, right")
    axes.legend()


if __name__ == "__main__":
    style.main("coefficients", draw)
