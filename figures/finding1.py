"""Fig. 2a (and 22), and beside it, for offline runs, how well the world models dream held-out rewards."""

from __future__ import annotations

from pathlib import Path

from analysis.results import load
from figures import curves, style


def draw(source: Path, out: Path) -> Path:
    """Draws a result of ``analysis.finding1`` to ``<out>/<name>.png`` and ``.pdf``; returns the PNG's path."""
    result = load(source)
    title = f"Finding 1: weight of the reward loss, {style.task(result)}"
    return curves.draw(result, Path(source), out, title, curves.EVALUATION)


if __name__ == "__main__":
    style.main("finding1", draw)
