"""Pictures by matplotlib, which come out the same for everyone: without a backend, with no settings but those given.

``matplotlib.pyplot`` is never needed. It holds every figure until it is closed, and draws with the backend that
``MPLBACKEND``, a ``matplotlibrc`` or a notebook names, whether it is there or not. No other module imports matplotlib:
what they need of it is imported here, once that is sure to succeed.
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
    """Imports matplotlib even where the backend or the file of settings that its user names is none.

    A backend that is one stays chosen for the user's own figures. A file of settings that cannot be read is left out.
    """
    asked = os.environ.pop("MPLBACKEND", None)
    try:
        _import_whole()
    except (OSError, ValueError):  # of a matplotlibrc; the first place where one is looked for is the current folder
        with contextlib.chdir(Path(importlib.util.find_spec("matplotlib").origin).parent / "mpl-data"):
            _import_whole()
    finally:
        if asked is not None:
            os.environ["MPLBACKEND"] = asked
    if asked:
        with contextlib.suppress(ValueError):
            sys.modules["matplotlib"].rcParams["backend"] = asked


def _import_whole() -> None:
    """Imports matplotlib without the parts that an import which failed has left."""
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


_lock = threading.RLock()  # settings are those of all threads; notebooks play controls in a thread of their own


@contextlib.contextmanager
def look(settings: Mapping[str, Any]) -> Iterator[None]:
    """Draws by matplotlib's defaults and some settings within the block; then what was set before holds again.

    One thread at a time is in such a block.

    Args:
        settings: of ``matplotlib.rcParams``.
    """
    with _lock, matplotlib.rc_context():
        with warnings.catch_warnings():  # a default may be of a setting that is on its way out
            warnings.simplefilter("ignore", matplotlib.MatplotlibDeprecationWarning)
            matplotlib.rcParams.update({n: v for n, v in matplotlib.rcParamsDefault.items() if n != "backend"})
        matplotlib.rcParams.update(settings)
        yield


class Drawing(Figure):
    """Holds a figure that keeps its look wherever it is drawn; Jupyter shows it with any backend.

    Axes and what they hold are to be made in a block of ``look`` with the same settings.

    Args:
        width: in inches.
        height: in inches.
        settings: of ``matplotlib.rcParams``, in place of its defaults.
        options: of matplotlib's ``Figure``.

    Attributes:
        caption: text to be read with it.
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
        """Writes the figure in the format that the path ends in, whole or not at all, and returns the path.

        Args:
            path: of a PNG, PDF or SVG.
            options: of matplotlib's ``savefig``.

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
