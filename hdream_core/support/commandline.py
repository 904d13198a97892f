"""Parse command lines into dataclasses with tyro, and format them back. Errors become one line."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import io
import re
import sys
from collections.abc import Sequence
from types import MappingProxyType
from typing import Any, NoReturn, TypeVar, get_type_hints

import docstring_parser
import tyro

T = TypeVar("T")
BOX = re.compile(r"[─-╿]+")  # of which tyro draws frames around its messages
HINT = re.compile(r"For full helptext.*")


class Words(argparse.ArgumentParser):
    """A parser of ``argparse`` that says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {message}; see {self.prog} --help\n")


def parse(kind: type[T], args: Sequence[str] | None, prog: str, **options: Any) -> T:
    """The command line as a ``kind``; exits with status 2 and one line for one that is none.

    Args:
        kind: dataclass whose fields are the flags.
        args: words; None takes this process's.
        prog: what the user types.
        options: of ``tyro.cli``.
    """
    _unwrap(kind)
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            return tyro.cli(kind, args=sys.argv[1:] if args is None else list(args), prog=prog, **options)
    except SystemExit as stop:
        if stop.code:
            print(f"error: {one_line(said.getvalue())}; see {prog} --help", file=sys.stderr)
        raise


def _unwrap(kind: type) -> None:
    """Gives each field its docstring as one line of help: tyro breaks the line before each indented one.

    What a docstring has as the default of a field that defaults to None is told as what None stands for, since tyro
    adds that the default is None.
    """
    docs = {
        doc.arg_name: " ".join((doc.description or "").split())
        for cls in reversed(kind.__mro__[:-1])  # without object
        for doc in docstring_parser.parse_from_object(cls).params
    }
    types = get_type_hints(kind)
    for field in dataclasses.fields(kind):
        if field.name in docs:
            text = docs[field.name].replace("Default: ", "None: ") if field.default is None else docs[field.name]
            field.metadata = MappingProxyType({**field.metadata, "help": text})
        if dataclasses.is_dataclass(types[field.name]):
            _unwrap(types[field.name])


def words_of(job: Any) -> list[str]:
    """The command line that a dataclass could have been parsed from: its fields that are not at their defaults."""
    words: list[str] = []
    for field in dataclasses.fields(job):
        value, flag = getattr(job, field.name), f"--{field.name.replace('_', '-')}"
        if value == field.default:
            continue
        if isinstance(value, bool):
            words.append(flag if value else flag.replace("--", "--no-", 1))
        else:
            words += [flag, *map(str, value if isinstance(value, tuple) else [value])]
    return words


def one_line(text: str) -> str:
    """Turns tyro's message into one line: without its frames, titles and hints."""
    words = " ".join(HINT.sub("", BOX.sub(" ", text)).split()).partition(" Argument helptext:")[0]
    for title in ("Parsing error ", "Unrecognized options ", "Value error "):
        words = words.removeprefix(title)
    # What a group of settings refuses (``support.settings``) begins with the field's own name; the config of a run is
    # the field ``run`` of the command, which its flags do not name.
    if refused := re.search(r"Error parsing (?:run\.)?([\w.]+): (\w+ is .*?)[ -]*$", words):
        return ".".join(refused.groups())
    return words.rstrip(". ") or "cannot be read"
