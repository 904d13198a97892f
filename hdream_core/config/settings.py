"""Changing, reading and rebuilding frozen configs by dotted names: ``model.rssm.deter=256``."""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from typing import Any, Literal

from hdream_core.config.fields import Config
from hdream_core.support.errors import ConfigError


def override(config: Any, changes: dict[str, Any]) -> Any:
    """A copy with dotted fields changed, e.g. ``{"model.rssm.deter": 256, "seed": 1}``.

    Raises:
        ConfigError: for an unknown field, naming the nearest.
    """
    for dotted, value in changes.items():
        config = _replace_path(config, dotted.split("."), value, dotted)
    return config


def _replace_path(node: Any, path: list[str], value: Any, dotted: str) -> Any:
    if not dataclasses.is_dataclass(node) or path[0] not in {f.name for f in dataclasses.fields(node)}:
        known = list(flatten(Config()))
        near = difflib.get_close_matches(dotted, known, 3, 0.5) or known[:3]
        raise ConfigError(f"unknown setting {dotted!r}; nearest: {', '.join(near)}")
    inner = value if len(path) == 1 else _replace_path(getattr(node, path[0]), path[1:], value, dotted)
    return dataclasses.replace(node, **{path[0]: inner})


def flatten(config: Any, prefix: str = "") -> dict[str, Any]:
    """All leaf settings by dotted name."""
    leaves: dict[str, Any] = {}
    for f in dataclasses.fields(config):
        value = getattr(config, f.name)
        name = prefix + f.name
        leaves |= flatten(value, name + ".") if dataclasses.is_dataclass(value) else {name: value}
    return leaves


def parse_value(dotted: str, text: str) -> Any:
    """Reads ``text`` as the type of the setting ``dotted``; raises ConfigError if it does not fit."""
    node: Any = Config
    for part in dotted.split("."):
        hints = typing.get_type_hints(node) if dataclasses.is_dataclass(node) else {}
        if part not in hints:
            _replace_path(Config(), dotted.split("."), None, dotted)  # raises, naming the nearest
        node = hints[part]
    return _parse(node, text, dotted)


def _parse(kind: Any, text: str, dotted: str) -> Any:
    origin = typing.get_origin(kind)
    if origin is Literal:
        if text in typing.get_args(kind):
            return text
        raise ConfigError(f"{dotted}={text}: must be one of {', '.join(typing.get_args(kind))}")
    if origin in (typing.Union, types.UnionType):
        if text.lower() == "none":
            return None
        return _parse(next(a for a in typing.get_args(kind) if a is not type(None)), text, dotted)
    if kind is bool:
        if text.lower() in ("true", "false"):
            return text.lower() == "true"
        raise ConfigError(f"{dotted}={text}: must be true or false")
    if kind not in (int, float, str):
        raise ConfigError(f"{dotted} is a group of settings; name one of its fields")
    try:
        return kind(text.replace("_", "")) if kind is int else kind(text)
    except ValueError:
        raise ConfigError(f"{dotted}={text}: must be of type {kind.__name__}") from None


def from_dict(data: dict[str, Any]) -> Config:
    """Rebuilds a config from ``dataclasses.asdict``.

    A setting that is not there takes its default: a new setting's default is what runs did before there was one.

    Raises:
        ConfigError: naming what is unknown or mistyped.
    """
    return _build(Config, data, "")


def _build(cls: type, data: Any, prefix: str) -> Any:
    if not isinstance(data, dict):
        raise ConfigError(f"config: {prefix.rstrip('.') or 'top level'} must be a mapping")
    hints = typing.get_type_hints(cls)
    if unknown := sorted(set(data) - set(hints)):
        raise ConfigError(f"config: {prefix}{unknown[0]} is unknown")
    values = {}
    for name, value in data.items():
        kind = hints[name]
        if dataclasses.is_dataclass(kind):
            value = _build(kind, value, f"{prefix}{name}.")
        elif not _fits(kind, value):
            raise ConfigError(f"config: {prefix}{name} is {value!r}, which is not of type {kind}")
        values[name] = value
    return cls(**values)


def _fits(kind: Any, value: Any) -> bool:
    origin = typing.get_origin(kind)
    if origin is Literal:
        return value in typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return any(_fits(k, value) for k in typing.get_args(kind))
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return type(value) is kind
