"""Fig. 3: truth above each model's dream of it, with rewards marked correct or incorrect."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from analysis.results import Result, load
from figures import style

CORRECT, INCORRECT = "#0072B2", "#D55E00"  # and a tick or a cross, so that colour alone says nothing


def draw(source: Path, out: Path) -> Path:
    """Draws a result of ``analysis.finding2``; returns the PNG's path."""
    result = load(source)
    style.apply()
    cases, frames = (result.axes[name] for name in ("case", "frame"))
    methods = [str(method) for method in result.axes["method"]]
    rows = 1 + len(methods)
    height = 0.92 * rows * len(cases) + 0.28 * len(cases) + style.HEAD + style.FOOT
    figure = plt.figure(figsize=(8.2, height), layout="constrained")
    for i, part in enumerate(np.ravel(figure.subfigures(len(cases), 1))):
        grid = part.subplots(rows, len(frames), gridspec_kw={"wspace": 0.02, "hspace": 0.02})
        part.suptitle(_caption(result, i), fontsize=8, x=0.01, ha="left")
        _row(grid[0], result, i, None)
        for j in range(len(methods)):
            _row(grid[1 + j], result, i, j)
        for axes, name in zip(grid[:, 0], ["truth", *map(style.label, methods)], strict=True):
            axes.set_ylabel(name, fontsize=8)
    protocol = result.notes["protocol"]
    title = f"Finding 2: dreams on held-out windows, {style.task(result)}"
    note = (
        f"{protocol['context']} frames seen, {protocol['horizon']} dreamed, every fifth drawn. Beneath: reward; "
        f"\N{CHECK MARK} within {protocol['tolerance']:g} of the truth, \N{MULTIPLICATION X} not. Right: "
        f"{100 * protocol['share']:.0f} % of the {protocol['horizon']} are.\nModels of seed {result.axes['seed'][0]}; "
        "percentages over all seeds. Shown: of each case the window of median difference in error."
    )
    style.frame(figure, title, result, Path(source), note)
    return style.save(figure, out, Path(source).stem)


def _caption(result: Result, case: int) -> str:
    """What the window stands for, and how common that is."""
    first, second = (style.label(str(method)) for method in result.axes["method"])
    name = str(result.axes["case"][case])
    split, words = ("moving", "in which the reward moves") if result.values("case/moving")[case] else ("all", "in all")
    row = result.notes["final"][split]
    often = f": {100 * row[name]['over_seeds']['mean']:.0f} % of {row['windows']} windows {words}"
    return name.replace("first", first).replace("second", second).capitalize() + often


def _row(grid: np.ndarray, result: Result, case: int, method: int | None) -> None:
    """Frames and rewards of one window: true (method None) or dreamed."""
    protocol, window = result.notes["protocol"], int(result.values("case/window")[case])
    truth = result.values("true_reward")[window]  # (H,)
    pictures = result.values("picture/true") if method is None else result.values("picture/dreamed")[method]
    for axes, frame, image in zip(grid, result.axes["frame"], pictures[case], strict=True):
        axes.imshow(image, interpolation="nearest")
        axes.set(xticks=[], yticks=[])
        for spine in axes.spines.values():
            spine.set_visible(False)
        step = int(frame) - protocol["context"]
        if step < 0:
            _reward(axes, "seen" if method is None else "", "0.5")
        elif method is None:
            _reward(axes, f"{truth[step]:.1f}", "0.15")
        else:
            dreamed = result.values("dreamed_reward")[method, 0, window, step]
            correct = abs(dreamed - truth[step]) <= protocol["tolerance"]
            mark = "\N{CHECK MARK}" if correct else "\N{MULTIPLICATION X}"
            _reward(axes, f"{dreamed:.1f} {mark}", CORRECT if correct else INCORRECT)


def _reward(axes: Axes, text: str, color: str) -> None:
    axes.set_xlabel(text, fontsize=7, color=color, labelpad=1.5)


if __name__ == "__main__":
    style.main("finding2", draw)
