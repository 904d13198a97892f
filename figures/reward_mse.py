"""E.10: open-loop reward error with and without observation modelling, beside the paper's two numbers."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from analysis.results import load
from figures import style


def draw(source: Path, out: Path) -> Path:
    """Draws a result of ``analysis.reward_mse``; returns the PNG's path."""
    result = load(source)
    style.apply()
    figure, (left, right) = plt.subplots(1, 2, figsize=(7.2, 3.2), layout="constrained")
    methods = [str(method) for method in result.axes["method"]]
    errors = result.values("window/error")  # (method, seed, window)
    style.bars(left, result, errors.mean(-1)[..., None], [""])
    left.set_xticks([])
    paper = result.notes["paper"]
    for i, method in enumerate(methods):
        at = (i - (len(methods) - 1) / 2) * style.GROUP / len(methods)
        if method in paper:
            label = None if i else "paper (v2, its own buffer)"
            left.plot(at, paper[method], "D", color="white", markeredgecolor="k", markersize=5, label=label)
        share = np.sort(errors[i].ravel())
        right.plot(share, 1 - np.arange(len(share)) / len(share), color=style.color(method, i))
    left.set_ylabel("Mean squared reward error")
    left.set_title("35 frames seen, 15 rewards dreamed")
    right.set(xscale="log", yscale="log", xlabel="Error of a window", ylabel="Share of windows above")
    right.set_title("The tail makes the mean")
    style.frame(
        figure, f"Reward error with and without observations (E.10), {style.task(result)}", result, Path(source)
    )
    return style.save(figure, out, Path(source).stem)


if __name__ == "__main__":
    style.main("reward_mse", draw)
