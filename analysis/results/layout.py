"""Lays a result out as variables along named dimensions, in groups, and turns these back into a result.

Each group is a data set with its own coordinates. What a run has one value of, or one for each step, is in the root.
What a run has many of (windows, branches, pixels) is in a group of its own, so that the table of all variables of a
group stays small. Intervals are one group, wherever they are in the notes. A variable's attribute ``metric`` or
``note`` is its name in memory: ``loss/{loss}`` has a metric for each label of the dimension ``loss``. If some labels
have no metric, the attribute ``measured`` lists those that have one, and the others are NaN.
"""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from analysis.results.noted import in_order, put_back, take_out
from analysis.results.stats import BOOTSTRAP_SEED, RESAMPLES, Interval
from analysis.results.tasks import task_facts
from analysis.results.variables import DIMENSIONS, LABELS, kind_of, named
from hdream_core.support import untrusted

ROOT, INTERVALS = "", "intervals"
GROUPS = {
    "window": "windows",
    "branch": "branches",
    "case": "pictures",
    "row": "pictures",
}  # group of the variables with a dimension
IN_FILE = {"method": "variant"}  # axes with another name in the file
IN_MEMORY = {new: old for old, new in IN_FILE.items()}
BOUND, OTHER = "bound", "other"  # dimensions of intervals; ``other`` is the variant that another is compared with
MOST = 10_000  # metrics or intervals in one variable
IN_ROOT = {"variant", "seed"}  # coordinates that the root has even if only another group uses them

Axes = Mapping[str, np.ndarray]
Metrics = Mapping[str, tuple[tuple[str, ...], np.ndarray]]


class Variable(NamedTuple):
    """Holds one variable of a group; a coordinate has its own name as its only dimension."""

    dims: tuple[str, ...]
    values: np.ndarray
    attributes: dict[str, Any]


Group = dict[str, Variable]


class _Cell(NamedTuple):
    """Holds a metric or an interval, and its place in a variable."""

    pattern: tuple[str, ...]  # of its name, or of its path in the notes
    labels: dict[str, str]  # by dimension of the pattern
    dims: tuple[str, ...]
    values: np.ndarray


def pack(axes: Axes, data: Metrics, notes: Mapping[str, Any], task: str) -> tuple[dict[str, Group], dict[str, Any]]:
    """Lays metrics and intervals out in groups; returns the groups, and the notes without the intervals."""
    cells: dict[str, list[_Cell]] = {ROOT: []}
    for name, (dims, values) in data.items():
        pattern, labels = kind_of(name)
        group = next((GROUPS[axis] for axis in GROUPS if axis in dims), ROOT)
        cells.setdefault(group, []).append(_Cell((pattern,), dict(labels), tuple(_renamed(dims)), values))
    rest, intervals = take_out(notes)
    if intervals:
        cells[INTERVALS] = [_Cell(*_split(path, axes), (BOUND,), values) for path, values in intervals.items()]
    used = {group: {dim for cell in members for dim in cell.dims} for group, members in cells.items()}
    elsewhere = set().union(*(dims for group, dims in used.items() if group != ROOT)) - IN_ROOT
    used[ROOT] |= set(_renamed(axes)) - elsewhere
    coordinates = dict(zip(_renamed(axes), axes.values(), strict=True)) | {BOUND: np.array(Interval._fields)}
    if "variant" in coordinates:
        coordinates[OTHER] = coordinates["variant"]
    groups = {name: _group(cells[name], used[name], coordinates, notes, task) for name in cells}
    return groups, rest


def _renamed(axes: Iterable[str]) -> list[str]:
    return [IN_FILE.get(axis, axis) for axis in axes]


