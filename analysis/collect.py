"""Makes a study's result from what its runs have so far: ``python -m analysis.collect STUDY [FLAGS]``.

It trains nothing. A study of learning curves uses all that the runs have logged. A study of trained models uses the
seeds of which every method is finished, and prints which.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from analysis.__main__ import COMMANDS
from hdream_core.support.errors import ConfigError, exit_on_user_error
from hdream_core.support.settings import nearest

ABOUT = "Make a study's result from what its runs have so far."
WITHOUT_RUNS = ("atari_table", "claims")


def main(args: Sequence[str] | None = None) -> None:
    """Entry point."""
    words = sys.argv[1:] if args is None else list(args)
    usage = "python -m analysis.collect STUDY [the study's own flags]"
    studies = [name for name, command in COMMANDS.items() if command.item and name not in WITHOUT_RUNS]
    with exit_on_user_error():
        if words and words[0] in ("-h", "--help"):
            print(f"usage: {usage}\n\n{__doc__}\n\nStudies: {', '.join(studies)}")
            return
        if not words or words[0] not in studies:
            what = f"no study of runs {words[0]!r}{nearest(words[0], studies)}" if words else "no study is given"
            raise ConfigError(f"{what}; {usage}; studies: {', '.join(studies)}")
    importlib.import_module(f"analysis.{words[0]}").main([*words[1:], "--launcher", "none"])


if __name__ == "__main__":
    main()
