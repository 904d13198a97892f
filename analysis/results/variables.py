"""Names the variables of a result's file, by the patterns in ``variables.toml``."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple


class Kind(NamedTuple):
    """Describes one variable of a file."""

    variable: str
    long_name: str
    units: str = ""


_TABLES = tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))
DIMENSIONS: dict[str, list[str]] = _TABLES["dimensions"]  # long_name and units
CLOSED: list[str] = _TABLES["labels"].pop("closed")
LABELS: dict[str, list[str]] = _TABLES["labels"]
LABELLED = ("{variant}", "{object}", "{other}")  # dimensions whose labels a result has
_KINDS = {part: {pattern: Kind(*row) for pattern, row in _TABLES[part].items()} for part in ("metrics", "notes")}


def _expression(pattern: str) -> re.Pattern[str]:
    """Returns an expression that matches the names of a pattern; each dimension is a group."""
    parts = re.split(r"\{(\w+)\}", pattern)
    for i, name in enumerate(parts):
        closed = "|".join(map(re.escape, LABELS.get(name, ())))
        parts[i] = f"(?P<{name}>{closed if name in CLOSED else '[^/]+'})" if i % 2 else re.escape(name)
    return re.compile("".join(parts))


_EXPRESSIONS = {part: {pattern: _expression(pattern) for pattern in kinds} for part, kinds in _KINDS.items()}


def kind_of(name: str, in_notes: bool = False) -> tuple[str, Mapping[str, str]]:
    """Returns the pattern that a metric's name fits, with its labels by dimension; the name itself if none fits.

    Args:
        name: of the metric.
        in_notes: whether it may also be another part of a path in the notes.
    """
    for part in ("metrics", "notes") if in_notes else ("metrics",):
        if name in _KINDS[part]:
            return name, {}
        for pattern, expression in _EXPRESSIONS[part].items():
            if match := expression.fullmatch(name):
                return pattern, match.groupdict()
    return name, {}


def named(pattern: str) -> Kind:
    """Returns the variable of a pattern; for an unknown pattern, one made of its own words."""
    if pattern in LABELLED:
        return Kind("", "")
    own = Kind(re.sub(r"\W+", "_", pattern).strip("_"), pattern.replace("/", ", "))
    return _KINDS["metrics"].get(pattern) or _KINDS["notes"].get(pattern) or own
