"""Fig. 9b: HarmonyDream beside other multi-task balancers, curves and the weights that they find."""

from __future__ import annotations

from pathlib import Path

from analysis.results import load
from figures import curves, style


def draw(source: Path, out: Path) -> Path:
    """Draws a result of ``analysis.multitask``; returns the PNG's path."""
    result = load(source)
    title = f"Multi-task balancers, {style.task(result)}"
    return curves.draw(result, Path(source), out, title, (*curves.EVALUATION, *curves.WEIGHTS), columns=3)


if __name__ == "__main__":
    style.main("multitask", draw)