def _split(path: Sequence[str], axes: Axes) -> tuple[tuple[str, ...], dict[str, str]]:
    """Splits a path in the notes into its pattern and its labels."""
    known = {IN_FILE.get(axis, axis): set(map(str, axes[axis])) for axis in ("method", "object") if axis in axes}
    known |= {OTHER: known["variant"]} if "variant" in known else {}
    pattern: list[str] = []
    labels: dict[str, str] = {}
    for part in path:
        dim = next((dim for dim, names in known.items() if part in names and dim not in labels), None)
        text, more = (f"{{{dim}}}", {dim: part}) if dim else kind_of(part, in_notes=True)
        if set(more) & set(labels):
            text, more = part, {}
        pattern.append(text)
        labels |= more
    return tuple(pattern), labels


def _group(cells: Sequence[_Cell], used: set[str], coordinates: Axes, notes: Mapping[str, Any], task: str) -> Group:
    """Returns the coordinates and variables of a group; ``used`` are the dimensions of its metrics."""
    axes = {dim: values for dim, values in coordinates.items() if dim in used}
    for dim in dict.fromkeys(dim for cell in cells for dim in cell.labels):
        first = [*map(str, coordinates[dim])] if dim in coordinates else [*LABELS.get(dim, ())]
        labels = {cell.labels[dim] for cell in cells if dim in cell.labels}
        axes[dim] = np.array([*(label for label in first if label in labels), *sorted(labels - set(first))])
    group = {dim: Variable((dim,), values, _about(*DIMENSIONS.get(dim, (dim,)))) for dim, values in axes.items()}
    taken = {*group, *GROUPS.values(), INTERVALS}
    for members in _variables(cells):
        variable, pattern = _stack(members, axes), members[0].pattern
        name = "_".join(filter(None, (named(part).variable for part in pattern))) or "value"
        while name in taken:
            name += "_"
        taken.add(name)
        about = _about_pattern(pattern, task) | (_about_interval(pattern, notes) if BOUND in variable.dims else {})
        group[name] = variable._replace(attributes=about | variable.attributes)
    return group


def _variables(cells: Sequence[_Cell]) -> Iterator[list[_Cell]]:
    """Yields the cells of each variable: those of one pattern, shape and dtype. A dtype without NaN needs them all."""
    variables: dict[Any, list[_Cell]] = {}
    for cell in cells:
        variables.setdefault((cell.pattern, cell.dims, tuple(cell.labels), cell.values.dtype), []).append(cell)
    for members in variables.values():
        first = members[0]
        if len(members) == 1 and first.labels and first.values.dtype.kind != "f":
            members = [first._replace(pattern=_filled(first.pattern, first.labels), labels={})]
        yield members


def _filled(pattern: Sequence[str], labels: Mapping[str, str]) -> tuple[str, ...]:
    """Returns a pattern with its labels filled in."""
    parts = list(pattern)
    for dim, label in labels.items():
        parts = [part.replace(f"{{{dim}}}", label) for part in parts]
    return tuple(parts)


def _stack(cells: Sequence[_Cell], axes: Axes) -> Variable:
    """Returns one variable of several cells, NaN where there is none."""
    first, own = cells[0], tuple(cells[0].labels)
    shape = tuple(len(axes[dim]) for dim in own)
    filler = np.nan if first.values.dtype.kind == "f" else 0
    values = np.full((*shape, *first.values.shape), filler, first.values.dtype)
    for cell in cells:
        values[tuple(list(map(str, axes[dim])).index(cell.labels[dim]) for dim in own)] = cell.values
    interval = BOUND in first.dims
    attributes = {"note": json.dumps(first.pattern)} if interval else {"metric": first.pattern[0]}
    if len(cells) < math.prod(shape):
        attributes["measured"] = json.dumps([list(cell.labels.values()) for cell in cells])
    if interval:
        return Variable((*own, *first.dims), values, attributes)
    return Variable((*first.dims, *own), np.moveaxis(values, range(len(own)), range(-len(own), 0)), attributes)


def _about(long_name: str, units: str = "") -> dict[str, Any]:
    return {"long_name": long_name, **({"units": units} if units else {})}


