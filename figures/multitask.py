"""Fig. 9b: HarmonyDream beside other multi-task balancers, curves, the weights that they find and what these do."""

from __future__ import annotations

from pathlib import Path

from analysis.results.schema import load
from figures import ablations
from figures.shared import curves, style, words

ITEM = "Fig. 9b"
SHOWS = (  # in the paper
    "HarmonyDream against uncertainty weighting, DWA and NashMTL; in the paper it is the best of them, with "
    "NashMTL about as good on Lever Pull."
)


def draw(source: Path, out: Path) -> Path:
    """Draws a result of ``analysis.multitask``; returns the PNG's path."""
    result = load(source)
    title = f"Multi-task balancers, {words.task(result)}"
    return curves.draw(result, Path(source), out, title, ablations.PANELS, ablations.comparison(result))


if __name__ == "__main__":
    style.main("multitask", draw)
