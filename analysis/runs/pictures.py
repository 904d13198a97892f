"""The picture of a result file, drawn for a study that has written the file already.

The result stands and runs go on whatever is wrong with the picture: all that fails in drawing, the import of what draws
included, is one error in one line.
"""

from __future__ import annotations

import importlib
import shlex
from pathlib import Path

from hdream_core.support.errors import UserError, in_a_line


class PictureError(UserError):
    """A result is written, and its picture cannot be drawn; the message names the command that draws it later."""

    status = 1


def draw(study: str, path: Path, out: Path) -> Path:
    """Draws a result file's picture by ``figures.<study>`` and returns the PNG's path.

    Args:
        study: that wrote the file.
        path: of the file.
        out: folder of the picture.

    Raises:
        PictureError: whatever went wrong; also where memory is short, which the rest of a study needs less of.
    """
    try:
        return importlib.import_module(f"figures.{study}").draw(path, out)
    except Exception as error:
        command = shlex.join(["python", "-m", f"figures.{study}", str(path), "--out", str(out)])
        raise PictureError(
            f"the picture is not drawn ({in_a_line(error).rstrip('.')}); the result stands: {path}. "
            f"Draw it by: {command}"
        ) from error
