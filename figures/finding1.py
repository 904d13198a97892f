"""Fig. 2a (and 22), and for offline runs, how well the world models dream held-out rewards."""

from __future__ import annotations

from pathlib import Path

from analysis.results.schema import Result, load
from figures.shared import choice, curves, forest, multiples, paper, style, words

ITEM = "Figs. 2a and 22"
SHOWS = (  # in the paper
    "Success of online DreamerV2 agents over 250,000 steps on Lever Pull, Handle Pull Side and Hammer with w_r "
    "= 1, 10 and 100, and with w_o = 0. In the paper larger reward weights learn far faster, and w_o = 0 does "
    "badly with a high variance."
)

PANELS = ("success", "reward_error", "reward_error_median", "return_rank_correlation", "return")
IMPLICIT = "w_o=0,w_r=100", "w_r=100"  # Finding 3 compares these


def draw(source: Path, out: Path) -> Path:
    """Draws a result of ``analysis.finding1`` to ``<out>/<name>.png`` and ``.pdf``; returns the PNG's path."""
    source, result = Path(source), load(source)
    title = f"Finding 1: weight of the reward loss, {words.task(result)}"
    methods = result.methods
    pairs = [*((method, methods[0]) for method in methods[1:]), IMPLICIT]
    if len(methods) > 2 and not _has_dreams(result) and "return" in result.data and not curves.few(result, "return"):
        return multiples.draw(result, source, out, title, pairs)
    longer = longer_shipped(result) if source.parent.resolve() != style.SHIPPED.resolve() else None
    if _has_dreams(result):
        return curves.draw(result, source, out, title, PANELS, forest.of_dreams(result, methods[0]), longer)
    panels = PANELS if longer else (*PANELS, *curves.LOSSES)  # fewer measures leave room for what the balance is about
    return curves.draw(result, source, out, title, panels, forest.of_area(result, "return", pairs), longer)


def longer_shipped(result: Result) -> tuple[Path, Result] | None:
    """Returns the longest shipped online runs of the task and of some of the methods; None if these are as long."""
    found = choice.results_of(style.SHIPPED, "finding1", task=result.attributes["task"], mode="online", complete=True)
    found = {path: shipped for path, shipped in found.items() if {*shipped.methods} & {*result.methods}}
    path = max(found, key=lambda path: found[path].axes["step"][-1], default=None)
    own = result.axes["step"][-1] if len(result.axes.get("step", ())) else 0
    if path is None or found[path].axes["step"][-1] <= own:
        return None
    return path, paper.only(found[path], result.methods)


def _has_dreams(result: Result) -> bool:
    return "reward_error" in result.data


if __name__ == "__main__":
    style.main("finding1", draw)
