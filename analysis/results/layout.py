"""Lays a result out for its file: variables along named dimensions, in groups; and takes it from there.

A group is a data set of its own, with its own coordinates. The root has what a run is measured by; what there are many
of in a run (windows, branches, pixels) stands in a group each, or the table of all variables together would explode.
Intervals are one group, whatever their part of the notes. A variable's attribute ``metric`` or ``note`` says what it is
called in memory: ``loss/{loss}`` has a metric for each label of its dimension ``loss``. ``measured`` lists those that
there are, where some are missing; in the place of the others is NaN.
"""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from analysis.results.stats import BOOTSTRAP_SEED, RESAMPLES, Interval
from analysis.results.tasks import task_facts
from analysis.results.variables import DIMENSIONS, LABELS, kind_of, named
from hdream_core.support import untrusted

ROOT, INTERVALS = "", "intervals"
GROUPS = {"window": "windows", "branch": "branches", "case": "pictures"}  # by a dimension that only these have
CALLED = {"method": "variant"}  # axes in memory that have another name in the file
IN_MEMORY = {there: here for here, there in CALLED.items()}
BOUND, OTHER = "bound", "other"  # the second is the variant that another is compared with
MOST = 10_000  # metrics or intervals that one variable may stand for
ALWAYS = ("method", "seed")  # axes that the root has, even if a group alone uses them

Axes = Mapping[str, np.ndarray]
Data = Mapping[str, tuple[tuple[str, ...], np.ndarray]]


class Variable(NamedTuple):
    """One variable of a group; a coordinate's only dimension is its own name."""

    dims: tuple[str, ...]
    values: np.ndarray
    attributes: dict[str, Any]


Group = dict[str, Variable]


class _Cell(NamedTuple):
    """A metric or an interval: where its values go."""

    pattern: tuple[str, ...]  # of its name, or of the path to it in the notes
    labels: dict[str, str]  # by dimension in the pattern
    dims: tuple[str, ...]
    values: np.ndarray


def pack(axes: Axes, data: Data, notes: Mapping[str, Any], task: str) -> tuple[dict[str, Group], dict[str, Any]]:
    """Lays metrics and intervals out in groups; returns these and what is left of the notes."""
    cells: dict[str, list[_Cell]] = {ROOT: []}
    for name, (dims, values) in data.items():
        pattern, labels = kind_of(name)
        group = next((GROUPS[axis] for axis in GROUPS if axis in dims), ROOT)
        cells.setdefault(group, []).append(_Cell((pattern,), dict(labels), tuple(_called(dims)), values))
    rest, intervals = _taken_out(notes, axes)
    if intervals:
        cells[INTERVALS] = intervals
    used = {name: {dim for cell in some for dim in cell.dims} for name, some in cells.items()}
    elsewhere = set().union(*(dims for name, dims in used.items() if name != ROOT)) - set(_called(ALWAYS))
    used[ROOT] |= {dim for dim in _called(axes) if dim not in elsewhere}
    known = {**dict(zip(_called(axes), axes.values(), strict=True)), BOUND: np.array(Interval._fields)}
    known |= {OTHER: known["variant"]} if "variant" in known else {}
    packed = {name: _group(some, used[name], known, notes, task) for name, some in cells.items()}
    return packed, rest


def _called(axes: Iterable[str]) -> list[str]:
    return [CALLED.get(axis, axis) for axis in axes]


def _group(cells: Sequence[_Cell], used: Iterable[str], known: Axes, notes: Mapping[str, Any], task: str) -> Group:
    """The coordinates and variables of a group, whose metrics have the dimensions ``used``."""
    own = {dim: [cell.labels[dim] for cell in cells if dim in cell.labels] for cell in cells for dim in cell.labels}
    axes = {dim: known[dim] for dim in known if dim in set(used)}
    for dim, labels in own.items():
        first = [*map(str, known[dim])] if dim in known else LABELS.get(dim, ())
        axes[dim] = np.array(sorted(set(labels), key=lambda label: (*_place(label, first), label)))
    group = {dim: Variable((dim,), values, _told(*DIMENSIONS.get(dim, (dim, "")))) for dim, values in axes.items()}
    taken = {*group, *GROUPS.values(), INTERVALS}
    for some in _together(cells):
        variable = _variable(some, axes)
        name = "_".join(filter(None, (named(part).variable for part in some[0].pattern))) or "value"
        while name in taken:
            name += "_"
        taken.add(name)
        about = _about_interval(some[0].pattern, notes) if BOUND in some[0].dims else {}
        group[name] = variable._replace(attributes=_about(some[0].pattern, task) | about | variable.attributes)
    return group


