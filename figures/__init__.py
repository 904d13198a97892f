"""Figures, each from HDF5 result files alone, without torch."""

from __future__ import annotations

import importlib
from pathlib import Path

from analysis.results import ResultError, load, using
from figures import coefficients
from figures.page import PAPER


def redraw(results: Path, out: Path) -> list[tuple[str, Path]]:
    """Draws every result file of a folder that there is a figure for, and the figures that several share.

    Args:
        results: folder of result files.
        out: folder of the figures.

    Returns:
        Study and PNG of each.

    Raises:
        ResultError: if the folder does not exist or holds nothing to draw; or, when all others are drawn, naming the
            files in it that are damaged.
    """
    if not results.is_dir():
        raise ResultError(f"{results}: no such folder of results")
    drawn: list[tuple[str, Path]] = []
    found: dict[str, list[Path]] = {}
    broken = []
    for source in sorted(results.glob("*.h5")):
        try:
            study = load(source).attributes["study"]
            if study in PAPER:
                with using(source):
                    drawn.append((study, importlib.import_module(f"figures.{study}").draw(source, out)))
                found.setdefault(study, []).append(source)
        except ResultError as error:  # is no reason to leave the others undrawn
            broken.append(str(error))
    for stem, sources in coefficients.of_all_tasks(found.get("coefficients", ())).items():
        with using(sources[0]):
            drawn.append(("coefficients", coefficients.draw_all(sources, out, stem)))
    if broken:
        raise ResultError("; ".join(broken))
    if not drawn:
        raise ResultError(f"{results}: holds no result that there is a figure for")
    return drawn
