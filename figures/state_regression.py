"""Fig. 2c: errors of regressing object positions from representations, per object, beside what no features reach."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from analysis.results.schema import Result, load
from analysis.results.stats import FIXED, read_interval
from figures.shared import marks, style, words
from hdream_core.support.drawing import Axes, Line2D

ITEM = "Fig. 2c"
SHOWS = (  # in the paper
    "Error of regressing object positions from the representation, original weight against balanced weight. In "
    "the paper the balanced weight's is lower on all three tasks. Controls and open-loop features are ours."
)

KINDS = {"posterior": "Posterior features (all frames seen)", "open_loop": "Open-loop features (imagined)"}
LEVELS = {"constant": ("-", "best constant"), "shuffled": (":", "shuffled control")}  # dash, label
DATA = {"agents": "the agents' own episodes", "unseen": "unseen episodes like the buffer's"}
LINEAR = {"color": "0.1", "linestyle": "--", "linewidth": 1.2, "zorder": 1}


@style.look()
def draw(source: Path, out: Path) -> Path:
    """Draws a result of ``analysis.state_regression``; returns the PNG's path."""
    source, result = Path(source), load(source)
    figure = style.figure(style.WIDTH, 3.1)
    axes = figure.subplots(1, len(KINDS), sharey=True)
    moving = np.nanmean(result.values("constant/posterior"), (0, 1, 2)) > FIXED  # (object,)
    shown = [result.values(f"{name}/{kind}")[..., moving] for kind in KINDS for name in ("mlp", "linear", *LEVELS)]
    means = np.concatenate([np.nanmean(values, tuple(range(2, values.ndim - 1))).ravel() for values in shown])
    for panel, kind in zip(axes, KINDS, strict=True):
        marks.limit(panel, means, log=True)
        _points(panel, result, kind, moving)
    axes[0].set_ylabel(f"Mean squared distance ({words.squared_unit(result)})")
    protocol = result.notes["protocol"]
    data = protocol["data"]
    note = (
        f"{marks.note(figure)} MLP probe; {protocol['segments']:,} segments of "
        f"{protocol['length']} steps of {protocol['episodes']} episodes, {protocol['folds']} folds of whole episodes."
        f"{words.short(result, protocol['segments'], 'segments')}"
    )
    if still := [words.thing(result, str(name)) for name in result.axes["object"][~moving]]:
        note += f" Never moves, so not drawn: {', '.join(still)}."
    legend = [Line2D([], [], color="0.3", linestyle=dash, label=text) for dash, text in LEVELS.values()]
    legend = [*style.handles(result), Line2D([], [], label="linear probe", **LINEAR), *legend]
    style.frame(
        figure,
        f"State regression (Fig. 2c), {words.task(result)}, {DATA.get(data, data)}",
        {source: result},
        note,
        legend,
    )
    return style.save(figure, out, source.stem)


def _points(axes: Axes, result: Result, kind: str, moving: np.ndarray) -> None:
    names = [words.thing(result, str(name)) for name in result.axes["object"][moving]]
    mlp = np.nanmean(result.values(f"mlp/{kind}")[..., moving], (2, 3))  # over probe seeds, episodes
    rows = [result.notes["final"][kind][name] for name in map(str, result.axes["object"][moving])]
    methods = result.methods
    spans = [[read_interval(row[method]["over_seeds"]) for row in rows] for method in methods]
    marks.points(axes, result, mlp, spans, names)
    linear = np.nanmean(result.values(f"linear/{kind}")[..., moving], (1, 2))  # (method, object)
    for i, level in enumerate(linear):
        half = 0.45 * marks.GROUP / len(linear)
        for at, y in zip(marks.beside(i, len(linear), len(names)), level, strict=True):
            axes.hlines(y, at - half, at + half, **LINEAR)
    for name, (dash, _) in LEVELS.items():
        for j, y in enumerate(np.nanmean(result.values(f"{name}/{kind}")[..., moving], (0, 1, 2))):  # (object,)
            axes.hlines(y, j - marks.GROUP / 2, j + marks.GROUP / 2, color="0.3", linestyle=dash, linewidth=1)
    axes.set_title(KINDS[kind])


if __name__ == "__main__":
    style.main("state_regression", draw)
