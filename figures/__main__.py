"""``python -m figures``: redraw every figure from result files, without torch, and write a page that shows them all."""

from __future__ import annotations

import argparse
from pathlib import Path

from figures import gallery, page
from figures.shared import options, style
from hdream_core.support.commandline import OneLineParser
from hdream_core.support.errors import exit_on_user_error


def main() -> None:
    """Entry point."""
    parser = OneLineParser(
        prog="python -m figures",
        description=__doc__,
        epilog=page.listing(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--results", type=Path, default=style.SHIPPED, help="folder of result files (the shipped ones)")
    parser.add_argument("--out", type=Path, default=style.OUT, help="folder of the figures (%(default)s)")
    options.add_flags(parser, style.WIDTH, style.LABEL)
    with exit_on_user_error("the others are not drawn"):
        chosen = parser.parse_args()
        with options.using(options.read(chosen)):
            drawn = gallery.redraw(chosen.results, chosen.out)
            of_the_paper = gallery.of_the_paper(chosen.results, chosen.out)
        print("\n".join(str(picture) for _, picture in of_the_paper + drawn))
        print(page.write(drawn, chosen.out, chosen.results, of_the_paper))


if __name__ == "__main__":
    main()
