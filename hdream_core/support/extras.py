"""Reports in one line which extra of the package installs what is missing: ``pip install hdream`` has only PyTorch."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

from hdream_core.support.errors import BAD_INPUT, end

# The packages of each extra that the first imports need; other missing packages are named when they are imported.
NEEDED = {"analysis": ("scipy", "h5py", "h5netcdf", "tyro", "pydantic", "tqdm", "filelock")}


def demand(package: str, extra: str = "analysis") -> None:
    """Checks that the packages of an extra are installed.

    Args:
        package: package that needs it, for the message.
        extra: name of the extra.

    Raises:
        ImportError: naming the missing packages and the command that installs them. A command ends with that line.
    """
    missing = [name for name in NEEDED[extra] if find_spec(name) is None]
    if missing:
        text = f"{package} needs {', '.join(missing)}; run: pip install 'hdream[{extra}]'"
        if Path(sys.argv[0]).stem in ("hdream", "-m"):  # the script, or python -m before it knows the module's path
            end(BAD_INPUT, f"error: {text}")
        raise ImportError(text)
