"""Fig. 2c: errors of regressing object positions from representations, per object, beside what no features reach."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from analysis.results import Result, load
from figures import style

KINDS = {"posterior": "Posterior features (all frames seen)", "open_loop": "Open-loop features (imagined)"}


def draw(source: Path, out: Path) -> Path:
    """Draws a result of ``analysis.state_regression``; returns the PNG's path."""
    result = load(source)
    style.apply()
    figure, axes = plt.subplots(1, len(KINDS), figsize=(7.2, 3.2), sharey=True, layout="constrained")
    for panel, kind in zip(axes, KINDS, strict=True):
        _points(panel, result, kind)
    unit = "px$^2$" if result.attributes["task"] == "mini_lever" else "cm$^2$"
    axes[0].set_ylabel(f"Mean squared distance ({unit})")
    protocol = result.notes["protocol"]
    note = (
        f"Points: MLP probe; {protocol['segments']:,} segments of {protocol['length']} steps of {protocol['episodes']} "
        f"episodes ({protocol['data']}), {protocol['folds']} folds of whole episodes. Small dots: seeds."
    )
    style.frame(figure, f"State regression (Fig. 2c), {style.task(result)}", result, Path(source), note)
    return style.save(figure, out, Path(source).stem)


def _points(axes: Axes, result: Result, kind: str) -> None:
    objects = [str(name) for name in result.axes["object"]]
    style.points(axes, result, np.nanmean(result.values(f"mlp/{kind}"), (2, 3)), objects)  # over probe seeds, episodes
    linear = np.nanmean(result.values(f"linear/{kind}"), (1, 2))  # (method, object)
    width = style.GROUP / len(linear)
    for i, level in enumerate(linear):
        for j, y in enumerate(level):
            left = j - style.GROUP / 2 + i * width
            axes.hlines(y, left, left + width, color="0.1", linestyle="--", label=None if i or j else "linear probe")
    for name, dash in (("constant", "-"), ("shuffled", ":")):
        level = np.nanmean(result.values(f"{name}/{kind}"), (0, 1, 2))  # (object,)
        label = {"constant": "best constant", "shuffled": "shuffled control"}[name]
        for j, y in enumerate(level):
            ends = j - style.GROUP / 2, j + style.GROUP / 2
            axes.hlines(y, *ends, color="0.3", linestyle=dash, linewidth=1, label=None if j else label)
    style.plain_log(axes)
    axes.set_title(KINDS[kind])


if __name__ == "__main__":
    style.main("state_regression", draw)