def _about_pattern(pattern: Sequence[str], task: str) -> dict[str, Any]:
    """Returns ``long_name`` and ``units`` of a variable."""
    kinds, facts = [named(part) for part in pattern], task_facts(task)
    units = next((kind.units for kind in kinds if kind.units), "")
    names = ", ".join(kind.long_name for kind in kinds if kind.long_name)
    return _about(names, units.format(length=facts.reported_length, plain=facts.length))


def _about_interval(path: Sequence[str], notes: Mapping[str, Any]) -> dict[str, Any]:
    """Returns how intervals were computed, as the notes beside them say."""
    table, over = notes[path[0]], re.search("over_(seeds|episodes)$", path[-1])
    method = str(table.get(f"interval_{over[0]}" if over else "interval", table.get("interval", "")))
    about: dict[str, Any] = {"method": method}
    if level := re.search(r"([\d.]+) %", method):
        about["confidence"] = float(level[1]) / 100
    if "bootstrap" in method:
        about |= {"resamples": RESAMPLES, "resampling_seed": BOOTSTRAP_SEED}
    return about


def unpack(
    groups: Mapping[str, Group], notes: dict[str, Any]
) -> tuple[dict[str, np.ndarray], dict[str, tuple[tuple[str, ...], np.ndarray]], dict[str, Any]]:
    """Returns axes, metrics and notes of the groups that ``pack`` made.

    Raises:
        ValueError: if groups contradict each other or themselves.
    """
    axes: dict[str, np.ndarray] = {}
    data: dict[str, tuple[tuple[str, ...], np.ndarray]] = {}
    for group in groups.values():
        coordinates = {name: variable.values for name, variable in group.items() if variable.dims == (name,)}
        stacked = set()  # dimensions that are no axes in memory
        for name in (name for name in group if name not in coordinates):
            for pattern, dims, values in _cells(name, group[name], coordinates):
                if "note" in group[name].attributes:
                    put_back(notes, pattern, values)
                elif pattern[0] in data:
                    raise ValueError(f"{name}: {pattern[0]} appears twice")
                else:
                    data[pattern[0]] = tuple(IN_MEMORY.get(dim, dim) for dim in dims), values
                stacked |= set(group[name].dims) - set(dims)
        for dim in (dim for dim in coordinates if dim not in stacked | {BOUND}):
            axis = IN_MEMORY.get(dim, dim)
            if not np.array_equal(axes.setdefault(axis, coordinates[dim]), coordinates[dim]):
                raise ValueError(f"{dim} is not the same in all groups")
    return axes, dict(sorted(data.items())), in_order(notes)


def _cells(
    name: str, variable: Variable, coordinates: Axes
) -> Iterator[tuple[tuple[str, ...], tuple[str, ...], np.ndarray]]:
    """Yields every metric or interval of a variable: its name or path, its dimensions and its values."""
    about = variable.attributes
    pattern = tuple(untrusted.json_value(about["note"])) if "note" in about else (about["metric"],)
    if not all(isinstance(part, str) for part in pattern):
        raise ValueError(f"{name}: note is no path")
    shape = tuple(len(coordinates[dim]) for dim in variable.dims if dim in coordinates)
    if shape != variable.values.shape:
        dims = ", ".join(variable.dims)
        raise ValueError(f"{name} has shape {variable.values.shape}, its coordinates {dims} {shape}")
    own = tuple(dim for dim in variable.dims if any(f"{{{dim}}}" in part for part in pattern))
    dims = tuple(dim for dim in variable.dims if dim not in own)
    values = np.moveaxis(variable.values, [variable.dims.index(dim) for dim in own], range(len(own)))
    names = [list(map(str, coordinates[dim])) for dim in own]
    if math.prod(map(len, names)) > MOST:
        raise ValueError(f"{name} stands for over {MOST} metrics")
    for labels in untrusted.json_value(about["measured"]) if "measured" in about else itertools.product(*names):
        index = tuple(known.index(label) for known, label in zip(names, labels, strict=True))
        yield _filled(pattern, dict(zip(own, labels, strict=True))), dims, values[index]
