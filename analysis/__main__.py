"""``python -m analysis``, or ``hdream``: lists the commands; ``hdream COMMAND ...`` runs one."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from typing import NamedTuple

from hdream_core.support.errors import ConfigError, exit_on_user_error
from hdream_core.support.settings import nearest


class Command(NamedTuple):
    """What a user can type after ``hdream``.

    Attributes:
        module: that ``python -m`` runs.
        item: of the paper, if it is about one.
        text: what it does, in a line.
    """

    module: str
    item: str
    text: str


def _study(name: str, item: str, text: str) -> tuple[str, Command]:
    return name, Command(f"analysis.{name}", item, text)


COMMANDS = dict(
    [
        _study("finding1", "Figs. 2a, 22", "Compare reward-loss weights: curves of policies and dreams."),
        _study("loss_scales", "Fig. 2b", "Measure the three losses, and their gradients at the shared parameters."),
        _study("state_regression", "Fig. 2c", "Read object positions off the representation."),
        _study("finding2", "Fig. 3", "Lay dreams beside the truth, and count how often they are wrong."),
        _study("counterfactual", "Finding 2", "Count wrong dreams under altered actions, from restored states."),
        _study("finding3", "Finding 3", "Ask what learning from rewards alone (w_o = 0) is worth."),
        _study("reward_mse", "E.10", "Compare reward error with and without observation modelling."),
        _study("coefficients", "Figs. 4, 23", "Show the coefficients that HarmonyDream learns, beside Eq. 13."),
        _study("ablations", "Figs. 15-18", "Compare HarmonyDream with its ablations and with tuned weights."),
        _study("multitask", "Fig. 9b", "Compare HarmonyDream with other balancers of several losses."),
        _study("atari_table", "Table 2", "Compute the Atari table's aggregates again and check what is said of it."),
        _study("claims", "all", "Judge every claim by the results, and write the ledger."),
        _study("demo", "", "Make small models and recordings for the notebooks."),
        _study("status", "", "List the runs of a folder with their state and progress."),
        _study("collect", "", "Make a study's result from what its runs have so far."),
        _study("clean", "", "Remove what finished runs no longer need, after asking."),
        ("train", Command("hdream_core.train", "", "Train one agent.")),
        ("benchmark", Command("hdream_core.benchmark", "", "Time updates, kernels, frames and whole runs.")),
        ("build", Command("offline_buffers.build", "", "Collect a fixed buffer.")),
        ("validate", Command("offline_buffers.validate", "", "Check a fixed buffer.")),
        ("describe", Command("offline_buffers.describe", "", "Show what a fixed buffer holds.")),
        ("figures", Command("figures", "", "Redraw every figure from result files.")),
    ]
)


def listing() -> str:
    """Returns the commands, a line each."""
    lines = [f"  {name:<17} {command.item:<13} {command.text}" for name, command in COMMANDS.items()]
    usage = "usage: hdream COMMAND ..., or python -m MODULE ...; hdream COMMAND --help tells its options"
    return "\n".join([usage, "", *lines])


def main(args: Sequence[str] | None = None) -> None:
    """Entry point."""
    words = sys.argv[1:] if args is None else list(args)
    with exit_on_user_error():
        if not words or words[0] in ("-h", "--help"):
            print(listing())
            return
        name, *rest = words
        if name not in COMMANDS:
            raise ConfigError(f"no command {name!r}{nearest(name, COMMANDS)}; hdream lists them")
    module = COMMANDS[name].module
    sys.argv = [f"hdream {name}", *rest]
    importlib.import_module(f"{module}.__main__" if module in ("figures", "hdream_core.benchmark") else module).main()


if __name__ == "__main__":
    main()
