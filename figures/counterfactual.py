"""Wrong dreams under altered actions: hallucinations, misses and calibration, per reward-loss weight."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from analysis.results import Result, load
from analysis.stats import SHARE, seed_interval
from analysis.verdicts import probe_cannot_tell
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
    blind = probe_cannot_tell(result)  # then there is nothing to draw of the object
    events = [event for event in EVENTS if not (event == "object" and blind)]
    figure, grid = plt.subplots(2 * len(events), 2, figsize=(7.2, 5.2 * len(events) + 0.4), layout="constrained")
    for row, event in zip(grid.reshape(len(events), 4), events, strict=True):
        for axes, wrong in zip(row, WRONG, strict=False):
            _rates(axes, result, event, wrong)
        _calibration(row[-1], result, event)
    level = result.notes["protocol"]["thresholds"]
    unit = "px" if result.attributes["task"] == "mini_lever" else "m"
    levels = f"reward above {level['reward']:.2g}"
    levels += "" if blind else f", object moved by {level['object']:g} {unit}"
    title = f"Wrong dreams under altered actions, {style.task(result)} ({levels})"
    note = (
        "All branches begin at an untouched object, and altered actions never touch it. Averted: the event happens as "
        "recorded, not as altered.\nBeneath each group: its cases. "
    )
    if blind:
        note += f"The object's motion is not drawn: {blind.removeprefix('not judged: ')}."
    else:
        note += "Dashed: motion that the probe reads off seen frames where there is none;\n"
        note += f"it counts beyond {_quiet(result)} {unit}, as the probe's noise asks for."
    style.frame(figure, title, result, Path(source), note)
    return style.save(figure, out, Path(source).stem)


def _quiet(result: Result) -> str:
    """From the least to the greatest motion that counts as dreamed, over models."""
    values = result.values("object/quiet")
    return f"{values.min():.2g} to {values.max():.2g}"


def _rates(axes: Axes, result: Result, event: str, wrong: str) -> None:
    happened = result.values(f"{event}/happened")  # (alternative, branch)
    cases = happened == (1 if wrong == "miss" else 0)
    if wrong == "averted":
        cases &= happened[list(result.axes["alternative"]).index("recorded")] == 1
    counts = cases.sum(-1)
    some = np.flatnonzero(counts)
    groups = [f"{NAMES[str(result.axes['alternative'][j])]}\n({counts[j]})" for j in some]
    style.bars(axes, result, result.values(f"{event}/{wrong}_rate")[:, :, some], groups, SHARE)
    blind = list(result.axes["reference"]).index("ignores actions")
    for j, y in enumerate(result.values(f"reference/{event}/{wrong}_rate")[blind][some]):
        label = "a model that ignores actions" if not j else None
        axes.hlines(y, j - style.GROUP / 2, j + style.GROUP / 2, color="0.4", linestyle=":", linewidth=1.2, label=label)
    if event == "object" and wrong == "hallucination":
        for i, method in enumerate(map(str, result.axes["method"])):
            level = result.values("object/floor")[i].mean()
            axes.axhline(level, color=style.color(method, i), linewidth=0.8, dashes=(4, 2))
    axes.set_xticks(range(len(groups)), groups, fontsize=6.5)
    top = np.nanmax([axes.get_ylim()[1], 0.3])
    axes.set_ylim(0, min(top, 1))
    axes.set_ylabel("Share of dreams")
    axes.set_title(f"{EVENTS[event]}: {WRONG[wrong]}" if wrong != "miss" else WRONG[wrong].capitalize())


def _calibration(axes: Axes, result: Result, event: str) -> None:
    """True frequency of the event by the probability that is dreamed, as weighted in the record: mean over seeds, 95 %
    interval.
    """
    happened, weight = result.values(f"{event}/happened"), result.values("branch/weight")
    axes.plot((0, 1), (0, 1), color="0.7", linewidth=0.8)
    for i, method in enumerate(map(str, result.axes["method"])):
        probability = result.values(f"{event}/probability")[i]  # (seed, alternative, branch)
        found = np.stack([_frequencies(p, happened, np.broadcast_to(weight, p.shape)) for p in probability])
        some = np.isfinite(found[:, 0]).any(0)
        at = np.nanmean(found[:, 0][:, some], 0)
        spans = np.array([seed_interval(values, within=SHARE) for values in found[:, 1][:, some].T])  # (bins, 3)
        axes.vlines(at, *np.clip(spans[:, 1:], 0, 1).T, color=style.color(method, i), linewidth=0.8)
        axes.plot(at, spans[:, 0], marker="o", markersize=3, color=style.color(method, i))
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    axes.set_xlabel("Dreamed probability")
    axes.set_ylabel("True frequency")
    axes.set_title("Calibration, all actions")


def _frequencies(probability: np.ndarray, happened: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Mean dreamed probability and true frequency by bin of the former, ``(2, BINS)``, NaN where a bin is empty."""
    known = np.isfinite(happened) & np.isfinite(probability)
    p, t, w = probability[known], happened[known], weight[known]
    at = np.minimum((p * BINS).astype(int), BINS - 1)
    total = np.bincount(at, w, BINS)
    with np.errstate(invalid="ignore"):
        return np.stack([np.bincount(at, values * w, BINS) / total for values in (p, t)])


if __name__ == "__main__":
    style.main("counterfactual", draw)
