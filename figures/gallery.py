"""All figures of a folder of results, drawn side by side."""

from __future__ import annotations

import contextlib
import importlib
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import NamedTuple

from analysis.results.schema import ResultError, files_of, load, using
from figures import coefficients, fig2, fig3, fig22, fig23
from figures.page import PAPER
from figures.shared import options
from figures.shared.choice import place
from hdream_core.support.processes import cores

FIGURES = {"fig2": fig2, "fig3": fig3, "fig22": fig22, "fig23": fig23}
Tell = Callable[[int, int], None]
SEVERAL = ("fig22", "fig23")  # have a panel a task


class Picture(NamedTuple):
    """A figure that is to be drawn: its study, what it is drawn from, and, if several files share it, its stem."""

    study: str
    sources: Sequence[Path]
    stem: str = ""


def redraw(results: Path, out: Path, tell: Tell | None = None) -> list[tuple[str, Path]]:
    """Draws every result file of a folder that there is a figure for, and the figures that several share.

    Args:
        results: folder of result files.
        out: folder of the figures.
        tell: is called with how many figures are drawn and of how many, after each.

    Returns:
        Study and PNG of each.

    Raises:
        ResultError: if the folder does not exist or holds nothing to draw; or, when all others are drawn, naming the
            files in it that are damaged.
    """
    told, broken = _told(results)
    order = list(PAPER)
    files = sorted((path for path in told if told[path][0] in PAPER),
                   key=lambda path: (order.index(told[path][0]), place(told[path][1])))  # fmt: skip
    pictures = [Picture(told[path][0], [path]) for path in files]
    of_each = [source for study, (source,), _ in pictures if study == "coefficients"]
    for stem, sources in coefficients.of_all_tasks(of_each).items():
        pictures.append(Picture("coefficients", sources, stem))
    drawn = []
    for done, (picture, (path, error)) in enumerate(zip(pictures, _draw_all(pictures, out), strict=True), 1):
        if tell:
            tell(done, len(pictures))
        if path:
            drawn.append((picture.study, path))
        elif error not in broken:
            broken.append(error)
    if broken:
        raise ResultError("; ".join(broken))
    if not drawn:
        raise ResultError(f"{results}: holds no result that there is a figure for")
    return drawn


def of_the_paper(results: Path, out: Path) -> list[tuple[str, Path]]:
    """Draws the paper's own arrangements, those that a folder has the results of all panels for.

    Args:
        results: folder of result files.
        out: folder of the figures.

    Returns:
        Name, such as ``fig2``, and picture of each.
    """
    told = set(_told(results)[0].values())  # study and task
    drawn = []
    for name, module in FIGURES.items():
        each = [{task for of, task in told if of == study} for study in module.STUDIES]
        tasks = sorted(set.intersection(*each), key=place)
        if len(tasks) > (name in SEVERAL):  # one panel is no row
            with contextlib.suppress(ResultError), using(results):  # of a file that its own figure is a complaint about
                drawn.append((name, module.draw(results, out, *([] if name in SEVERAL else tasks[:1]))))
    return drawn


def _told(results: Path) -> tuple[dict[Path, tuple[str, str]], list[str]]:
    """Study and task of each result in a folder, and what is wrong with the files that are damaged."""
    told, broken = {}, []
    for path in files_of(results):
        try:
            attributes = load(path).attributes
            told[path] = attributes["study"], attributes["task"]
        except ResultError as error:  # is no reason to leave the others undrawn
            broken.append(str(error))
    return told, broken


def _draw_all(pictures: Sequence[Picture], out: Path) -> Iterator[tuple[Path | None, str]]:
    """The PNG of each, or what is wrong with its file; side by side where there are many."""
    if len(pictures) <= 2:
        yield from (_draw(picture, out, options.chosen()) for picture in pictures)
        return
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    workers = min(cores(), len(pictures))
    try:
        with ProcessPoolExecutor(workers, context) as pool:
            yield from pool.map(_draw, pictures, [out] * len(pictures), [options.chosen()] * len(pictures))
    except BrokenProcessPool:
        raise ResultError("a process that drew figures was killed; is there memory enough? Draw again") from None


def _draw(picture: Picture, out: Path, chosen: options.Options) -> tuple[Path | None, str]:
    """The PNG, or what is wrong with the file."""
    study, sources, stem = picture
    try:
        with using(sources[0]), options.using(chosen):
            if stem:
                return coefficients.draw_all(list(sources), out, stem), ""
            return importlib.import_module(f"figures.{study}").draw(sources[0], out), ""
    except ResultError as error:
        return None, str(error)
    except OSError:  # a full disk is full for the others, too
        raise
    except Exception as error:
        return None, f"{sources[0]}: cannot be drawn ({type(error).__name__}: {error})"
