"""Fig. 23: learned coefficients beside Eq. 13's, of one task and of all; Fig. 4 (right): what rectifying does to them.

The figure of one task is drawn from its file. That of all tasks on one axis, in which their order is seen, is drawn
from the folder's files of one preset.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from analysis.results import comparisons
from analysis.results.measures import BALANCED, losses_of
from analysis.results.schema import Result, load
from analysis.results.stats import Interval, show
from figures.shared import marks, style, words
from hdream_core.support.drawing import Axes, Drawing, Line2D

ITEM = "Figs. 4 (right) and 23"
SHOWS = (  # in the paper
    "Learned coefficients exp(-s) on Lever Pull and Handle Pull Side; in the paper the reward's is higher on "
    "Lever Pull. The analytic value of Eq. 13 is our addition."
)

TASKS = {"lever_pull": "#0072B2", "handle_pull_side": "#E69F00", "hammer": "#009E73"}  # Okabe and Ito's
ANALYTIC = (0, (1.5, 1.2))
NOTE = "Dotted: Eq. 13 for the running mean of the losses, mean over seeds."
SYMBOLS = {
    "observation": "s",
    "swav": "D",
    "temporal": "v",
    "reward": "o",
    "dynamics": "^",
    "consistency": "P",
    "value": "X",
}


@style.look()
def draw(source: Path, out: Path) -> Path:
    """Draws a result of ``analysis.coefficients``, one task's; returns the PNG's path."""
    source, result = Path(source), load(source)
    figure, grid = _panels(1 + len(losses := losses_of(result)), 2.1)
    for axes, loss in zip(grid, losses, strict=False):
        _coefficient(axes, {source: result}, loss)
    _losses(grid[-1], result)
    title = f"Coefficients that HarmonyDream learns (Fig. 23), {words.task(result)}"
    learned = Line2D([], [], color=_color(result, 0), label="learned")
    style.frame(
        figure, title, {source: result}, f"{marks.note(figure)} {NOTE}", [learned, _analytic(_color(result, 0))]
    )
    return style.save(figure, out, source.stem)


def of_all_tasks(sources: Iterable[Path]) -> dict[str, list[Path]]:
    """Result files by the figure that they share: those which differ in the task alone.

    The miniature and the twin are no tasks of the paper, and have other scales: they share none.
    """
    found: dict[str, list[tuple[int, Path]]] = {}
    for source in sources:
        told = load(source).attributes
        if told["scale"] in ("miniature", "twin"):
            continue
        task = told["task"]
        found.setdefault(source.stem.replace(f"_{task}", "", 1), []).append((_place(task), source))
    return {stem: [source for _, source in sorted(files)] for stem, files in found.items()}


def _place(task: str) -> int:
    return list(TASKS).index(task) if task in TASKS else len(TASKS)


@style.look()
def draw_all(sources: list[Path], out: Path, stem: str) -> Path:
    """Draws the coefficients of several tasks on one axis, and Fig. 4 (right) with where they end."""
    shown = {source: load(source) for source in sources}
    names = {loss for result in shown.values() for loss in losses_of(result)} - {"reward"}
    figure, grid = _panels(2 + len(names), 2.25)
    for axes, loss in zip(grid, ("reward", *(loss for loss in BALANCED if loss in names)), strict=False):
        _coefficient(axes, shown, loss)
    _rectified(grid[-1], shown)
    legend = [Line2D([], [], color=_color(result, i), label=words.task(result)) for i, result in _counted(shown)]
    ends = [f"{words.task(result)} {show(_end(result, 'reward'))}" for result in shown.values()]
    legend.append(_analytic("0.4"))
    note = f"{marks.note(figure)} {NOTE} The reward's coefficient at the end, with its 95 % interval over seeds: "
    note += f"{', '.join(ends)}."
    style.frame(figure, "Coefficients that HarmonyDream learns (Fig. 23)", shown, note, legend)
    return style.save(figure, out, stem)


def _panels(count: int, height: float) -> tuple[Drawing, np.ndarray]:
    """Makes a figure with two panels in a row, each ``height`` inches high."""
    rows = -(-count // 2)
    figure = style.figure(style.WIDTH, height * rows)
    grid = figure.subplots(rows, 2).ravel()
    for axes in grid[count:]:
        axes.set_visible(False)
    return figure, grid[:count]


def _counted(shown: Mapping[Path, Result]) -> list[tuple[int, Result]]:
    return list(enumerate(shown.values()))


def _color(result: Result, i: int) -> str:
    return TASKS.get(result.attributes["task"], style.SPARE[i % len(style.SPARE)])


def _analytic(color: str) -> Line2D:
    return Line2D([], [], color=color, linestyle=ANALYTIC, label="Eq. 13 for the loss's running mean")


def _end(result: Result, loss: str) -> Interval:
    """A coefficient in the last line of training metrics, mean and interval over seeds."""
    span = comparisons.end_of(result, f"weight/{loss}", str(result.axes["method"][0]))
    return span or Interval(np.nan, np.nan, np.nan)


def _coefficient(axes: Axes, shown: Mapping[Path, Result], loss: str) -> None:
    """Learned and analytic coefficient of one loss in every task, and the interval of where they end."""
    known = [result for result in shown.values() if f"weight/{loss}" in result.data]  # not before the first log
    both = [result.values(f"{kind}weight/{loss}")[0].ravel() for result in known for kind in ("", "analytic_")]
    marks.limit(axes, np.concatenate([np.zeros(0), *both]), log=True)
    for result in shown.values():
        marks.steps_axis(axes, result, 0.03)
    for i, result in _counted(shown):
        if result in known:
            steps, color = result.axes["log_step"], _color(result, i)
            marks.curve(axes, steps, result.values(f"weight/{loss}")[0], color)
            analytic = marks.mean(result.values(f"analytic_weight/{loss}")[0])
            axes.plot(steps, analytic, color=color, linestyle=ANALYTIC, linewidth=1.2)
    axes.set_title(f"Coefficient of the {loss} loss")
    axes.set_ylabel(rf"$\exp(-s_{loss[0]})$")


def _losses(axes: Axes, result: Result) -> None:
    """What the coefficients weigh."""
    values = {loss: result.values(f"loss/{loss}")[0] for loss in losses_of(result) if f"loss/{loss}" in result.data}
    marks.limit(axes, np.concatenate([np.zeros(0), *(value.ravel() for value in values.values())]), log=True)
    steps = result.axes["log_step"]
    for loss, value in values.items():
        marks.curve(axes, steps, value, "0.3", style.LOSSES[loss])
        if len(steps):
            axes.annotate(
                loss, (steps[-1], marks.mean(value)[-1]), (0, 3), textcoords="offset points", **style.beside()
            )
    marks.steps_axis(axes, result, 0.03)
    axes.set_title("What they weigh")
    axes.set_ylabel("Loss (unweighted)")


def _rectified(axes: Axes, shown: Mapping[Path, Result]) -> None:
    """Draws the weight that minimises the expected harmonious loss, over the loss (Prop. 3.1, Eq. 13), and the losses
    and coefficients that the runs end with.

    With Eq. 5 the curve follows sigma: the loss of which a sigma is the optimum is sigma^2 / (1 + sigma), from the
    condition above Eq. 12. The closed form, Eq. 13, stands in ``hdream_core.balancers``, which needs torch.
    """
    loss = np.logspace(-4, 4, 200)
    axes.plot(loss, 1 / loss, color="0.5", linestyle=":", label="Eq. 4: $1/L$")
    sigma = np.logspace(-2, 4, 200)  # of about the same losses
    axes.plot(sigma**2 / (1 + sigma), 1 / sigma, color="0.2", label="Eq. 5, rectified")
    for name, symbol in SYMBOLS.items():
        for i, result in _counted(shown):
            if f"loss/{name}" in result.data:
                ends = [marks.mean(result.values(f"{kind}/{name}")[0])[-1] for kind in ("loss", "weight")]
                axes.plot(*ends, symbol, color=_color(result, i), markersize=4, markeredgewidth=0, alpha=0.85)
        if any(f"loss/{name}" in result.data for result in shown.values()):
            axes.plot([], [], symbol, color="0.5", markersize=4, markeredgewidth=0, label=f"runs' end, {name}")
    axes.set(xscale="log", yscale="log", xlabel="Mean loss", ylabel="Weight at the optimum")
    axes.set_title("Rectified and not (Fig. 4, right)")
    axes.legend(fontsize=style.small(), labelspacing=0.25, handlelength=1.5, loc="lower left")


if __name__ == "__main__":
    style.main("coefficients", draw)
