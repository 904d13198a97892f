"""Writes and reads result files as netCDF 4, which is HDF5, so that xarray and every reader of HDF5 open them.

h5netcdf writes them. h5py reads them, since sizes can be checked there before memory is taken.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import h5netcdf
import h5py
import numpy as np

from analysis.results.layout import ROOT, Group, Variable
from hdream_core.support import untrusted

OWN = ("metric", "note", "measured")  # attributes of variables that a reader needs
FEW, MANY = 2**10, 2**24  # bytes: smaller variables are not compressed, larger ones have several chunks


def image(groups: Mapping[str, Group], attributes: Mapping[str, Any]) -> io.BytesIO:
    """Writes groups of variables and the root's attributes to a file in memory; booleans become 0 and 1."""
    buffer = io.BytesIO()
    with h5netcdf.File(buffer, "w") as file:
        _annotate(file, attributes)
        for name, variables in groups.items():
            group = file if name == ROOT else file.create_group(name)
            group.dimensions = {
                dim: len(variable.values) for dim, variable in variables.items() if variable.dims == (dim,)
            }
            for key, variable in variables.items():
                _create(group, key, variable)
    return buffer


def _create(group: h5netcdf.Group, name: str, variable: Variable) -> None:
    values, options = variable.values, {}
    strings = values.dtype.kind in "UO"
    if not strings and values.nbytes > FEW:
        options = {"compression": "gzip", "compression_opts": 9, "shuffle": values.itemsize > 1}
        options |= {"chunks": values.shape} if values.nbytes <= MANY else {}
    made = group.create_variable(
        name,
        variable.dims,
        dtype=h5py.string_dtype() if strings else values.dtype,
        data=values.astype(object) if strings else values,
        **options,
    )
    _annotate(made, variable.attributes)


def _annotate(item: h5netcdf.Group | h5netcdf.Variable, attributes: Mapping[str, Any]) -> None:
    for name, value in attributes.items():
        item.attrs[name] = np.int8(value) if isinstance(value, bool | np.bool_) else value


def read(datasets: Mapping[str, h5py.Dataset]) -> dict[str, Group]:
    """Returns groups of variables from a file's datasets by path; raises ValueError or KeyError if they are no such."""
    groups: dict[str, Group] = {}
    for path, dataset in datasets.items():
        group, _, name = path.rpartition("/")
        scale = dataset.is_scale
        dims = (name,) if scale else tuple(dim[0].name.rpartition("/")[2] for dim in dataset.dims)
        about = {} if scale else untrusted.attributes(dataset, OWN)
        groups.setdefault(group, {})[name] = Variable(dims, _values(dataset), about)
    return groups


def read_schema_1(
    datasets: Mapping[str, h5py.Dataset],
) -> tuple[dict[str, np.ndarray], dict[str, tuple[tuple[str, ...], np.ndarray]], Any, Any]:
    """Returns axes, metrics, config and notes from the datasets of a file of schema 1; none are written any more."""
    axes, data = {}, {}
    for path, dataset in datasets.items():
        group, _, name = path.partition("/")
        if group == "axes":
            axes[name] = _values(dataset)
        elif group == "data":
            data[name] = tuple(dim.label for dim in dataset.dims), untrusted.array(dataset)
    config, notes = (untrusted.json_value(untrusted.text(datasets[name])) for name in ("config", "notes"))
    return axes, data, config, notes


def _values(dataset: h5py.Dataset) -> np.ndarray:
    strings = h5py.check_string_dtype(dataset.dtype) is not None
    return untrusted.strings(dataset) if strings else untrusted.array(dataset)
