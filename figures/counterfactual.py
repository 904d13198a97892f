"""Wrong dreams under altered actions: hallucinations, misses and calibration, per reward-loss weight."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from analysis.results import Result, load
from figures import style

NAMES = {
    "recorded": "as recorded",
    "halt": "halt",
    "stop_short": "stop short",
    "displaced": "displaced",
    "mirrored": "mirrored",
}
EVENTS = {"reward": "Reward rises", "object": "Object moves"}
WRONG = {
    "averted": "dreamed, but averted",
    "hallucination": "dreamed, does not happen",
    "miss": "happens, not dreamed",
}
BINS = 5  # of dreamed probability


def draw(source: Path, out: Path) -> Path:
    """Draws a result of ``analysis.counterfactual``; returns the PNG's path."""
    result = load(source)
    style.apply()
    figure, grid = plt.subplots(2, 4, figsize=(13.2, 5.6), width_ratios=(1.3, 1.3, 1.3, 1), layout="constrained")
    for row, event in zip(grid, EVENTS, strict=True):
        for axes, wrong in zip(row, WRONG, strict=False):
            _rates(axes, result, event, wrong)
        _calibration(row[-1], result, event)
    level = result.notes["protocol"]["thresholds"]
    unit = "px" if result.attributes["task"] == "mini_lever" else "m"
    levels = f"reward above {level['reward']:.2g}, object moved by {level['object']:g} {unit}"
    title = f"Wrong dreams under altered actions, {style.task(result)} ({levels})"
    note = (
        "Averted: the event happens as recorded, not with the altered actions. Beneath each group: its cases. Dashed: "
        "motion that the probe reads off seen frames where there is none."
    )
    style.frame(figure, title, result, Path(source), note)
    return style.save(figure, out, Path(source).stem)


def _rates(axes: Axes, result: Result, event: str, wrong: str) -> None:
    groups = [NAMES[str(name)] for name in result.axes["alternative"]]
    style.bars(axes, result, result.values(f"{event}/{wrong}_rate"), groups)
    blind = list(result.axes["reference"]).index("ignores actions")
    for j, y in enumerate(result.values(f"reference/{event}/{wrong}_rate")[blind]):
        label = "a model that ignores actions" if not j else None
        axes.hlines(y, j - style.GROUP / 2, j + style.GROUP / 2, color="0.4", linestyle=":", linewidth=1.2, label=label)
    happened = result.values(f"{event}/happened")  # (alternative, branch)
    cases = happened == (1 if wrong == "miss" else 0)
    if wrong == "averted":
        cases &= happened[list(result.axes["alternative"]).index("recorded")] == 1
    counts = cases.sum(-1)
    if event == "object" and wrong == "hallucination":
        for i, method in enumerate(map(str, result.axes["method"])):
            level = result.values("object/floor")[i].mean()
            axes.axhline(level, color=style.color(method, i), linewidth=0.8, dashes=(4, 2))
    axes.set_xticks(
        range(len(groups)), [f"{name}\n({n})" for name, n in zip(groups, counts, strict=True)], fontsize=6.5
    )
    axes.set_ylim(0, 1)
    axes.set_ylabel("Share of dreams")
    axes.set_title(f"{EVENTS[event]}: {WRONG[wrong]}")


def _calibration(axes: Axes, result: Result, event: str) -> None:
    happened = result.values(f"{event}/happened")
    axes.plot((0, 1), (0, 1), color="0.7", linewidth=0.8)
    for i, method in enumerate(map(str, result.axes["method"])):
        probability = result.values(f"{event}/probability")[i]  # (seed, alternative, branch)
        truth = np.broadcast_to(happened, probability.shape)
        known = np.isfinite(truth) & np.isfinite(probability)
        p, t = probability[known], truth[known]
        at = np.minimum((p * BINS).astype(int), BINS - 1)
        counts = np.bincount(at, minlength=BINS)
        some = counts > 0
        means = [np.bincount(at, values, BINS)[some] / counts[some] for values in (p, t)]
        axes.plot(*means, marker="o", markersize=3, color=style.color(method, i))
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    axes.set_xlabel("Dreamed probability")
    axes.set_ylabel("True frequency")
    axes.set_title("Calibration, all actions")


if __name__ == "__main__":
    style.main("counterfactual", draw)
