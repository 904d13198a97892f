"""Parses command lines into dataclasses with tyro, and formats them back. Errors become one line."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import io
import re
import sys
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NoReturn, TypeVar, get_type_hints

import docstring_parser
import tyro

from hdream_core.support.errors import BAD_INPUT, end
from hdream_core.support.numbers import REGISTRY

T = TypeVar("T")
BOX = re.compile(r"[─-╿]+|-{5,}")  # the characters of the frames around tyro's messages
HINT = re.compile(r"For full helptext.*")


class OneLineParser(argparse.ArgumentParser):
    """Parses like ``argparse``, and reports errors in one line."""

    def error(self, message: str) -> NoReturn:
        end(BAD_INPUT, f"error: {message}; see {self.prog} --help")


def flag_of(name: str) -> str:
    """Returns the flag of a field: ``--plan-only`` of ``plan_only``."""
    return f"--{name.replace('_', '-')}"


def parse(
    kind: type[T], args: Sequence[str] | None, prog: str, defaults: Mapping[str, str] | None = None, **options: Any
) -> T:
    """Parses a command line into a ``kind``; exits with status 2 and a one-line error if it cannot be parsed.

    Args:
        kind: dataclass whose fields are the flags.
        args: the arguments; None takes this process's.
        prog: name of the program in messages.
        defaults: by field, the meaning of None, if the field's docstring does not give it.
        options: passed on to ``tyro.cli``.
    """
    _set_help(kind, defaults or {})
    arguments = sys.argv[1:] if args is None else list(args)
    stderr = io.StringIO()
    try:
        with contextlib.redirect_stderr(stderr):
            return tyro.cli(kind, args=arguments, prog=prog, registry=REGISTRY, **options)
    except SystemExit as stop:
        if stop.code:
            end(BAD_INPUT, f"error: {one_line(stderr.getvalue())}; see {prog} --help")
        raise


def _set_help(kind: type, defaults: Mapping[str, str]) -> None:
    """Sets each field's docstring, joined to one line, as its help; tyro would break it before an indented line.

    Where a field defaults to None, ``Default: x`` in its docstring becomes ``None: x``, since tyro itself adds that
    the default is None.
    """
    docs = {
        doc.arg_name: " ".join((doc.description or "").split())
        for cls in reversed(kind.__mro__[:-1])  # without object
        for doc in docstring_parser.parse_from_object(cls).params
    }
    types = get_type_hints(kind)
    for field in dataclasses.fields(kind):
        if field.name in docs:
            docs[field.name] += f" Default: {defaults[field.name]}." if field.name in defaults else ""
            text = docs[field.name].replace("Default: ", "None: ") if field.default is None else docs[field.name]
            field.metadata = MappingProxyType({**field.metadata, "help": text})
        if dataclasses.is_dataclass(types[field.name]):
            _set_help(types[field.name], {})


def to_args(options: Any) -> list[str]:
    """Formats a dataclass as the arguments that parse to it: a flag for each field that is not at its default."""
    args: list[str] = []
    for field in dataclasses.fields(options):
        value, flag = getattr(options, field.name), flag_of(field.name)
        if value == field.default:
            continue
        if isinstance(value, bool):
            args.append(flag if value else flag.replace("--", "--no-", 1))
        else:
            args += [flag, *map(str, value if isinstance(value, tuple) else [value])]
    return args


def one_line(text: str) -> str:
    """Turns tyro's message into one line, without frames, titles and hints."""
    line = " ".join(HINT.sub("", BOX.sub(" ", text)).split()).partition(" Argument helptext:")[0]
    line = line.replace("Invalid choice invalid choice", "invalid choice")
    for title in ("Parsing error ", "Unrecognized options ", "Value error ", "Missing argument ", "Required options "):
        line = line.removeprefix(title)
    # An error of a settings group (``support.settings``) begins with the name of the field, so the path of the group
    # goes before it. The leading ``run.``, the command's field that holds the config, is dropped: flags do not have it.
    if match := re.search(r"Error parsing (?:run\.)?([\w.]+): (\w+ is .*?)[ -]*$", line):
        return ".".join(match.groups())
    line = _shorten_similar(line.removeprefix("Error parsing "))
    if match := re.match(r"Missing from .*?: (\S+) ", line):
        return f"{match[1]} is missing"
    return line.rstrip(". ") or "cannot be read"


def _shorten_similar(line: str) -> str:
    """Shortens the help of similar flags in a message to the names of the flags."""
    message, *_ = re.split(r" (?:Perhaps you meant:|Arguments similar to)", line)
    near = re.findall(r"(?:Perhaps you meant:|Arguments similar to \S+:) (--[\w.-]+)", line)
    return f"{message} (did you mean {' '.join(dict.fromkeys(near))}?)" if near else line
