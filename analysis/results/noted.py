"""Takes intervals out of a result's notes, and puts them back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from analysis.results.stats import Interval

Path = tuple[str, ...]
_NOTHING = object()


def take_out(notes: Mapping[str, Any]) -> tuple[dict[str, Any], dict[Path, np.ndarray]]:
    """Returns the notes without their intervals, and the intervals by path, ``(mean, low, high)`` each."""
    intervals: dict[Path, np.ndarray] = {}
    rest = _rest(notes, (), intervals)
    return ({} if rest is _NOTHING else rest), intervals


def _rest(node: Any, path: Path, intervals: dict[Path, np.ndarray]) -> Any:
    """Moves the intervals of a node to ``intervals``; returns what is left, or _NOTHING."""
    if not isinstance(node, Mapping):
        return node
    own: Sequence[str] = ()
    if len(path) > 1 and all(_is_bound(node.get(bound, "")) for bound in Interval._fields):
        own = Interval._fields
        intervals[path] = np.array([np.nan if node[bound] is None else node[bound] for bound in own], np.float64)
    rest = {name: _rest(value, (*path, str(name)), intervals) for name, value in node.items() if name not in own}
    rest = {name: value for name, value in rest.items() if value is not _NOTHING}
    return rest if rest or not node else _NOTHING


def _is_bound(value: Any) -> bool:
    return value is None or (isinstance(value, float | int) and not isinstance(value, bool))


def put_back(notes: dict[str, Any], path: Sequence[str], values: np.ndarray) -> None:
    """Adds an interval to the notes, with None for NaN, as in JSON.

    Raises:
        ValueError: if it does not have three values.
    """
    if values.shape != (len(Interval._fields),):
        raise ValueError(f"the interval {'/'.join(path)} has shape {values.shape}")
    for part in path:
        notes = notes.setdefault(part, {})
    bounds = zip(Interval._fields, values, strict=True)
    notes |= {bound: float(value) if np.isfinite(value) else None for bound, value in bounds}


def in_order(node: Any) -> Any:
    """Returns notes sorted by name at every level, as in their JSON."""
    return {name: in_order(node[name]) for name in sorted(node)} if isinstance(node, dict) else node