def _place(label: str, first: Sequence[str]) -> tuple[int]:
    return (first.index(label) if label in first else len(first),)


def _together(cells: Sequence[_Cell]) -> Iterator[list[_Cell]]:
    """Cells that make one variable: of one pattern, shape and dtype, and complete unless they can have NaN."""
    found: dict[Any, list[_Cell]] = {}
    for cell in cells:
        found.setdefault((cell.pattern, cell.dims, tuple(cell.labels), cell.values.dtype), []).append(cell)
    for some in found.values():
        if len(some) == 1 and some[0].labels and some[0].values.dtype.kind != "f":
            some = [some[0]._replace(pattern=_filled(some[0].pattern, some[0].labels), labels={})]
        yield some


def _filled(pattern: Sequence[str], labels: Mapping[str, str]) -> tuple[str, ...]:
    """A pattern with labels in the places of its dimensions."""
    parts = list(pattern)
    for dim, label in labels.items():
        parts = [part.replace(f"{{{dim}}}", label) for part in parts]
    return tuple(parts)


def _variable(cells: Sequence[_Cell], axes: Axes) -> Variable:
    """One array of several cells, NaN where there is none."""
    first, own = cells[0], tuple(cells[0].labels)
    shape = tuple(len(axes[dim]) for dim in own)
    filler = np.nan if first.values.dtype.kind == "f" else 0
    values = np.full((*shape, *first.values.shape), filler, first.values.dtype)
    for cell in cells:
        values[tuple(list(map(str, axes[dim])).index(cell.labels[dim]) for dim in own)] = cell.values
    attributes = {"metric": first.pattern[0]} if BOUND not in first.dims else {"note": json.dumps(first.pattern)}
    if len(cells) < math.prod(shape):
        attributes["measured"] = json.dumps([list(cell.labels.values()) for cell in cells])
    if BOUND in first.dims:
        return Variable((*own, *first.dims), values, attributes)
    order = [*range(len(own), values.ndim), *range(len(own))]
    return Variable((*first.dims, *own), values.transpose(order), attributes)


def _told(long_name: str, units: str) -> dict[str, Any]:
    return {"long_name": long_name, **({"units": units} if units else {})}


def _about(pattern: Sequence[str], task: str) -> dict[str, Any]:
    """``long_name`` and ``units`` of a variable."""
    kinds, facts = [named(part) for part in pattern], task_facts(task)
    units = next((kind.units for kind in kinds if kind.units), "")
    names = ", ".join(kind.long_name for kind in kinds if kind.long_name)
    return _told(names, units.format(length=facts.reported_length, plain=facts.length))


def _about_interval(path: Sequence[str], notes: Mapping[str, Any]) -> dict[str, Any]:
    """How intervals were computed, as the notes beside them say."""
    table, over = notes[path[0]], re.search("over_(seeds|episodes)$", path[-1])
    method = str(table.get(f"interval_{over[0]}" if over else "interval", table.get("interval", "")))
    found: dict[str, Any] = {"method": method}
    if level := re.search(r"([\d.]+) %", method):
        found["confidence"] = float(level[1]) / 100
    if "bootstrap" in method:
        found |= {"resamples": RESAMPLES, "resampling_seed": BOOTSTRAP_SEED}
    return found


def _taken_out(notes: Mapping[str, Any], axes: Axes) -> tuple[dict[str, Any], list[_Cell]]:
    """The notes without their intervals, and these."""
    names = {CALLED.get(axis, axis): set(map(str, axes[axis])) for axis in ("method", "object") if axis in axes}
    names |= {OTHER: names["variant"]} if "variant" in names else {}
    cells = []

    def walk(node: Any, path: tuple[str, ...]) -> Any:
        if not isinstance(node, Mapping):
            return node
        rest = {}
        if len(path) > 1 and all(_is_end(node.get(end, "")) for end in Interval._fields):
            ends = [np.nan if node[end] is None else node[end] for end in Interval._fields]
            cells.append(_Cell(*_noted(path, names), (BOUND,), np.array(ends, np.float64)))
            node = {name: value for name, value in node.items() if name not in Interval._fields}
            if not node:
                return None
        for name, value in node.items():
            left = walk(value, (*path, str(name)))
            if left is not None or value is None:
                rest[name] = left
        return rest if rest or not node else None

    return {
        name: value for name in notes if (value := walk(notes[name], (name,))) is not None or not notes[name]
    }, cells


