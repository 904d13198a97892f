"""Table 2 (Atari 100K): aggregates of every method, and what HarmonyDream changes in each game."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from analysis.results.schema import Result, ResultError, load
from figures.shared import style
from hdream_core.support.drawing import Axes, Line2D, Patch

ITEM = "Table 2"
SHOWS = (  # in the paper
    "Scores of six methods on Atari 100K. In the paper Harmony DreamerV3 has a mean of 136.5 % and matches or "
    "surpasses DreamerV3 in 23 of 26 games."
)

STATISTICS = {"mean": "Mean", "median": "Median", "iqm": "Interquartile mean (ours)"}
HIGHER, WITHIN, LOWER, OTHERS = "#0072B2", "#E69F00", "#D55E00", "0.45"  # Okabe and Ito's, as in style


@style.look()
def draw(source: Path, out: Path) -> Path:
    """Draws a result of ``analysis.atari_table`` to ``<out>/<name>.png`` and ``.pdf``; returns the PNG's path.

    Raises:
        ResultError: naming the file, if it is not a result of that study.
    """
    result = load(source)
    if result.attributes["study"] != "atari_table":
        raise ResultError(f"{source}: is a result of {result.attributes['study']}, not of atari_table")
    figure = style.figure(style.WIDTH, 5.4)
    left, right = figure.subfigures(1, 2, width_ratios=(1, 1.05))
    for axes, name in zip(left.subplots(len(STATISTICS), 1), STATISTICS, strict=True):
        _aggregates(axes, result, name)
    _games(right.subplots(), result)
    note = (
        f"From the scores that the paper prints. Left: 95 % intervals over the {len(result.axes['game'])} games "
        "(bootstrap), not over seeds."
    )
    title = "Atari 100K (Table 2): human-normalised scores, 0 % random play, 100 % human"
    printed = Line2D([], [], linestyle="", marker="|", color="black", markersize=9, label="as printed")
    style.frame(figure, title, {Path(source): result}, note, [printed])
    return style.save(figure, out, Path(source).stem)


def _aggregates(axes: Axes, result: Result, name: str) -> None:
    """One aggregate of every method, a point with its interval, the printed value as a vertical bar."""
    methods = result.methods
    ours = result.notes["compared"][0]
    values, low, high = (100 * result.values(name + end) for end in ("", "_low", "_high"))
    for i, method in enumerate(methods):
        color = style.color("harmony", 0) if method == ours else OTHERS
        axes.plot([low[i], high[i]], [i, i], color=color, linewidth=1.6, solid_capstyle="butt")
        axes.plot(values[i], i, "o", color=color, markersize=4.5)
        axes.text(high[i] + 4, i, f"{values[i]:.1f}", fontsize=style.small(), va="center", color=color)
    if f"{name}_printed" in result.data:
        printed = 100 * result.values(f"{name}_printed")
        axes.plot(printed, range(len(methods)), "|", color="black", markersize=11)
    axes.axvline(100, color="0.7", linewidth=0.8, linestyle=":", zorder=0)
    axes.set_title(STATISTICS[name], loc="left")
    axes.set_yticks(range(len(methods)), [result.notes["labels"][method] for method in methods], fontsize=style.small())
    axes.set_ylim(len(methods) - 0.4, -0.6)
    axes.set_xlim(0, 1.18 * 100 * max(result.values(f"{each}_high").max() for each in STATISTICS))
    if name == list(STATISTICS)[-1]:
        axes.set_xlabel("% of human")


def _games(axes: Axes, result: Result) -> None:
    """Difference of the two compared methods in every game; a bar that dwarfs the rest is cut and says so."""
    ours, base = (list(result.axes["method"]).index(method) for method in result.notes["compared"])
    normalised, score = result.values("human_normalised"), result.values("score")
    difference = 100 * (normalised[ours] - normalised[base])
    within = score[ours] >= score[base] - result.notes["tolerance"] * np.abs(score[base])
    color = np.where(score[ours] >= score[base], HIGHER, np.where(within, WITHIN, LOWER))
    order = np.argsort(difference)
    largest = np.sort(np.abs(difference))[::-1]
    # Twice as long as the next one: with it in full, the other bars could not be read.
    limit = 1.15 * largest[1] if largest[0] > 2 * largest[1] > 0 else np.inf
    shown = np.clip(difference, -limit, limit)
    axes.barh(range(len(order)), shown[order], color=color[order], height=0.7)
    for place, game in enumerate(order):
        cut = difference[game] != shown[game]
        side = 1 if difference[game] >= 0 else -1
        text = f"{difference[game]:+.1f}".replace("-", "−") if difference[game] else "0"
        if cut:
            axes.plot(shown[game] * np.array([0.95, 0.97]), [place - 0.45, place + 0.45], color="white", linewidth=2)
        axes.annotate(
            f"{text} (bar cut)" if cut else text,
            (shown[game], place),
            xytext=(-12 * side if cut else 3 * side, 0),
            textcoords="offset points",
            ha="right" if (side > 0) == cut else "left",
            va="center",
            fontsize=style.small(),
            color="white" if cut else "0.25",
        )
    axes.axvline(0, color="0.3", linewidth=0.8)
    axes.set_yticks(range(len(order)), result.axes["game"][order], fontsize=style.small())
    axes.set_ylim(-0.7, len(order) - 0.3)
    axes.margins(x=0.17)
    labels = [result.notes["labels"][method] for method in result.notes["compared"]]
    axes.set_title(f"{labels[0]} minus {labels[1]}", loc="right")
    axes.set_xlabel("Difference, percentage points of human")
    _legend(axes, color, result.notes["tolerance"])


def _legend(axes: Axes, color: np.ndarray, tolerance: float) -> None:
    """How many games are higher, nearly as high, lower: what the paper's '23 of 26' counts."""
    texts = {
        HIGHER: "score equal or higher",
        WITHIN: f"lower by at most {100 * tolerance:g} %",
        LOWER: f"lower by more than {100 * tolerance:g} %",
    }
    handles = [Patch(color=key, label=f"{(color == key).sum()} games: {text}") for key, text in texts.items()]
    axes.legend(handles=handles, loc="lower right", bbox_to_anchor=(1.02, 0.14), fontsize=style.small())


if __name__ == "__main__":
    style.main("atari_table", draw)
