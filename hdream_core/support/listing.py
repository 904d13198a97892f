"""Lists the commands of a package by reading its files. None is imported, so that the list comes at once.

A command is a module of the package that ends in ``if __name__ == "__main__"``, or a folder with a ``__main__.py``.
Its constant ``ABOUT`` describes it in a line; ``ITEM``, if it has one, names the paper's item that it is about.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import NamedTuple

from hdream_core.support.errors import exit_on_user_error


class Command(NamedTuple):
    """Describes a command that a user can type.

    Attributes:
        module: module that ``python -m`` runs.
        item: the paper's item that it is about; may be empty.
        text: description in a line.
    """

    module: str
    item: str
    text: str


def commands(package: str, folder: Path) -> dict[str, Command]:
    """Returns the commands of a package by name: first those about an item of the paper, each group sorted by name.

    Args:
        package: name of the package.
        folder: folder of its files.
    """
    files = {path.stem: path for path in folder.glob("[!_]*.py")}
    files |= {path.parent.name: path for path in folder.glob("[!_]*/__main__.py")}
    by_name = {}
    for name, path in sorted(files.items()):
        tree = ast.parse(path.read_bytes())
        if any(isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'" for node in tree.body):
            constants = {node.targets[0].id: node.value for node in tree.body if _is_constant(node)}
            item, text = (ast.literal_eval(constants[key]) if key in constants else "" for key in ("ITEM", "ABOUT"))
            by_name[name] = Command(f"{package}.{name}", item, text)
    return dict(sorted(by_name.items(), key=lambda entry: not entry[1].item))


def _is_constant(node: ast.stmt) -> bool:
    return isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id.isupper()


def table(by_name: dict[str, Command], modules: bool) -> str:
    """Formats commands as a table, one per line.

    Args:
        by_name: commands by name.
        modules: show the module for ``python -m``, not the name.
    """
    names = [command.module if modules else name for name, command in by_name.items()]
    widths = [max(map(len, column)) for column in (names, [command.item for command in by_name.values()])]
    lines = []
    for name, command in zip(names, by_name.values(), strict=True):
        item = f"{command.item:<{widths[1]}}  " if widths[1] else ""
        lines.append(f"  {name:<{widths[0]}}  {item}{command.text}")
    return "\n".join(lines)


def main(package: str, folder: Path) -> None:
    """Prints the commands of a package, for its ``__main__.py``."""
    with exit_on_user_error():
        print("usage: python -m MODULE ...; python -m MODULE --help shows its options\n")
        print(table(commands(package, folder), modules=True))