def _is_end(value: Any) -> bool:
    return value is None or (isinstance(value, float | int) and not isinstance(value, bool))


def _noted(path: Sequence[str], names: Mapping[str, set[str]]) -> tuple[tuple[str, ...], dict[str, str]]:
    """The pattern of a path in the notes, with its labels."""
    pattern, labels = [], {}
    for part in path:
        here = next(({dim: part} for dim, known in names.items() if part in known and dim not in labels), None)
        text, found = ("{" + next(iter(here)) + "}", here) if here else kind_of(part, noted=True)
        if set(found) & set(labels):
            text, found = part, {}
        pattern.append(text)
        labels |= found
    return tuple(pattern), labels


def unpack(
    groups: Mapping[str, Group], notes: dict[str, Any]
) -> tuple[dict[str, np.ndarray], dict[str, tuple[tuple[str, ...], np.ndarray]], dict[str, Any]]:
    """Axes, metrics and notes of what ``pack`` laid out.

    Raises:
        ValueError: if groups contradict each other or themselves.
    """
    axes: dict[str, np.ndarray] = {}
    data: dict[str, tuple[tuple[str, ...], np.ndarray]] = {}
    for group in groups.values():
        coordinates = {name: variable.values for name, variable in group.items() if variable.dims == (name,)}
        stacked = set()
        for name, variable in group.items():
            if name in coordinates:
                continue
            for pattern, dims, values in _cells(name, variable, coordinates):
                if "note" in variable.attributes:
                    _put_back(notes, pattern, dims, values)
                elif pattern[0] in data:
                    raise ValueError(f"{name}: {pattern[0]} appears twice")
                else:
                    data[pattern[0]] = tuple(IN_MEMORY.get(dim, dim) for dim in dims), values
                stacked |= set(variable.dims) - set(dims)
        for dim, values in coordinates.items():
            name = IN_MEMORY.get(dim, dim)
            if dim in stacked or dim == BOUND:
                continue
            if name in axes and not np.array_equal(axes[name], values):
                raise ValueError(f"{dim} is not the same in all groups")
            axes[name] = values
    return axes, dict(sorted(data.items())), _in_order(notes)


def _in_order(node: Any) -> Any:
    """Notes by name, as their JSON has them, wherever an interval was kept."""
    return {name: _in_order(node[name]) for name in sorted(node)} if isinstance(node, dict) else node


def _cells(
    name: str, variable: Variable, coordinates: Axes
) -> Iterator[tuple[tuple[str, ...], tuple[str, ...], np.ndarray]]:
    """Every metric or interval of a variable: its name or path, its dimensions and values."""
    about = variable.attributes
    pattern = tuple(untrusted.json_value(about["note"])) if "note" in about else (about["metric"],)
    if not all(isinstance(part, str) for part in pattern):
        raise ValueError(f"{name}: note is no path")
    own = tuple(dim for dim in variable.dims if any(f"{{{dim}}}" in part for part in pattern))
    shape = tuple(len(coordinates[dim]) for dim in variable.dims if dim in coordinates)
    if shape != variable.values.shape:
        raise ValueError(
            f"{name} has shape {variable.values.shape}, its coordinates {', '.join(variable.dims)} {shape}"
        )
    order = [variable.dims.index(dim) for dim in own]
    values = np.moveaxis(variable.values, order, range(len(own)))
    dims = tuple(dim for dim in variable.dims if dim not in own)
    found = [list(map(str, coordinates[dim])) for dim in own]
    if math.prod(map(len, found)) > MOST:
        raise ValueError(f"{name} stands for over {MOST} metrics")
    chosen = untrusted.json_value(about["measured"]) if "measured" in about else itertools.product(*found)
    for labels in chosen:
        at = tuple(known.index(label) for known, label in zip(found, labels, strict=True))
        yield _filled(pattern, dict(zip(own, labels, strict=True))), dims, values[at]


def _put_back(notes: dict[str, Any], path: Sequence[str], dims: tuple[str, ...], values: np.ndarray) -> None:
    """An interval into the notes; None stands for NaN, as in JSON."""
    if dims != (BOUND,) or values.shape != (len(Interval._fields),):
        raise ValueError(f"the interval {'/'.join(path)} has the dimensions {', '.join(dims)}")
    for part in path:
        notes = notes.setdefault(part, {})
    notes |= {
        end: float(value) if np.isfinite(value) else None for end, value in zip(Interval._fields, values, strict=True)
    }
