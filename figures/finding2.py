"""Fig. 3: truth above each model's dream of it, with rewards marked correct or incorrect, and all rewards beside."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from analysis.results.kinds_of_dreams import SHOWN
from analysis.results.schema import Result, load
from figures.shared import style, words
from hdream_core.support.drawing import Axes, Line2D, MaxNLocator, SubFigure

ITEM = "Fig. 3"
SHOWS = (  # in the paper
    "One trajectory in which the model with w_r = 1 dreams that the lever goes up with the arm, with rewards "
    "marked correct or incorrect, and the model with w_r = 100 does not. Ours says how often that is so."
)

CORRECT, INCORRECT = "0.25", "#D55E00"  # and a tick or a cross, so that colour alone says nothing
CAPTION, REWARDS = 0.34, 1.0  # inches: of a case's title, of the panel beneath its frames
WINDOWS = {
    "all": "windows",
    "moving": "windows with moving reward",
    "still and low": "windows with low and still reward",
}


@style.look()
def draw(source: Path, out: Path) -> Path:
    """Draws a result of ``analysis.finding2``; returns the PNG's path."""
    source, result = Path(source), load(source)
    cases = result.axes["case"]
    rows, wide = -(-len(cases) // 2), style.WIDTH / 2 / len(result.axes["frame"])
    pictures = 0.93 * wide * (1 + len(result.axes["method"]))  # the rest of the width is its labels'
    figure = style.figure(style.WIDTH, rows * (pictures + CAPTION + REWARDS) + 0.7)
    figure.get_layout_engine().set(h_pad=0.01, w_pad=0.02, hspace=0, wspace=0)
    for i, part in enumerate(np.ravel(figure.subfigures(rows, 2, wspace=0.02))[: len(cases)]):
        part.suptitle(_caption(result, i), fontsize=style.small(), x=0.01, ha="left")
        upper, lower = part.subfigures(2, 1, height_ratios=(pictures, REWARDS))
        _frames(upper, result, i)
        _rewards(lower.subplots(), result, i)
    legend = [Line2D([], [], color=style.INK, label="truth"), *style.handles(result)]
    title = f"Finding 2: dreams on held-out windows, {words.task(result)}"
    style.frame(figure, title, {source: result}, _note(result), legend)
    return style.save(figure, out, source.stem)


def _note(result: Result) -> str:
    protocol, frames = result.notes["protocol"], result.axes["frame"]
    within, share = protocol["tolerance"], 100 * protocol["share"]
    parts = [
        f"{protocol['context']} frames seen, {protocol['horizon']} dreamed; drawn: {', '.join(map(str, frames))}.",
        f"Above: the step; in the corners: the reward. {_mark(True)}: a dreamed reward within {within:g} of the true",
        f"one, which is in the band beneath; {_mark(False)}: not.",
        f"Right: {share:.0f} % of a dream's rewards are.",
    ]
    names, seeds = " ".join(map(str, result.axes["case"])), len(result.axes["seed"])
    if "made up" in names:
        parts.append(f"Made up: over {100 - share:.0f} % are higher than that. Low: at most {protocol['level']:.2g}.")
    parts.append(
        f"{words.short(result, len(result.axes['window']), 'windows')} Pictures and curves: models of seed "
        f"{result.axes['seed'][0]}, of each case the window of median difference in error."
    )
    if seeds > 1:
        parts.append(f"Frequencies: over {seeds} seeds, with 95 % intervals over them.")
    if result.attributes["scale"] != "paper":
        parts.append("A small decoder may leave small objects out: what a model dreams, its rewards tell.")
    return " ".join(" ".join(parts).split())


def _mark(correct: bool) -> str:
    return "\N{CHECK MARK}" if correct else "\N{MULTIPLICATION X}"


def _caption(result: Result, case: int) -> str:
    """What the window stands for, and how common that is."""
    first, second = (style.label(str(method)) for method in result.axes["method"])
    name = str(result.axes["case"][case])
    split = SHOWN.get(name, "all")
    row = result.notes["final"][split]
    text = name.replace("first", first).replace("second", second)
    text = text[0].upper() + text[1:]
    if "case/seeds" in result.data and len(result.axes["seed"]) > 1:  # not in older files
        text += f" (this one: {int(result.values('case/seeds')[case])} of {len(result.axes['seed'])} seeds)"
    if name in row:
        mean, low, high = (100 * (row[name]["over_seeds"][end] or 0) for end in ("mean", "low", "high"))
        interval = "" if row[name]["over_seeds"]["low"] is None else f" [{low:.0f}, {high:.0f}]"
        text += f"\n{mean:.0f} %{interval} of {row['windows']} {WINDOWS[split]}"
    return text


def _frames(part: SubFigure, result: Result, case: int) -> None:
    """A row of frames of the truth and one of each model."""
    methods = result.methods
    grid = part.subplots(1 + len(methods), len(result.axes["frame"]), squeeze=False)
    _row(grid[0], result, case, None)
    for j in range(len(methods)):
        _row(grid[1 + j], result, case, j)
    for axes, name in zip(grid[:, 0], ["truth", *map(style.label, methods)], strict=True):
        axes.set_ylabel(name, fontsize=style.small())


def _row(grid: np.ndarray, result: Result, case: int, method: int | None) -> None:
    """Frames of one window with the reward of each: true (method None), or dreamed and marked correct or incorrect."""
    protocol, window = result.notes["protocol"], int(result.values("case/window")[case])
    truth = result.values("true_reward")[window]  # (H,)
    rewards = truth if method is None else result.values("dreamed_reward")[method, 0, window]
    pictures = result.values("picture/true" if method is None else "picture/dreamed")
    for axes, picture, frame in zip(
        grid, pictures[case] if method is None else pictures[method, case], result.axes["frame"], strict=True
    ):
        axes.imshow(picture, interpolation="nearest")
        axes.set(xticks=[], yticks=[])
        step = int(frame) - protocol["context"]
        if step < 0:
            _edge(axes, None)
        elif method is None:
            _edge(axes, None, f"{truth[step]:z.1f}")
        else:
            correct = bool(abs(rewards[step] - truth[step]) <= protocol["tolerance"])
            _edge(axes, correct, f"{rewards[step]:z.1f}{_mark(correct)}")
        if method is None:
            axes.set_title("seen" if step < 0 else str(frame), fontsize=style.small(), pad=1)


def _edge(axes: Axes, correct: bool | None, reward: str = "") -> None:
    """Around a frame: whether its reward is correct; in its corner the reward, as in the paper."""
    color = "0.8" if correct is None else CORRECT if correct else INCORRECT
    for spine in axes.spines.values():
        spine.set(visible=True, color=color, linewidth=0.5 if correct is not False else 1.4)
    if reward:
        box = {"facecolor": "white", "edgecolor": "none", "pad": 0.6, "alpha": 0.85}
        place = {"transform": axes.transAxes, "ha": "right", "va": "bottom", "fontsize": style.small()}
        axes.text(0.98, 0.03, reward, color="0.3" if correct is None else color, bbox=box, **place)


def _rewards(axes: Axes, result: Result, case: int) -> None:
    """True and dreamed rewards of one window at every dreamed step."""
    protocol, window = result.notes["protocol"], int(result.values("case/window")[case])
    truth = result.values("true_reward")[window]
    steps = protocol["context"] + np.arange(len(truth))
    axes.fill_between(steps, truth - protocol["tolerance"], truth + protocol["tolerance"], color="0.85", linewidth=0)
    axes.plot(steps, truth, color=style.INK, linewidth=1.5)
    for i, method in enumerate(result.methods):
        axes.plot(steps, result.values("dreamed_reward")[i, 0, window], color=style.color(method, i), linewidth=1)
    axes.set_ylabel("Reward")
    axes.tick_params(labelsize=style.small())
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.set_xlabel("Step of the window", labelpad=1)


if __name__ == "__main__":
    style.main("finding2", draw)
