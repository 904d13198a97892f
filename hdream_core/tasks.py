"""``python -m hdream_core.tasks``: lists the tasks of every suite, the presets of each, and the methods."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from hdream_core import envs
from hdream_core.config.presets import METHODS, presets_for
from hdream_core.support import commandline
from hdream_core.support.errors import exit_on_user_error

ABOUT = "List the tasks of every suite, the presets of each, and the methods."


@dataclass(frozen=True)
class Tasks:
    """List the tasks of every suite, the presets of each, and the methods."""


def lines() -> list[str]:
    """Returns the lists as lines of text."""
    text = []
    for suite in envs.suites():
        needs = f"; needs: pip install 'hdream[{suite.extra}]'" if suite.extra else ""
        scale = f"; scale of all results: {suite.scale}" if suite.scale else ""
        text.append(f"{suite.name} ({len(suite.tasks)}{scale}{needs})")
        text += textwrap.wrap(" ".join(suite.tasks), 100, initial_indent="  ", subsequent_indent="  ")
        able = [method for method in METHODS if presets_for(suite.tasks[0], method)]
        text += textwrap.wrap(f"--method {' '.join(able)}", 100, initial_indent="  ", subsequent_indent="  ")
        presets = presets_for(suite.tasks[0], able[0]) if able else {}
        text += [f"  --preset {name:<6} {description}" for name, (description, _) in presets.items()]
    return [*text, "presets are those of the first method; studies also take fixed weights, such as w_r=100"]


def main(args: Sequence[str] | None = None) -> None:
    """Runs the command."""
    with exit_on_user_error():
        commandline.parse(Tasks, args, "python -m hdream_core.tasks")
        print("\n".join(lines()))


if __name__ == "__main__":
    main()
