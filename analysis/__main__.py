"""``python -m analysis``, or ``hdream``: lists the commands; ``hdream COMMAND ...`` runs one."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

from hdream_core.support import listing
from hdream_core.support.errors import ConfigError, exit_on_user_error
from hdream_core.support.settings import nearest

ROOT = Path(__file__).resolve().parent.parent
COMMANDS = {
    **listing.commands("analysis", ROOT / "analysis"),
    **listing.commands("hdream_core", ROOT / "hdream_core"),
    **listing.commands("offline_buffers", ROOT / "offline_buffers"),
    "figures": listing.Command("figures", "", "Redraw every figure from result files."),
}


def main(args: Sequence[str] | None = None) -> None:
    """Entry point."""
    words = sys.argv[1:] if args is None else list(args)
    with exit_on_user_error():
        if not words or words[0] in ("-h", "--help"):
            print("usage: hdream COMMAND ..., or python -m MODULE ...; hdream COMMAND --help tells its options\n")
            print(listing.table(COMMANDS, modules=False))
            return
        name, *rest = words
        if name not in COMMANDS:
            raise ConfigError(f"no command {name!r}{nearest(name, COMMANDS)}; hdream lists them")
    module = COMMANDS[name].module
    sys.argv = [f"hdream {name}", *rest]
    importlib.import_module(f"{module}.__main__" if module in ("figures", "hdream_core.benchmark") else module).main()


if __name__ == "__main__":
    main()
