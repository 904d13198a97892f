"""Fig. 2b: scales of the three losses, per dimension too, and their shares of the gradient at the shared parameters."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from analysis.results.measures import losses_of, of_frames
from analysis.results.schema import Result, load
from analysis.results.stats import Interval, read_interval
from figures.shared import curves, marks, style, words
from hdream_core.support.drawing import Axes

ITEM = "Fig. 2b"
SHOWS = (  # in the paper
    "The three losses through training on a log axis. In the paper the reward loss lies two orders of magnitude "
    "beneath the observation loss. The gradients are our addition."
)


@style.look()
def draw(source: Path, out: Path) -> Path:
    """Draws a result of ``analysis.loss_scales``; returns the PNG's path."""
    source, result = Path(source), load(source)
    measured = "gradient_step" in result.axes  # while the runs trained
    figure = style.figure(style.WIDTH, 6.6 if measured else 4.7)
    (scales, ratio), shares, *more = figure.subplots(3 if measured else 2, 2)
    _losses(scales, result)
    _ratio(ratio, result)
    losses = losses_of(result)
    values = np.stack([result.values(f"gradient_share/{loss}") for loss in losses], -1)  # (method, seed, stage, loss)
    for at, axes in enumerate(shares):
        axes.set_ylim(-0.03, 1.03)
        marks.points(axes, result, values[:, :, at], _shares(result, str(result.axes["stage"][at])), list(losses))
        axes.set_ylabel("Share of weighted norms")
        axes.set_title(f"Gradients at shared parameters, {result.axes['stage'][at]}")
    for pull, score in more:
        _pull(pull, result)
        _score(score, result)
    title = f"Loss scales (Fig. 2b), {words.task(result)}"
    style.frame(figure, title, {source: result}, marks.note(figure), style.handles(result))
    return style.save(figure, out, source.stem)


def _shares(result: Result, stage: str) -> list[list[Interval]]:
    """Intervals of the gradients' shares, for each method and loss."""
    rows = [result.notes["final"][f"gradient share of {loss}, {stage}"] for loss in losses_of(result)]
    return [[read_interval(row[method]) for row in rows] for method in result.methods]


def _losses(axes: Axes, result: Result) -> None:
    """The first method's losses, as Fig. 2b has them, and an observation loss per number of the image."""
    steps = result.axes["log_step"]
    color = style.color(str(result.axes["method"][0]), 0)
    values = {loss: result.values(f"loss/{loss}")[0] for loss in losses_of(result) if f"loss/{loss}" in result.data}
    lines = [(loss, value, color, style.LOSSES[loss]) for loss, value in values.items()]
    if "observation" in values:
        pixel = values["observation"] / result.notes["dimensions"]["observation"]
        lines.append(("observation, per number of the image", pixel, "0.5", "-"))
    marks.limit(axes, np.stack([value for _, value, _, _ in lines]), log=True)
    for name, value, shade, dash in lines:
        marks.curve(axes, steps, value, shade, dash)
        if len(steps):
            axes.annotate(
                name, (steps[-1], marks.mean(value)[-1]), (0, 3), textcoords="offset points", **style.beside()
            )
    axes.set_title(f"Losses with {style.label(str(result.axes['method'][0]))}")
    axes.set_ylabel("Loss (unweighted)")
    marks.steps_axis(axes, result)


def _ratio(axes: Axes, result: Result) -> None:
    """How many times the reward loss the observation loss is, or what stands for it."""
    names = [loss for loss in of_frames(losses_of(result)) if f"loss/{loss}" in result.data]
    if not names:
        axes.set_visible(False)
        return
    values = sum(result.values(f"loss/{loss}") for loss in names) / result.values("loss/reward")  # (method, seed, step)
    marks.limit(axes, np.append(values, 100), log=True)
    for i, method in enumerate(result.methods):
        marks.curve(axes, result.axes["log_step"], values[i], style.color(method, i), style.dash(method))
    axes.axhline(100, color="0.6", linestyle=":", linewidth=1)
    axes.set_title(f"{' and '.join(names).capitalize()} loss over reward loss")
    axes.set_ylabel("Ratio (dotted: 100)")
    marks.steps_axis(axes, result)


def _pull(axes: Axes, result: Result) -> None:
    """The reward loss's share of the gradient while runs trained; dotted, with the weights of Eq. 13."""
    for i, method in enumerate(result.methods):
        color, steps = style.color(method, i), result.axes["gradient_step"]
        marks.curve(axes, steps, result.values("gradient_share_curve/reward")[i], color, style.dash(method))
        if "analytic_share_curve/reward" in result.data:
            balanced = marks.mean(result.values("analytic_share_curve/reward")[i])
            axes.plot(steps, balanced, color=color, linestyle=":", linewidth=1)
    axes.set_ylim(-0.03, 1.03)
    axes.set_title("Reward loss's share in training (dotted: by Eq. 13)")
    axes.set_ylabel("Share of weighted norms")
    marks.steps_axis(axes, result)


def _score(axes: Axes, result: Result) -> None:
    """What the policies score meanwhile: success if any episode succeeds, else the return."""
    succeeds = "success" in result.data and np.nanmax(result.values("success")) > 0
    curves.panel(axes, result, "success" if succeeds else "return")


if __name__ == "__main__":
    style.main("loss_scales", draw)
