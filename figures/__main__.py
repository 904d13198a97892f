"""``python -m figures``: redraw every figure from result files, without torch, and write a page that shows them all."""

from __future__ import annotations

from pathlib import Path

from figures import gallery, page
from figures.shared import style
from hdream_core.support.commandline import OneLineParser
from hdream_core.support.errors import exit_on_user_error


def main() -> None:
    """Entry point."""
    parser = OneLineParser(prog="python -m figures", description=__doc__)
    parser.add_argument("--results", type=Path, default=style.SHIPPED, help="folder of result files (the shipped ones)")
    parser.add_argument("--out", type=Path, default=Path("figures/out"), help="folder of the figures (%(default)s)")
    chosen = parser.parse_args()
    with exit_on_user_error("the others are not drawn"):
        drawn = gallery.redraw(chosen.results, chosen.out)
        print("\n".join(str(picture) for _, picture in drawn))
        print(page.write(drawn, chosen.out, chosen.results))


if __name__ == "__main__":
    main()
