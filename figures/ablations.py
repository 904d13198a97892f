"""Figs. 15 to 18: HarmonyDream beside its ablations and tuned weights, curves and weights."""

from __future__ import annotations

from pathlib import Path

from analysis.results import load
from figures import curves, style


def draw(source: Path, out: Path) -> Path:
    """Draws a result of ``analysis.ablations``; returns the PNG's path."""
    result = load(source)
    title = f"Ablations of HarmonyDream, {style.task(result)}"
    panels = (*curves.EVALUATION, *curves.WEIGHTS, "loss/dynamics")
    return curves.draw(result, Path(source), out, title, panels, columns=3)


if __name__ == "__main__":
    style.main("ablations", draw)
