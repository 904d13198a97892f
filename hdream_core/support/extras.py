"""Says in one line which extra of the package brings what is missing: ``pip install hdream`` alone brings PyTorch."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

from hdream_core.support.errors import BAD_INPUT, end

# Of each extra, those that the first imports need; whatever else is missing is named when it is imported.
NEEDED = {"analysis": ("scipy", "h5py", "h5netcdf", "tyro", "pydantic", "tqdm", "filelock")}


def demand(package: str, extra: str = "analysis") -> None:
    """Checks that what an extra brings is installed.

    Args:
        package: that needs it, for the message.
        extra: its name.

    Raises:
        ImportError: naming what is missing and the command that installs it. A command ends with that line.
    """
    missing = [name for name in NEEDED[extra] if find_spec(name) is None]
    if missing:
        text = f"{package} needs {', '.join(missing)}; run: pip install 'hdream[{extra}]'"
        if Path(sys.argv[0]).stem in ("hdream", "-m"):  # the script, or python -m before it knows the module's path
            end(BAD_INPUT, f"error: {text}")
        raise ImportError(text)
