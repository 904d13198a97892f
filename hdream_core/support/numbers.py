"""Reads numbers on command lines, single ones and lists; what is none is refused with what would be right."""

from __future__ import annotations

import re
from collections.abc import Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

WHOLE, RANGE = re.compile(r"[+-]?[0-9]{1,30}"), re.compile(r"([0-9]{1,9})-([0-9]{1,9})")
MOST = 10_000  # numbers of a list
RIGHT = {int: "whole numbers such as 0 1 2, 0,1,2 or 0-2", float: "numbers such as 1 10 100 or 1,10,100"}
ONE = {int: "a whole number", float: "a number"}
REGISTRY = ConstructorRegistry()


def one(word: str, kind: type[int] | type[float]) -> Any:
    """Reads a number; raises ValueError, saying what is needed, if the word is none."""
    word = word.strip()
    try:
        if not word.isascii() or "_" in word or (kind is int and not WHOLE.fullmatch(word)):
            raise ValueError
        return kind(word)
    except ValueError:
        raise ValueError(f"{word!r} is not {ONE[kind]}") from None


def several(words: Sequence[str], kind: type[int] | type[float]) -> tuple[Any, ...]:
    """Reads a list: words, each a number, some with commas between, or for whole numbers a range such as ``0-2``.

    Raises:
        ValueError: saying what is needed, if a part is none of these, or there is nothing.
    """
    found: list[Any] = []
    for part in [part for word in words for part in word.removesuffix(",").split(",")] if words else []:
        ends = RANGE.fullmatch(part.strip()) if kind is int else None
        try:
            first, last = map(int, ends.groups()) if ends else (0, -1)
            if ends and not first <= last < first + MOST:
                raise ValueError(f"{part!r} is no range of 1 to {MOST} numbers")
            found += range(first, last + 1) if ends else [one(part, kind)]
        except ValueError as error:
            raise ValueError(f"{error}; give {RIGHT[kind]}") from None
    if not 1 <= len(found) <= MOST:
        raise ValueError(f"{len(found) or 'no'} numbers are given; give {RIGHT[kind]}")
    return tuple(found)


def _is_union(kind: Any) -> bool:
    return get_origin(kind) in (Union, UnionType)


def _bare(kind: Any) -> Any:
    """The type without its bounds, which the settings check themselves."""
    return get_args(kind)[0] if get_origin(kind) is Annotated else kind


@REGISTRY.primitive_rule
def _rule(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec | None:
    """For ``int``, ``float``, a tuple of any number of them, and these or None."""
    members = {_bare(part) for part in (get_args(info.type) if _is_union(info.type) else (info.type,))}
    kind = next(iter(members - {NoneType}), None)
    optional, many = NoneType in members, get_origin(kind) is tuple and get_args(kind)[1:] == (...,)
    number = get_args(kind)[0] if many else kind
    if len(members - {NoneType}) != 1 or number not in (int, float):
        return None

    def read(words: list[str]) -> Any:
        if optional and words == ["None"]:
            return None
        return several(words, number) if many else one(words[0], number)

    def is_one(value: Any) -> bool:
        return isinstance(value, (int, number)) and not isinstance(value, bool)

    def fits(value: Any) -> bool:
        if value is None:
            return optional
        return isinstance(value, tuple) and all(map(is_one, value)) if many else is_one(value)

    def shown(value: Any) -> list[str]:
        return [str(one).removesuffix(".0") for one in (value if isinstance(value, tuple) else [value])]

    name = "N" if number is int else "X"
    return PrimitiveConstructorSpec("*" if many else 1, f"{name} ..." if many else name, read, fits, shown)
