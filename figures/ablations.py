"""Figs. 15 to 18: HarmonyDream beside its ablations and tuned weights, curves, weights and losses."""

from __future__ import annotations

from pathlib import Path

from analysis.results.schema import Result, load
from figures.shared import curves, forest, style, words

ITEM = "Figs. 15 to 18"
SHOWS = (  # in the paper
    "HarmonyDream against its unrectified form, a fixed w_d = 1 and tuned weights; in the paper slightly to "
    "clearly better than each."
)

PANELS = ("success", "reward_error", "return", *curves.BALANCE)
JUDGED = "harmony"


def draw(source: Path, out: Path) -> Path:
    """Draws a result of ``analysis.ablations``; returns the PNG's path."""
    result = load(source)
    title = f"Ablations of HarmonyDream, {words.task(result)}"
    return curves.draw(result, Path(source), out, title, PANELS, comparison(result))


def comparison(result: Result) -> forest.Comparison | None:
    """HarmonyDream against each other method: in dreams, or of online runs in policies."""
    others = [str(method) for method in result.axes["method"] if method != JUDGED]
    dreams = forest.of_dreams(result, JUDGED, judged=True)
    return dreams or forest.of_area(result, "return", [(JUDGED, other) for other in others], judged=True)


if __name__ == "__main__":
    style.main("ablations", draw)
