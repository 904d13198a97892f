"""Draws with matplotlib so that figures look the same for everyone: with no backend, and only the given settings.

``matplotlib.pyplot`` is never needed. It keeps every figure until it is closed. It draws with the backend that
``MPLBACKEND``, a ``matplotlibrc`` or a notebook names, whether it is installed or not. No other module imports
matplotlib: what they need is imported here, where the import cannot fail.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import io
import os
import sys
import threading
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hdream_core.support.files import write_atomically


def _import_matplotlib() -> None:
    """Imports matplotlib even if the backend or the settings file that its user names is unusable.

    A usable backend stays chosen for the user's own figures. A settings file that cannot be read is ignored.
    """
    backend = os.environ.pop("MPLBACKEND", None)
    try:
        _import_afresh()
    except (OSError, ValueError):  # from a matplotlibrc; matplotlib first looks for one in the current folder
        with contextlib.chdir(Path(importlib.util.find_spec("matplotlib").origin).parent / "mpl-data"):
            _import_afresh()
    finally:
        if backend is not None:
            os.environ["MPLBACKEND"] = backend
    if backend:
        with contextlib.suppress(ValueError):
            sys.modules["matplotlib"].rcParams["backend"] = backend


def _import_afresh() -> None:
    """Imports matplotlib without the modules that a failed import has left."""
    for name in [name for name in sys.modules if name.startswith("matplotlib.")]:
        del sys.modules[name]
    importlib.import_module("matplotlib")


if "matplotlib" not in sys.modules:
    _import_matplotlib()

import matplotlib  # noqa: E402
from matplotlib.artist import Artist  # noqa: E402
from matplotlib.axes import Axes  # noqa: E402
from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: E402
from matplotlib.collections import Collection  # noqa: E402
from matplotlib.figure import Figure, SubFigure  # noqa: E402
from matplotlib.lines import Line2D  # noqa: E402
from matplotlib.patches import Patch  # noqa: E402
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter  # noqa: E402

__all__ = [
    "Artist",
    "Axes",
    "Collection",
    "Drawing",
    "Figure",
    "FuncFormatter",
    "Line2D",
    "LogLocator",
    "MaxNLocator",
    "NullFormatter",
    "Patch",
    "SubFigure",
    "look",
    "matplotlib",
]


_lock = threading.RLock()  # all threads share the settings; notebooks play controls in a thread of their own


@contextlib.contextmanager
def look(settings: Mapping[str, Any]) -> Iterator[None]:
    """Applies matplotlib's defaults and some settings within the block, then restores the earlier ones.

    Only one thread at a time is in such a block.

    Args:
        settings: values of ``matplotlib.rcParams``.
    """
    with _lock, matplotlib.rc_context():
        with warnings.catch_warnings():  # some defaults are of deprecated settings
            warnings.simplefilter("ignore", matplotlib.MatplotlibDeprecationWarning)
            matplotlib.rcParams.update({n: v for n, v in matplotlib.rcParamsDefault.items() if n != "backend"})
        matplotlib.rcParams.update(settings)
        yield


class Drawing(Figure):
    """Holds a figure that keeps its look wherever it is drawn; Jupyter shows it with any backend.

    Make axes and their content in a block of ``look`` with the same settings.

    Args:
        width: in inches.
        height: in inches.
        settings: values of ``matplotlib.rcParams`` that replace its defaults.
        options: options of matplotlib's ``Figure``.

    Attributes:
        caption: text to read with it.
    """

    caption = ""

    def __init__(self, width: float, height: float, settings: Mapping[str, Any], **options: Any):
        self._look = dict(settings)
        with look(self._look):
            super().__init__(figsize=(width, height), **options)
        FigureCanvasAgg(self)

    def draw(self, renderer: Any) -> None:
        with look(self._look):
            super().draw(renderer)

    def savefig(self, fname: Any, **options: Any) -> None:
        with look(self._look):
            super().savefig(fname, **options)

    def write(self, path: Path, **options: Any) -> Path:
        """Writes the figure in the format of the path's ending, completely or not at all; returns the path.

        Args:
            path: path of a PNG, PDF or SVG.
            options: options of matplotlib's ``savefig``.

        Raises:
            OSError: naming the path, if it cannot be written.
        """
        buffer = io.BytesIO()
        self.savefig(buffer, format=path.suffix.removeprefix("."), **options)
        write_atomically(path, buffer.getbuffer())
        return path

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=self.dpi)
        return buffer.getvalue()
