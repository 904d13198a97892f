"""The picture of a result file, drawn for a study that has written the file already.

The result stands and runs go on whatever is wrong with the picture: all that fails in drawing, the import of what draws
included, is one error in one line.
"""

from __future__ import annotations

import importlib
import shlex
from pathlib import Path

from hdream_core.support.errors import UserError


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
        told = str(error) if isinstance(error, UserError | OSError) else f"{type(error).__name__}: {error}"
        command = shlex.join(["python", "-m", f"figures.{study}", str(path), "--out", str(out)])
        told = " ".join(told.split()).rstrip(".")
        raise PictureError(
            f"the picture is not drawn ({told}); the result stands: {path}. Draw it by: {command}"
        ) from error
