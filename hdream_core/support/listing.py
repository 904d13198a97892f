"""Lists the commands of a package by reading its files: none is imported, so that a list comes at once.

A command is a module of the package that ends in ``if __name__ == "__main__"``, or a folder with a ``__main__.py``.
What it does is its constant ``ABOUT``, a line; ``ITEM``, if it has one, is the item of the paper that it is about.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import NamedTuple

from hdream_core.support.errors import exit_on_user_error


class Command(NamedTuple):
    """What a user can type.

    Attributes:
        module: that ``python -m`` runs.
        item: of the paper, if it is about one.
        text: what it does, in a line.
    """

    module: str
    item: str
    text: str


def commands(package: str, folder: Path) -> dict[str, Command]:
    """Returns the commands of a package by name: those about an item of the paper first, each part by name.

    Args:
        package: its name.
        folder: of its files.
    """
    files = {path.stem: path for path in folder.glob("[!_]*.py")}
    files |= {path.parent.name: path for path in folder.glob("[!_]*/__main__.py")}
    found = {}
    for name, path in sorted(files.items()):
        tree = ast.parse(path.read_bytes())
        if any(isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'" for node in tree.body):
            known = {node.targets[0].id: node.value for node in tree.body if _is_constant(node)}
            item, text = (ast.literal_eval(known[key]) if key in known else "" for key in ("ITEM", "ABOUT"))
            found[name] = Command(f"{package}.{name}", item, text)
    return dict(sorted(found.items(), key=lambda entry: not entry[1].item))


def _is_constant(node: ast.stmt) -> bool:
    return isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id.isupper()


def table(found: dict[str, Command], modules: bool) -> str:
    """Formats commands, a line each.

    Args:
        found: by name.
        modules: whether to show what ``python -m`` takes, rather than the name.
    """
    names = [command.module if modules else name for name, command in found.items()]
    widths = [max(map(len, column)) for column in (names, [command.item for command in found.values()])]
    lines = []
    for name, command in zip(names, found.values(), strict=True):
        item = f"{command.item:<{widths[1]}}  " if widths[1] else ""
        lines.append(f"  {name:<{widths[0]}}  {item}{command.text}")
    return "\n".join(lines)


def main(package: str, folder: Path) -> None:
    """Prints the commands of a package: what its ``__main__.py`` does."""
    with exit_on_user_error():
        print("usage: python -m MODULE ...; python -m MODULE --help tells its options\n")
        print(table(commands(package, folder), modules=True))
