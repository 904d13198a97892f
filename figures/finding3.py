"""Finding 3: what is lost without observations: return, reward error and object positions."""

from __future__ import annotations

from pathlib import Path

from analysis.results import comparisons
from analysis.results.schema import Result, load
from analysis.results.stats import read_interval
from figures.shared import forest, marks, style, words
from hdream_core.support.drawing import Axes

ITEM = "Finding 3"
SHOWS = (  # in the paper
    "The decoder-free curve of Fig. 2a: inferior results with a high variance. Ours adds what its "
    "representation and its dreams are worth."
)

IMPLICIT, REFERENCE = "w_o=0,w_r=100", "w_r=100"
# Measure: title ({} is the object), label of the axis ({} is the unit).
PANELS = {
    "return": ("Policy: return", "Episode return"),
    "reward_error": ("Held-out dreams: mean reward error", "Squared error"),
    "mlp/posterior": ("Position of the {}, posterior features", "Mean squared distance ({})"),
    "mlp/open_loop": ("Position of the {}, open-loop features", "Mean squared distance ({})"),
}


@style.look()
def draw(source: Path, out: Path) -> Path:
    """Draws a result of ``analysis.finding3``; returns the PNG's path."""
    source, result = Path(source), load(source)
    found = [name for name in PANELS if name in result.data]
    rows = -(-len(found) // 2)
    comparison = _comparison(result)
    figure = style.figure(style.WIDTH, 1.8 * rows + 0.5 + forest.height(comparison))
    grid = forest.above(figure, comparison, 1.8 * rows).subplots(rows, 2, squeeze=False, sharex=True)
    for axes, name in zip(grid.flat, found, strict=False):
        _panel(axes, result, name)
    for axes in grid.flat[len(found) :]:
        axes.set_visible(False)
    title = f"Finding 3: without observations, {words.task(result)}"
    note = (
        f"{marks.note(figure)} {forest.note(comparison)} Positions: MLP probe, "
        f"{len(result.axes['episode'])} episodes never trained on."
        f"{words.short(result, result.notes['protocol']['segments'], 'segments')}"
    )
    style.frame(figure, title, {source: result}, note)
    return style.save(figure, out, source.stem)


def _comparison(result: Result) -> forest.Comparison | None:
    """What the decoder-free representation lacks: its errors minus those with observations, episode by episode."""
    methods = result.methods
    if IMPLICIT not in methods or REFERENCE not in methods:
        return None
    rows = []
    for name, features in (("mlp/posterior", "seen frames"), ("mlp/open_loop", "open loop")):
        if name in result.data:
            gap = result.values(name)[methods.index(IMPLICIT)] - result.values(name)[methods.index(REFERENCE)]
            spans = comparisons.difference(result, name, IMPLICIT, REFERENCE)
            rows.append(forest.Row(features, style.color(IMPLICIT, methods.index(IMPLICIT)), gap.mean(1), *spans))
    title = f"Position of the {words.main_thing(result)}: {style.label(IMPLICIT)} minus {style.label(REFERENCE)}"
    label = f"Difference of errors in {words.squared_unit(result)} (right of the line: poorer without observations)"
    return forest.Comparison(title, label, rows) if rows else None


def _panel(axes: Axes, result: Result, name: str) -> None:
    """A measure of every method at the end of training."""
    values = result.values(name)  # (method, seed, episode) of probes, (method, seed, step) of runs
    values = values.mean(-1) if name.startswith("mlp/") else values[..., -1]
    row = result.notes["final"][name]
    spans = [read_interval(row[method]) for method in result.methods]
    marks.limit(axes, values, spans=marks.ends(spans))
    marks.methods(axes, result, values, spans)
    title, label = PANELS[name]
    axes.set_title(title.format(words.main_thing(result)))
    label = label.format(words.squared_unit(result))
    if name.startswith("mlp/"):
        label += f"\n(the best constant: {result.values(f'constant/{name[4:]}').mean():.0f})"
    axes.set_ylabel(label)


if __name__ == "__main__":
    style.main("finding3", draw)
