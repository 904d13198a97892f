"""Fig. 3: one trajectory, its frames above two models' dreams of it, each dreamed reward marked correct or not."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from analysis.results.schema import Result
from figures.shared import choice, paper, style, words
from hdream_core.support.drawing import Axes

ITEM = "Fig. 3"
SHOWS = (  # in the paper
    "Frames of one trajectory above the dreams of two models of it, with their rewards marked correct or incorrect."
)

STUDIES = ("finding2",)
COLORS = {None: "0.25", True: "#009E73", False: "#D55E00"}  # of a reward: true, dreamed correctly, incorrectly
MARKS = {None: "", True: " \N{CHECK MARK}", False: " \N{MULTIPLICATION X}"}  # so that colour alone says nothing


@paper.look()
def draw(results: Path, out: Path, task: str = "lever_pull", preset: str | None = None) -> Path:
    """Draws the figure from the results of a folder; returns the picture's path.

    Args:
        results: folder of result files.
        out: folder of the figure.
        task: whose trajectory.
        preset: of the runs; None takes that of the fullest result.

    Raises:
        ResultError: if there is no result with dreams on that task.
    """
    found = choice.results_of(results, *STUDIES, preset=preset)
    choice.demand(found, results, [task], *STUDIES)
    source, result = choice.best(found, *STUDIES, task)
    methods = [None, *range(len(result.axes["method"]))]
    frames = result.axes["frame"]
    wide = (style.chosen_width(paper.WIDTH) - 0.3) / len(frames)
    figure = style.figure(paper.WIDTH, len(methods) * (wide + 0.14) + 0.55)
    figure.get_layout_engine().set(h_pad=0.005, w_pad=0.01, hspace=0, wspace=0)
    grid = figure.subplots(len(methods), len(frames), squeeze=False)
    for axes, method in zip(grid, methods, strict=True):
        _row(axes, result, method)
    for axes, frame in zip(grid[0], frames, strict=True):
        seen = int(frame) < result.notes["protocol"]["context"]
        axes.set_title(f"{frame}{' (seen)' if seen else ''}", fontsize=style.small(), pad=2)
    style.frame(figure, f"Fig. 3, {words.task(result)}", {source: result}, _note(result, preset))
    return style.save(figure, out, f"fig3_{task}")


def _row(grid: np.ndarray, result: Result, method: int | None) -> None:
    """Frames of the first case and their rewards: true (method None), or dreamed."""
    protocol, window = result.notes["protocol"], int(result.values("case/window")[0])
    truth = result.values("true_reward")[window]  # (H,)
    rewards = truth if method is None else result.values("dreamed_reward")[method, 0, window]
    pictures = result.values("picture/true")[0] if method is None else result.values("picture/dreamed")[method, 0]
    for axes, picture, frame in zip(grid, pictures, result.axes["frame"], strict=True):
        axes.imshow(picture, interpolation="nearest")
        axes.set(xticks=[], yticks=[])
        step = int(frame) - protocol["context"]
        correct = None
        if step >= 0 and method is not None:
            correct = bool(abs(rewards[step] - truth[step]) <= protocol["tolerance"])
        _mark(axes, correct, f"{rewards[step]:z.1f}{MARKS[correct]}" if step >= 0 else "")
    name = "truth" if method is None else style.label(str(result.axes["method"][method]))
    grid[0].set_ylabel(name, fontsize=style.small())


def _mark(axes: Axes, correct: bool | None, reward: str) -> None:
    """Around a frame, whether its reward is correct; beneath, the reward."""
    for spine in axes.spines.values():
        spine.set(visible=True, color=COLORS[correct], linewidth=1.5 if correct is False else 0.5)
    weight = "bold" if correct is False else "normal"
    axes.set_xlabel(reward, fontsize=style.small(), color=COLORS[correct], fontweight=weight, labelpad=1, loc="right")


def _note(result: Result, preset: str | None) -> str:
    protocol, names = result.notes["protocol"], [style.label(str(method)) for method in result.axes["method"]]
    case = str(result.axes["case"][0])
    for place, name in zip(("first", "second"), names, strict=False):
        case = case.replace(place, name)
    return (
        f"One trajectory that no model has trained on, of the kind: {case}. {protocol['context']} frames are seen, "
        f"{protocol['horizon']} dreamed from the actions alone; numbers above: steps; beneath: rewards, marked correct "
        f"where they are within {protocol['tolerance']:g} of the true one. Models of seed {result.axes['seed'][0]}; of "
        "its kind, the trajectory of median difference in error. How often each kind occurs: figures.finding2.\n"
        f"{paper.drawn_by('fig3', [result.attributes['task']], preset)}"
    )


if __name__ == "__main__":
    paper.main("fig3", __doc__, draw, "lever_pull")
