"""Draws the picture of a result file that is already written.

A failure to draw, including one to import, is a single error of one line. The result stays, and runs go on.
"""

from __future__ import annotations

import importlib
import shlex
from pathlib import Path

from hdream_core.support.errors import UserError, in_a_line


class PictureError(UserError):
    """Says that the picture of a result cannot be drawn; the message names the command that draws it later."""

    status = 1


def draw(study: str, path: Path, out: Path) -> Path:
    """Draws a result file's picture by ``figures.<study>`` and returns the PNG's path.

    Args:
        study: that wrote the file.
        path: of the file.
        out: folder of the picture.

    Raises:
        PictureError: for any failure, a lack of memory included.
    """
    try:
        return importlib.import_module(f"figures.{study}").draw(path, out)
    except Exception as error:
        command = shlex.join(["python", "-m", f"figures.{study}", str(path), "--out", str(out)])
        raise PictureError(
            f"the picture is not drawn ({in_a_line(error).rstrip('.')}); the result stands: {path}. "
            f"Draw it by: {command}"
        ) from error
