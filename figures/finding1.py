"""Fig. 2a (and 22), and for offline runs, how well the world models dream held-out rewards."""

from __future__ import annotations

from pathlib import Path

from analysis.results.schema import Result, load
from figures.shared import curves, forest, multiples, style, words

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
    if _has_dreams(result):
        return curves.draw(result, source, out, title, PANELS, forest.of_dreams(result, methods[0]))
    panels = (*PANELS, *curves.LOSSES)  # fewer measures leave room for what the balance is about
    return curves.draw(result, source, out, title, panels, forest.of_area(result, "return", pairs))


def _has_dreams(result: Result) -> bool:
    return "reward_error" in result.data


if __name__ == "__main__":
    style.main("finding1", draw)
