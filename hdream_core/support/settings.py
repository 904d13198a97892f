"""Makes frozen dataclasses of settings that check themselves, and builds, changes, flattens and parses them.

A class of settings is written like a dataclass, with the bounds in the field's type::

    @settings
    class RSSMConfig:
        deter: Annotated[int, Field(ge=1, le=65_536)] = 1024
        \"\"\"Size of the deterministic state.\"\"\"

However one is built (a call, ``dataclasses.replace``, JSON, a command line), the checks and the error are the same: a
ConfigError of one line that begins with the setting's name.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, TypeVar, dataclass_transform

import pydantic
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from hdream_core.support.errors import ConfigError

T = TypeVar("T")
STRICT = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

Width = Annotated[int, Field(ge=1, le=65_536)]
"""Units of a layer, rows of a window, or windows of a batch."""
Steps = Annotated[int, Field(ge=1, le=10**9)]
"""Environment steps."""
AboveZero = Annotated[float, Field(gt=0)]
"""A rate, a norm or a weight."""
Share = Annotated[float, Field(gt=0, le=1)]
"""A share of something, or a discount."""
Name = Annotated[str, Field(max_length=200, pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.,=+-]*$")]
"""A name that can also name a folder: only letters, digits and . , _ = + -."""

_MUST_BE = {
    "greater_than_equal": "{ge:g} or more",
    "greater_than": "above {gt:g}",
    "less_than_equal": "{le:g} or less",
    "less_than": "below {lt:g}",
    "finite_number": "a finite number",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "a text",
    "string_pattern_mismatch": "a name of only letters, digits and . , _ = + -",
    "string_too_long": "a name of at most {max_length} characters",
    "literal_error": "one of {expected}",
    "dataclass_type": "a group of settings",
}


@dataclass_transform(frozen_default=True)
def settings(cls: type[T]) -> type[T]:
    """Makes a class of annotated fields a frozen dataclass that raises ConfigError for unusable values."""
    result = pydantic.dataclasses.dataclass(frozen=True, config=STRICT)(cls)
    init = result.__init__

    @functools.wraps(init)
    def checked_init(self: Any, *args: Any, **values: Any) -> None:
        try:
            init(self, *args, **values)
        except ValidationError as error:
            raise ConfigError(_reason(error)) from None

    result.__init__ = checked_init
    return result


def build(cls: type[T], values: Any, where: str = "") -> T:
    """Builds settings from nested dicts, such as those of JSON; a missing field takes its default.

    Args:
        cls: a class that ``settings`` made.
        values: values by field name.
        where: prefix of the names in the message, e.g. ``agent.``.

    Raises:
        ConfigError: naming the first setting that is unknown, mistyped or out of bounds.
    """
    if not isinstance(values, dict):
        raise ConfigError(f"{where.rstrip('.') or 'the config'} must be a group of settings")
    types = typing.get_type_hints(cls)
    if unknown := sorted(str(name) for name in values if name not in types):
        raise ConfigError(f"{where}{unknown[0]} is unknown")
    groups = {
        name: build(types[name], value, f"{where}{name}.")
        for name, value in values.items()
        if dataclasses.is_dataclass(types[name]) and not isinstance(value, types[name])
    }
    try:
        return cls(**(values | groups))
    except ConfigError as error:
        raise ConfigError(f"{where}{error}") from None


def call(function: Callable[..., T], values: Mapping[str, Any], where: str = "") -> T:
    """Calls a function with arguments by name, checked against its annotations.

    Args:
        function: to call.
        values: its arguments by name.
        where: prefix of the names in the message.

    Raises:
        ConfigError: naming the first argument that is missing, unknown or mistyped.
    """
    try:
        return pydantic.validate_call(config=STRICT)(function)(**values)
    except ValidationError as error:
        raise ConfigError(f"{where}{_reason(error)}") from None


def override(config: T, changes: Mapping[str, Any]) -> T:
    """Returns a copy with fields changed by dotted name, e.g. ``{"train.batch": 16, "seed": 1}``.

    Raises:
        ConfigError: if a setting is unknown, naming the nearest, or its value is not allowed.
    """
    for dotted, value in changes.items():
        config = _replace(config, dotted.split("."), value, "", config)
    return config


def _replace(node: Any, path: list[str], value: Any, prefix: str, root: Any) -> Any:
    head, *rest = path
    if not dataclasses.is_dataclass(node) or head not in {f.name for f in dataclasses.fields(node)}:
        raise _unknown_setting(prefix + ".".join(path), root)
    inner = _replace(getattr(node, head), rest, value, f"{prefix}{head}.", root) if rest else value
    try:
        return dataclasses.replace(node, **{head: inner})
    except ConfigError as error:
        # An error from a nested group already has the whole name.
        raise error if rest else ConfigError(f"{prefix}{error}") from None


def _unknown_setting(dotted: str, root: Any) -> ConfigError:
    names = list(flatten(root))
    near = difflib.get_close_matches(dotted, names, 3, 0.5) or names[:3]
    return ConfigError(f"unknown setting {dotted!r}; nearest: {', '.join(near)}")


def flatten(config: Any, prefix: str = "") -> dict[str, Any]:
    """Returns all settings of a config and of its groups by dotted name."""
    leaves: dict[str, Any] = {}
    for f in dataclasses.fields(config):
        value, name = getattr(config, f.name), prefix + f.name
        leaves |= flatten(value, name + ".") if dataclasses.is_dataclass(value) else {name: value}
    return leaves


def parse_value(config: Any, dotted: str, text: str) -> Any:
    """Parses ``text`` to a value of the setting ``dotted`` of ``config``.

    Raises:
        ConfigError: if there is no such setting, or the text is not a value of its type.
    """
    node, prefix = config, dotted.rpartition(".")[0]
    for part in prefix.split(".") if prefix else ():
        node = getattr(node, part, None)
    name = dotted.rpartition(".")[2]
    types = typing.get_type_hints(type(node), include_extras=True) if dataclasses.is_dataclass(node) else {}
    if name not in types:
        raise _unknown_setting(dotted, config)
    if dataclasses.is_dataclass(getattr(node, name)):
        raise ConfigError(f"{dotted} is a group of settings; name one of its fields")
    if text.lower() == "none" and _optional(types[name]):
        return None
    try:
        return TypeAdapter(types[name], config={"allow_inf_nan": False}).validate_strings(text)
    except ValidationError as error:
        raise ConfigError(_reason(error, name=dotted)) from None


def _optional(kind: Any) -> bool:
    if typing.get_origin(kind) is Annotated:
        kind = typing.get_args(kind)[0]
    return type(None) in typing.get_args(kind)


def nearest(name: str, names: Iterable[str]) -> str:
    """Returns `` (did you mean X?)`` for the most similar of ``names``, or an empty string if none is similar."""
    near = difflib.get_close_matches(name, list(names), 1)
    return f" (did you mean {near[0]}?)" if near else ""


def _reason(error: ValidationError, name: str = "") -> str:
    """Formats the first error in one line that begins with the setting's name."""
    first = error.errors(include_url=False)[0]
    # For a union such as `float | None`, the location also names the member.
    path = [str(part) for part in first["loc"] if str(part).isidentifier() and str(part) not in ("float", "int", "str")]
    name = name or ".".join(path) or "the config"
    if first["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        return f"{name} is unknown"
    if first["type"] in ("missing", "missing_argument", "missing_keyword_only_argument"):
        return f"{name} is missing"
    must_be = _MUST_BE.get(first["type"], first["msg"].removeprefix("Input should be ").removeprefix("Value error, "))
    context = {key: value for key, value in first.get("ctx", {}).items() if key != "error"}
    if "expected" in context:
        context["expected"] = context["expected"].replace("'", "").replace(" or ", ", ")
    return f"{name} is {str(first['input'])[:80]}; it must be {must_be.format(**context)}"
