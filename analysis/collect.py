"""``python -m analysis.collect STUDY [FLAGS]``: a study's result from what its runs have so far; it starts nothing."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

STUDIES = ("finding1", "coefficients", "ablations", "multitask")  # those that read the runs' own curves


def main(args: Sequence[str] | None = None) -> None:
    """Entry point."""
    words = sys.argv[1:] if args is None else list(args)
    usage = f"python -m analysis.collect {{{','.join(STUDIES)}}} [the study's own flags]"
    if words and words[0] in ("-h", "--help"):
        print(f"usage: {usage}")
        sys.exit(0)
    if not words or words[0] not in STUDIES:
        print(f"error: no study {words[0] if words else 'given'!r} to collect; {usage}", file=sys.stderr)
        sys.exit(2)
    importlib.import_module(f"analysis.{words[0]}").main([*words[1:], "--launcher", "none"])


if __name__ == "__main__":
    main()
