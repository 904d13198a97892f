"""Fig. 2: policies by weight of the reward loss, scales of the losses, errors of state regression, side by side."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from analysis.results import comparisons
from analysis.results.measures import losses_of, measures, moving
from analysis.results.schema import Result
from figures.shared import choice, curves, marks, paper, style, words
from hdream_core.support.drawing import Axes, Line2D, Patch

ITEM = "Fig. 2"
SHOWS = (  # in the paper
    "(a) Policies by weight of the reward loss, (b) the losses on a log axis, (c) errors of state regression "
    "with the original and the balanced weight, side by side."
)

STUDIES = ("finding1", "loss_scales", "state_regression")
MOVING = moving("posterior")
OFTEN = 0.1  # success rate above which success is drawn, and not return
BARS = {"original": "0.7", "balanced": "#009E73"}  # weights, as C.4 calls them


@paper.look()
def draw(results: Path, out: Path, task: str = "lever_pull", preset: str | None = None) -> Path:
    """Draws the figure from the results of a folder; returns the picture's path.

    Args:
        results: folder of result files.
        out: folder of the figure.
        task: of (a) and (b); (c) also has the other tasks of the same scale.
        preset: of the runs; None takes those of the fullest result of each study.

    Raises:
        ResultError: if there is no result of any of the three studies on that task.
    """
    found = choice.results_of(results, *STUDIES, preset=preset)
    choice.demand(found, results, [task], *STUDIES)
    of_task = {study: choice.best(found, study, task) for study in STUDIES[:2]}
    regressed = _regressed(found, task)
    figure, grid = paper.row(3)
    shown, parts, legend = {}, [], []
    for axes, study, letter, fill in zip(grid, STUDIES, "abc", (_policies, _losses, _regression), strict=True):
        pairs = regressed if study == STUDIES[2] else list(filter(None, [of_task[study]]))
        if not pairs:
            paper.nothing(axes, f"({letter}) no result of\n{study} on {task}")
            continue
        text, entries = fill(axes, *[result for _, result in pairs])
        axes.set_title(f"({letter}) {axes.get_title()}")
        parts.append(f"({letter}) {text}")
        legend += entries
        shown |= dict(pairs)
    note = "\n".join([*parts, marks.note(figure), paper.drawn_by("fig2", [task], preset)])
    style.frame(figure, f"Fig. 2, {words.name(task)}", shown, note, legend)
    return style.save(figure, out, f"fig2_{task}")


def metric_of(*shown: Result) -> str:
    """Returns the measure of policies that tells methods apart: success, or where it is rare, return."""
    often = [np.nanmax(np.nanmean(result.values("success"), 1), initial=0) > OFTEN
             for result in shown if "success" in result.data]  # fmt: skip
    return "success" if often and all(often) else "return"


def policies(axes: Axes, result: Result, metric: str) -> Result:
    """Draws a measure of policies against steps, without HarmonyDream, as the paper has it; returns what is drawn."""
    methods = result.methods
    result = paper.only(result, [name for name in methods if name.startswith("w_")] or methods)
    curves.panel(axes, result, metric, curves.ROOM * (len(methods) + 1) / 2 if curves.few(result, metric) else 0.0)
    paper.steps_axis(axes, result, limits=False)
    return result


def _policies(axes: Axes, result: Result) -> tuple[str, list[Line2D]]:
    metric = metric_of(result)
    shown = policies(axes, result, metric)
    axes.set_title(f"{metric.title()} of policies")
    return f"{curves.PANELS[metric][0]} of policies by weight of the reward loss.", style.handles(shown)


def _losses(axes: Axes, result: Result) -> tuple[str, list[Line2D]]:
    method, steps = str(result.axes["method"][0]), result.axes["log_step"]
    values = {loss: result.values(f"loss/{loss}")[0] for loss in losses_of(result)}  # (seed, step) each
    marks.limit(axes, np.stack(list(values.values())), log=True)
    for loss, value in values.items():
        marks.curve(axes, steps, value, style.color(method, 0), style.LOSSES[loss])
        if len(steps):
            place = (steps[-1], marks.mean(value)[-1])
            axes.annotate(loss, place, (0, 2), textcoords="offset points", **style.beside())
    paper.steps_axis(axes, result)
    axes.set_title("Scales of the losses")
    axes.set_ylabel("Loss, unweighted")
    return f"The {words.few(len(values))} losses with {style.label(method)}, unweighted.", []


def _regressed(found: choice.Found, task: str) -> list[tuple[Path, Result]]:
    """The task's result of state regression and those of the same scale of other tasks."""
    own = choice.best(found, STUDIES[2], task)
    if not own:
        return []
    others = [choice.best(found, STUDIES[2], other) for other in choice.tasks_of(found) if other != task]
    return [own, *(pair for pair in others if pair and pair[1].attributes["scale"] == own[1].attributes["scale"])]


def _regression(axes: Axes, *shown: Result) -> tuple[str, list[Patch]]:
    """Bars of two weights, a group a task: error of an MLP on positions, mean over the objects that move."""
    values = [measures(result)[MOVING].values[:2] for result in shown]  # (2, seed) each
    spans = [[comparisons.mean_of(r, MOVING, m) for m in r.methods[:2]] for r in shown]
    shows = np.concatenate([np.zeros(1), *(errors.ravel() for errors in values)])
    marks.limit(axes, shows, spans=marks.ends(span for two in spans for span in two))
    axes.set_ylim(0, axes.get_ylim()[1])
    for at, two in enumerate(spans):
        for i, (span, color) in enumerate(zip(two, BARS.values(), strict=True)):
            place = at + (i - 0.5) * 0.36
            axes.bar(place, span.mean, 0.34, color=color)
            marks.whisker(axes, place, span, "0.15", linewidth=1, label=marks.BAR)
    axes.set_xticks(range(len(shown)), [words.task(result).replace(" ", "\n") for result in shown])
    axes.tick_params(axis="x", length=0)
    axes.set_ylabel(f"Squared distance ({words.squared_unit(shown[0])})")
    axes.set_title("State regression")
    weights = "; ".join(
        f"{words.task(result)}: {' and '.join(map(str, result.axes['method'][:2]))}" for result in shown
    )
    text = (
        "Error of positions that an MLP reads off the representation, mean over the objects that move, on episodes "
        f"that it was not fitted on. Original and balanced weight: {weights}."
    )
    return text, [Patch(color=color, label=f"{name} weight") for name, color in BARS.items()]


if __name__ == "__main__":
    paper.main("fig2", __doc__, draw, "lever_pull")
