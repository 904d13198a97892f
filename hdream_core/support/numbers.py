"""Reads numbers and lists of numbers on command lines; errors say what would be right."""

from __future__ import annotations

import re
from collections.abc import Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

WHOLE, RANGE = re.compile(r"[+-]?[0-9]{1,30}"), re.compile(r"([0-9]{1,9})-([0-9]{1,9})")
LONGEST_LIST = 10_000  # numbers
EXAMPLES = {int: "whole numbers such as 0 1 2, 0,1,2 or 0-2", float: "numbers such as 1 10 100 or 1,10,100"}
KINDS = {int: "a whole number", float: "a number"}
REGISTRY = ConstructorRegistry()


def read_number(text: str, kind: type[int] | type[float]) -> Any:
    """Reads a number; raises ValueError, naming what is needed, if the text is not one."""
    text = text.strip()
    try:
        if not text.isascii() or "_" in text or (kind is int and not WHOLE.fullmatch(text)):
            raise ValueError
        return kind(text)
    except ValueError:
        raise ValueError(f"{text!r} is not {KINDS[kind]}") from None


def read_numbers(words: Sequence[str], kind: type[int] | type[float]) -> tuple[Any, ...]:
    """Reads a list of words. Each is a number, numbers with commas between, or for whole numbers a range like ``0-2``.

    Raises:
        ValueError: naming what is needed, if a part is none of these, or the list is empty or too long.
    """
    numbers: list[Any] = []
    for part in [part for word in words for part in word.removesuffix(",").split(",")] if words else []:
        ends = RANGE.fullmatch(part.strip()) if kind is int else None
        try:
            first, last = map(int, ends.groups()) if ends else (0, -1)
            if ends and not first <= last < first + LONGEST_LIST:
                raise ValueError(f"{part!r} is not a range of 1 to {LONGEST_LIST} numbers")
            numbers += range(first, last + 1) if ends else [read_number(part, kind)]
        except ValueError as error:
            raise ValueError(f"{error}; give {EXAMPLES[kind]}") from None
    if not 1 <= len(numbers) <= LONGEST_LIST:
        raise ValueError(f"{len(numbers) or 'no'} numbers are given; give {EXAMPLES[kind]}")
    return tuple(numbers)


def _is_union(kind: Any) -> bool:
    return get_origin(kind) in (Union, UnionType)


def _without_bounds(kind: Any) -> Any:
    """Returns the type without its bounds, which the settings check themselves."""
    return get_args(kind)[0] if get_origin(kind) is Annotated else kind


@REGISTRY.primitive_rule
def _rule(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec | None:
    """Makes the rule for ``int``, ``float``, a tuple of any number of them, and these or None; None for other types."""
    members = {_without_bounds(part) for part in (get_args(info.type) if _is_union(info.type) else (info.type,))}
    kind = next(iter(members - {NoneType}), None)
    optional, many = NoneType in members, get_origin(kind) is tuple and get_args(kind)[1:] == (...,)
    number = get_args(kind)[0] if many else kind
    if len(members - {NoneType}) != 1 or number not in (int, float):
        return None

    def read(words: list[str]) -> Any:
        if optional and words == ["None"]:
            return None
        return read_numbers(words, number) if many else read_number(words[0], number)

    def is_number(value: Any) -> bool:
        return isinstance(value, (int, number)) and not isinstance(value, bool)

    def fits(value: Any) -> bool:
        if value is None:
            return optional
        return isinstance(value, tuple) and all(map(is_number, value)) if many else is_number(value)

    def to_words(value: Any) -> list[str]:
        return [str(item).removesuffix(".0") for item in (value if isinstance(value, tuple) else [value])]

    name = "N" if number is int else "X"
    return PrimitiveConstructorSpec("*" if many else 1, f"{name} ..." if many else name, read, fits, to_words)
